// Package server puts a Starling process together from its settings: store,
// owner, gateway, node of the region, and the listener that serves them.
package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/starling-vr/starling/gateway"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/priority"
	"github.com/starling-vr/starling/regions"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/workloads/annotate/service"
	trigger "github.com/starling-vr/starling/workloads/trigger/service"
	"github.com/starling-vr/starling/world"
)

// Settings are all settings of a process.
type Settings struct {
	Listen      string        `toml:"listen" default:"127.0.0.1:8080" doc:"host:port of the page, the websocket (/v1/ws), /healthz, /readyz and /metrics."`
	Congestion  string        `toml:"congestion" default:"cubic" doc:"TCP congestion control of clients' connections, if the kernel has it (Linux). For messages this small bbr costs a write about a tenth more. Empty: the system's default."`
	DebugListen string        `toml:"debug_listen" default:"" doc:"host:port of pprof (/debug/pprof). Empty: off. Never open it to the outside."`
	Slice       time.Duration `toml:"slice" default:"0s" doc:"For how long a thread of this process runs before it is others' turn, 100us to 100ms (Linux 6.12 or newer); 0s: the system's, some milliseconds. Threads that wake up take the processor from those with longer slices: 100us for a process with deadlines of milliseconds beside others that compute."`
	StopTime    time.Duration `toml:"stop_time" default:"12s" doc:"How long a stop may take: clients are sent elsewhere and shards handed over. What is not done by then is cut off."`

	Log     Log            `toml:"log" doc:"What the process writes about itself, to standard error."`
	TLS     TLS            `toml:"tls" doc:"TLS of the listener. Empty: none (then put a proxy in front of it)."`
	World   World          `toml:"world" doc:"How the map is divided. The same in all processes of a region, for good."`
	Store   Store          `toml:"store" doc:"Where the shards' logs are kept."`
	Bus     Bus            `toml:"bus" doc:"How gateways hear of what was committed."`
	Auth    auth.Config    `toml:"auth" doc:"Which tokens are good. Set exactly one of key, key_set_url and key_set_file."`
	Gateway gateway.Config `toml:"gateway" doc:"The edge, for role gateway."`
	Owner   Owner          `toml:"owner" doc:"The shards, for role owner."`

	Annotate service.Config `toml:"annotate" doc:"Annotation of documents, for role annotate."`

	Trigger trigger.Config `toml:"trigger" doc:"The trigger, for role trigger: its records are those of a simulated detector, made beforehand, that fall due by the processor's clock, unless the program was built with a feed of its own (game.Game.Trigger)."`

	Functions map[string]Function `toml:"functions" doc:"Contracts of functions, for role owner: what is not set here stays as docs/reference/functions.md says, or as the game registered it. What a machine cannot hold refuses to start, with the arithmetic. Names with dots are quoted; in the environment they are in upper case."`

	Region regions.Config `toml:"region" doc:"This process among the others of its region."`
}

// Log says how the process writes about itself.
type Log struct {
	Level  string `toml:"level" default:"info" doc:"debug, info, warn or error."`
	Format string `toml:"format" default:"json" doc:"json or text."`
}

// TLS names the files of the listener's certificate.
type TLS struct {
	Certificate string `toml:"certificate" default:"" doc:"PEM file of the certificate chain."`
	Key         string `toml:"key" default:"" doc:"PEM file of its key."`
}

// World says how the map is divided.
type World struct {
	CellResolution  int `toml:"cell_resolution" default:"10" doc:"H3 resolution of interest cells; 10: edge about 76 m."`
	ShardResolution int `toml:"shard_resolution" default:"7" doc:"H3 resolution of shards; 7: edge about 1.4 km."`
}

// Store says where the logs are kept.
type Store struct {
	Kind       string `toml:"kind" default:"redis" doc:"memory (one process, lost with it), embedded (one process, a file), or redis."`
	Directory  string `toml:"directory" default:"" doc:"Of the embedded store."`
	Durability string `toml:"durability" default:"memory" doc:"What committed means: memory (lost with the store), disk, or replicated (redis: on one replica). See docs/reference/durability.md."`
	Redis      Redis  `toml:"redis" doc:"The Redis, or Redis Cluster, of the region."`
}

// Redis says where it is.
type Redis struct {
	Addresses   []string      `toml:"addresses" default:"[\"127.0.0.1:6379\"]" doc:"host:port, or unix:/path for one server; some nodes of a Cluster."`
	Cluster     bool          `toml:"cluster" default:"false" doc:"The addresses are nodes of a Redis Cluster."`
	Username    string        `toml:"username" default:"" doc:"Of an ACL user; empty: default."`
	Password    string        `toml:"password" default:"" doc:"Prefer the environment over the file."`
	Prefix      string        `toml:"prefix" default:"starling" doc:"Stands before all keys and channels: several regions may share a Redis in tests."`
	Interval    time.Duration `toml:"interval" default:"2ms" doc:"While batches keep coming, the least time from one round trip of appends to the next; what comes together shares it, and at disk the sync. Longer: less work for Redis, later commits: with an answer of Redis it should take less than half of gateway.deadline. Below 0: none."`
	MaxInterval time.Duration `toml:"max_interval" default:"4ms" doc:"How far apart these round trips are while updates leave the gateways well within gateway.deadline; as more leave old they come as close as interval. Not above interval: always interval, as where owners and gateways are processes apart."`
	Timeout     time.Duration `toml:"timeout" default:"2s" doc:"Of one command. Past it its fate is unknown and the tail is read."`
}

