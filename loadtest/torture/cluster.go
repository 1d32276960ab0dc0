package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/starling-vr/starling/internal/linkproxy"
	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/redis"
)

// authKey signs the players' tokens.
const authKey = "torture: a key for tests that nobody else should ever use"

// Shape says what a cluster is made of.
type Shape struct {
	Gateways   int
	Owners     int
	Durability world.Durability // replicated: a Redis Cluster of three masters with a replica each
	Resume     time.Duration    // how long a session outlives its connection
	Settings   []string         // further settings, section.key=value
}

// Cluster is a region of real processes on a real Redis.
type Cluster struct {
	Gateways []*Process
	Owners   []*Process
	Redis    *redisproc.Server  // at memory and disk
	Nodes    *redisproc.Cluster // at replicated
	Log      world.Log          // the shards' logs, read past the processes
	Map      world.ShardMap

	// Link stands between the first gateway and the first owner, and nothing
	// else passes through it.
	Link *linkproxy.Proxy

	binary string
	folder string
	shape  Shape
	host   string          // where its processes listen
	given  map[string]bool // addresses
}

// shards are small, so that many actions cross them: cells of about 29 m edge,
// shards of about 200 m.
var shardMap = world.ShardMap{Version: 1, CellResolution: 11, BaseResolution: 9}

// StartCluster starts everything; its processes write their logs into folder.
func StartCluster(ctx context.Context, binary, folder string, shape Shape) (*Cluster, error) {
	c := &Cluster{binary: binary, folder: folder, shape: shape, Map: shardMap, given: make(map[string]bool)}
	err := c.start(ctx)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return err
	}
	addresses, err := c.startRedis(ctx)
	if err != nil {
		return err
	}
	c.Log, err = redis.Open(ctx, redis.Config{
		Config: redisnodes.Config{Addresses: addresses}, Durability: c.shape.Durability,
	})
	if err != nil {
		return err
	}
	if err := c.plan(addresses); err != nil {
		return err
	}
	started := make(chan error)
	all := c.Processes()
	for _, p := range all {
		go func() { started <- p.Start(ctx) }()
	}
	var failed []error
	for range all {
		failed = append(failed, <-started)
	}
	return errors.Join(failed...)
}

func (c *Cluster) startRedis(ctx context.Context) (addresses []string, err error) {
	if c.shape.Durability == world.DurabilityReplicated {
		if c.Nodes, err = redisproc.StartCluster(ctx, 3, 1, redisproc.Options{}); err != nil {
			return nil, err
		}
		return c.Nodes.Addresses(), nil
	}
	c.Redis, err = redisproc.Start(ctx, redisproc.Options{AppendOnly: c.shape.Durability == world.DurabilityDisk})
	if err != nil {
		return nil, err
	}
	return []string{c.Redis.Address()}, nil
}

// plan makes the processes. Of two processes the one with the lower id connects
// to the other: by their names only the first gateway connects to the first
// owner, so that its proxy carries their link alone.
func (c *Cluster) plan(addresses []string) error {
	for i := range c.shape.Gateways {
		name := fmt.Sprintf("west-gateway-%d", i+1)
		if i == 0 {
			name = "east-gateway-1"
		}
		p, err := c.process(name, "gateway", addresses)
		if err != nil {
			return err
		}
		c.Gateways = append(c.Gateways, p)
	}
	for i := range c.shape.Owners {
		p, err := c.process(fmt.Sprintf("owner-%d", i+1), "owner", addresses)
		if err != nil {
			return err
		}
		c.Owners = append(c.Owners, p)
	}
	first := c.Owners[0]
	var err error
	if c.Link, err = linkproxy.New(first.Peer); err != nil {
		return err
	}
	first.arguments = append(first.arguments, "--peer-address", c.Link.Address())
	return nil
}

