// Package target knows the servers that a load test drives: one that it starts
// itself as a child, with the store that it needs (or a yardstick), or one that is
// there already.
// Both tell what they use.
package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/loadtest/exposition"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/yardstick"
)

// Options of a server of one's own.
type Options struct {
	Binary     string   // the starling binary; "": this one
	Store      string   // memory, embedded or redis
	Durability string   // memory, disk or replicated
	Masters    int      // of a Redis Cluster, with a replica each; 0 is one, and without replication no Cluster
	Owners     int      // processes that own shards, the first of them with the gateway; 0 is one; more need redis
	Set        []string // more settings, as of `starling serve --set`
	Directory  string   // for what the store writes; "": a temporary one
	Log        *slog.Logger

	Yardstick *yardstick.Options // not nil: a yardstick instead of a Starling; store, owners and settings do not matter
}

// Self is a server that runs as a child of this process.
type Self struct {
	options   Options
	key       string
	directory string
	servers   []*child
	redis     []*redisproc.Server
	closers   []func() error
	once      sync.Once
	exited    chan struct{} // closed when any of the servers ends
}

// startTime is how long a server may take to come up.
const startTime = 20 * time.Second

// Start starts a server, and what its store needs, and waits until it serves.
func Start(ctx context.Context, options Options) (*Self, error) {
	s := &Self{options: options, key: server.NewKey(), exited: make(chan struct{})}
	if options.Log == nil {
		s.options.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Self) start(ctx context.Context) error {
	if s.options.Owners > 1 && s.options.Store != "redis" {
		return errors.New("several owners need a store that they share: redis")
	}
	if s.options.Binary == "" {
		binary, err := os.Executable()
		if err != nil {
			return err
		}
		s.options.Binary = binary
	}
	if s.options.Yardstick != nil {
		return s.startYardstick(ctx)
	}
	parent := s.options.Directory
	directory, err := os.MkdirTemp(parent, "starling-loadtest-")
	if err != nil {
		return err
	}
	s.directory = directory
	s.closers = append(s.closers, func() error { return os.RemoveAll(directory) })
	store, err := s.startStore(ctx)
	if err != nil {
		return err
	}
	return s.serve(ctx, store)
}

// startStore starts what the store needs and gives the settings for it.
func (s *Self) startStore(ctx context.Context) ([]string, error) {
	o := &s.options
	set := []string{"store.kind=" + o.Store, "store.durability=" + o.Durability}
	switch o.Store {
	case "memory":
		return set, nil
	case "embedded":
		return append(set, "store.directory="+filepath.Join(s.directory, "world")), nil
	case "redis":
	default:
		return nil, fmt.Errorf("store %q: want memory, embedded or redis", o.Store)
	}
	redis := redisproc.Options{AppendOnly: o.Durability == "disk"}
	replicas := 0
	if o.Durability == "replicated" {
		replicas = 1
	}
	if o.Masters <= 1 && replicas == 0 {
		if err := os.Mkdir(filepath.Join(s.directory, "redis"), 0o700); err != nil {
			return nil, err
		}
		redis.Dir, redis.UnixSocket = filepath.Join(s.directory, "redis"), true
		one, err := redisproc.Start(ctx, redis)
		if err != nil {
			return nil, err
		}
		s.redis = []*redisproc.Server{one}
		s.closers = append(s.closers, one.Close)
		return append(set, "store.redis.addresses="+socketOf(one)), nil
	}
	cluster, err := redisproc.StartCluster(ctx, max(o.Masters, 1), replicas, redis)
	if err != nil {
		return nil, err
	}
	s.redis = cluster.Servers
	s.closers = append(s.closers, cluster.Close)
	return append(set, "store.redis.cluster=true", "store.redis.addresses="+strings.Join(cluster.Addresses(), ",")), nil
}

// socketOf is where to reach a Redis on this machine: its Unix socket, as an
// operator would have it there, unless its path is longer than the kernel takes.
func socketOf(server *redisproc.Server) string {
	const longest = 107 // bytes; unix(7)
	if path := server.UnixSocket(); len(path) <= longest {
		return "unix:" + path
	}
	return server.Address()
}

// serve starts the processes, the one with the gateway first.
func (s *Self) serve(ctx context.Context, store []string) error {
	common := append(store, "listen=127.0.0.1:0", "auth.key="+s.key, "log.format=json", "log.level=info", "gateway.max_connections=0")
	for i := range max(s.options.Owners, 1) {
		set := append(slices.Clone(common), fmt.Sprintf("region.id=loadtest-%d", i))
		if i > 0 {
			set = append(set, "region.roles=owner")
		}
		arguments := []string{"serve"}
		for _, one := range append(set, s.options.Set...) {
			arguments = append(arguments, "--set", one)
		}
		if err := s.startProcess(ctx, arguments); err != nil {
			return err
		}
	}
	return nil
}

func (s *Self) startYardstick(ctx context.Context) error {
	o := s.options.Yardstick
	if err := o.Validate(); err != nil {
		return err
	}
	return s.startProcess(ctx, []string{
		"loadtest", "yardstick", "--listen", "127.0.0.1:0", "--wait", o.Wait.String(), "--pollers", strconv.Itoa(cmp.Or(o.Pollers, yardstick.DefaultPollers)), "--congestion", o.Congestion,
	})
}

func (s *Self) startProcess(ctx context.Context, arguments []string) error {
	c, err := startChild(ctx, s.options.Binary, arguments, s.options.Log)
	if err != nil {
		return err
	}
	s.servers = append(s.servers, c)
	go func() {
		<-c.exited
		s.once.Do(func() { close(s.exited) })
	}()
	return nil
}

// URL is the address of its websocket.
func (s *Self) URL() string { return "ws://" + s.servers[0].address + server.Endpoint }

// MetricsURL is the address of its metrics.
func (s *Self) MetricsURL() string { return "http://" + s.servers[0].address + "/metrics" }

// Key signs tokens that it takes.
func (s *Self) Key() string { return s.key }

// Exited is closed when one of its processes ends.
func (s *Self) Exited() <-chan struct{} { return s.exited }

// Usage implements generator.Meter by what the kernel says of the processes.
func (s *Self) Usage(ctx context.Context) (generator.Usage, error) {
	var u generator.Usage
	for _, c := range s.servers {
		if err := add(&u, c.pid()); err != nil {
			return u, err
		}
		if s.options.Yardstick != nil { // it has no metrics
			continue
		}
		if all, err := exposition.Read(ctx, "http://"+c.address+"/metrics"); err == nil {
			addUsage(&u, all)
		}
	}
	if len(s.redis) == 0 {
		return u, nil
	}
	servers := u.CPU
	for _, store := range s.redis {
		if err := add(&u, store.PID()); err != nil {
			return u, err
		}
	}
	stores := u.CPU - servers
	u.StoreCPU = &stores
	return u, nil
}

// add adds what a process used.
func add(u *generator.Usage, pid int) error {
	cpu, err := processCPU(pid)
	if err != nil {
		return err
	}
	rss, err := residentMemory(pid)
	if err != nil {
		return err
	}
	u.CPU, u.RSS = u.CPU+cpu, u.RSS+rss
	return nil
}

// Stop ends the server and what was started for it, and removes what they wrote.
func (s *Self) Stop() error {
	for _, c := range s.servers {
		c.stop()
	}
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}