// Bus says how gateways hear of what was committed.
type Bus struct {
	Kind string `toml:"kind" default:"direct" doc:"direct (the streams between gateways and owners) or redis (sharded pub/sub; needs store.kind redis)."`
}

// priority is how the process shares the machine with others.
func (s *Settings) priority() priority.Priority {
	p := priority.Priority{Slice: s.Slice}
	if s.has(directory.RoleAnnotate) {
		p.Nice = s.Annotate.Nice
		p.Background = p.Nice > 0
	}
	return p
}

// Check says what is wrong with the settings.
func (s *Settings) Check() error {
	var wrong []error
	add := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		add(fmt.Errorf("listen: %w", err))
	}
	if s.DebugListen != "" {
		if _, _, err := net.SplitHostPort(s.DebugListen); err != nil {
			add(fmt.Errorf("debug_listen: %w", err))
		}
	}
	_, err := s.Log.handler(nil)
	add(err)
	if (s.TLS.Certificate == "") != (s.TLS.Key == "") {
		add(errors.New("tls: want certificate and key, or neither"))
	}
	if w := s.World; w.CellResolution < 1 || w.CellResolution > 15 || w.ShardResolution < 0 || w.ShardResolution >= w.CellResolution {
		add(fmt.Errorf("world: cell_resolution %d, shard_resolution %d: want 0 <= shard < cell <= 15", w.CellResolution, w.ShardResolution))
	}
	add(s.Store.check())
	switch {
	case s.Bus.Kind != "direct" && s.Bus.Kind != "redis":
		add(fmt.Errorf("bus.kind %q: want direct or redis", s.Bus.Kind))
	case s.Bus.Kind == "redis" && s.Store.Kind != "redis":
		add(errors.New("bus.kind redis needs store.kind redis"))
	}
	if s.Slice != 0 && (s.Slice < priority.LeastSlice || s.Slice > priority.MostSlice) {
		add(fmt.Errorf("slice %v: want %v to %v, or 0s", s.Slice, priority.LeastSlice, priority.MostSlice))
	}
	if s.has(directory.RoleAnnotate) {
		add(s.Annotate.Check())
		if s.Annotate.Keep > 0 && s.Store.Kind != "redis" {
			add(errors.New("annotate.keep needs store.kind redis"))
		}
		if s.Annotate.Nice > 0 && len(s.Region.Roles) > 1 {
			add(errors.New("annotate.nice needs a process of its own: set region.roles to annotate alone, or leave nice out"))
		}
	}
	if s.has(directory.RoleTrigger) {
		add(s.Trigger.Check())
	}
	if s.has(directory.RoleGateway) {
		edge := s.Gateway
		if edge.Node == "" {
			edge.Node = "checked"
		}
		add(edge.Validate())
	}
	if s.has(directory.RoleGateway) || s.has(directory.RoleAnnotate) {
		set := 0
		for _, source := range []string{s.Auth.Key, s.Auth.KeySetURL, s.Auth.KeySetFile} {
			if source != "" {
				set++
			}
		}
		if set != 1 {
			add(errors.New("auth: set exactly one of key, key_set_url and key_set_file (`head -c 32 /dev/urandom | base64` makes a key)"))
		}
	}
	add(s.Owner.check())
	add(s.Region.Check())
	return errors.Join(wrong...)
}

func (s *Settings) has(role directory.Role) bool {
	return slices.Contains(s.Region.Roles, string(role))
}

func (s Store) check() error {
	durability, err := world.ParseDurability(s.Durability)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	switch s.Kind {
	case "memory":
		if durability != world.DurabilityMemory {
			return errors.New("store: kind memory keeps nothing: durability must be memory")
		}
	case "embedded":
		if s.Directory == "" {
			return errors.New("store: kind embedded needs directory")
		}
		if durability == world.DurabilityReplicated {
			return errors.New("store: kind embedded has no replica: durability must be memory or disk")
		}
	case "redis":
		if len(s.Redis.Addresses) == 0 {
			return errors.New("store: redis.addresses is empty")
		}
	default:
		return fmt.Errorf("store: kind %q: want memory, embedded or redis", s.Kind)
	}
	return nil
}

// Load gathers the settings from the defaults and the sources.
func Load(from config.Sources) (*Settings, error) {
	s := &Settings{}
	if err := config.Load(s, from); err != nil {
		return nil, err
	}
	return s, nil
}

// NewKey makes a secret for HS256 tokens.
func NewKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return hex.EncodeToString(key)
}

func (w World) shards() world.ShardMap {
	return world.ShardMap{Version: 1, CellResolution: w.CellResolution, BaseResolution: w.ShardResolution}
}

func level(text string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("log.level %q: want debug, info, warn or error", text)
	}
	return l, nil
}