func (c *Cluster) process(name, role string, addresses []string) (*Process, error) {
	listen, err := c.freeAddress()
	if err != nil {
		return nil, err
	}
	peer, err := c.freeAddress()
	if err != nil {
		return nil, err
	}
	p := &Process{Name: name, Listen: listen, Peer: peer, binary: c.binary, logs: filepath.Join(c.folder, name+".log")}
	p.arguments = []string{"serve", "--roles", role, "--node", name, "--listen", listen, "--peer-listen", peer}
	for _, s := range append(c.settings(addresses), c.shape.Settings...) {
		p.arguments = append(p.arguments, "--set", s)
	}
	return p, nil
}

func (c *Cluster) settings(addresses []string) []string {
	resume := c.shape.Resume
	return []string{
		"auth.key=" + authKey, "log.level=debug", "log.format=text",
		"store.kind=redis", "store.redis.addresses=" + strings.Join(addresses, ","),
		"store.redis.cluster=" + strconv.FormatBool(c.Nodes != nil), "store.durability=" + string(c.shape.Durability),
		"world.cell_resolution=" + strconv.Itoa(c.Map.CellResolution), "world.shard_resolution=" + strconv.Itoa(c.Map.BaseResolution),
		"owner.retain_logs=true", "owner.snapshot_batches=200", "owner.speed=500", "owner.speed_burst=1000", "owner.reach=60",
		"gateway.resume_time=" + resume.String(), "gateway.renew_every=" + min(resume/4, 2*time.Second).String(),
		"gateway.drain_time=1s", "gateway.reconnect_after=100ms",
		// What is sought here is what faults do; a loaded machine would be refused service besides.
		"gateway.refuse_overload=false",
	}
}

// freeAddress finds one that nobody listens on and that no other process here was
// given, below the ports of outgoing connections: a process that starts again must
// find it free. Each cluster has a loopback address of its own, so that runs of
// several tests do not meet.
func (c *Cluster) freeAddress() (string, error) {
	if c.host == "" {
		c.host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	}
	for range 1000 {
		address := net.JoinHostPort(c.host, strconv.Itoa(23_000+rand.IntN(9_000)))
		if c.given[address] {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			c.given[address] = true
			return address, l.Close()
		}
	}
	return "", errors.New("found no free port")
}

// Processes gives all processes.
func (c *Cluster) Processes() []*Process {
	return append(append([]*Process(nil), c.Gateways...), c.Owners...)
}

// Command runs another command of the binary, e.g. "shards", "drain", "owner-1".
func (c *Cluster) Command(ctx context.Context, arguments ...string) (string, error) {
	out, err := exec.CommandContext(ctx, c.binary, arguments...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("starling %s: %w: %s", strings.Join(arguments, " "), err, out)
	}
	return string(out), nil
}

// Holders gives who holds each shard, and how far it is.
func (c *Cluster) Holders(ctx context.Context) (map[world.ShardID]world.Holder, error) {
	holders := make(map[world.ShardID]world.Holder)
	var ids []world.ShardID
	err := c.Log.Shards(ctx, func(id world.ShardID) error {
		ids = append(ids, id)
		return nil
	})
	for _, id := range ids {
		if err != nil {
			break
		}
		holders[id], err = c.Log.Tail(ctx, id)
	}
	return holders, err
}

// HeldBy gives the shards that a process holds.
func (c *Cluster) HeldBy(ctx context.Context, p *Process) (map[world.ShardID]world.Holder, error) {
	held, err := c.Holders(ctx)
	for id, h := range held {
		if h.Owner != p.Name {
			delete(held, id)
		}
	}
	return held, err
}

// Close kills everything.
func (c *Cluster) Close() error {
	var failed []error
	for _, p := range c.Processes() {
		failed = append(failed, p.Kill())
	}
	if c.Link != nil {
		c.Link.Close()
	}
	if c.Log != nil {
		failed = append(failed, c.Log.Close())
	}
	if c.Redis != nil {
		failed = append(failed, c.Redis.Close())
	}
	if c.Nodes != nil {
		failed = append(failed, c.Nodes.Close())
	}
	return errors.Join(failed...)
}
