// Package redisnodes knows the nodes of a Redis, standalone or Cluster: who
// serves which slot, and a client for each, without any retries. go-redis's own
// Cluster client sends a command again after a lost reply; here it is the
// caller who decides.
package redisnodes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Config says how to reach a Redis.
type Config struct {
	// Addresses are host:port, or unix:/path for a standalone server. For a
	// Cluster some of its nodes will do.
	Addresses []string
	Username  string
	Password  string
	TLS       *tls.Config
	// DialTimeout bounds making a connection. Default 1 s.
	DialTimeout time.Duration
	// Connections is how many a node gets at most. Default 64.
	Connections int
}

func (c *Config) setDefaults() {
	if c.DialTimeout <= 0 {
		c.DialTimeout = time.Second
	}
	if c.Connections <= 0 {
		c.Connections = 64
	}
}

// Nodes are the nodes of one Redis. Its methods may be called from many goroutines.
type Nodes struct {
	config  Config
	cluster bool
	table   atomic.Pointer[table]

	refreshing sync.Mutex

	mu      sync.Mutex
	clients map[string]*redis.Client
	closed  bool
}

// table says who serves which slot.
type table struct {
	masters []string
	slots   []string // by slot; a standalone server has one entry
	read    time.Time
}

// ErrClosed: the nodes were closed.
var ErrClosed = errors.New("redis: closed")

var quiet = sync.OnceFunc(logging.Disable)

// Connect finds out whether the addresses are of a Cluster, and its nodes.
// Errors are told by what is returned; go-redis's own log lines are turned off.
func Connect(ctx context.Context, config Config) (*Nodes, error) {
	quiet()
	config.setDefaults()
	if len(config.Addresses) == 0 {
		return nil, errors.New("redis: no address given")
	}
	n := &Nodes{config: config, clients: make(map[string]*redis.Client)}
	if err := n.connect(ctx); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Nodes) connect(ctx context.Context) error {
	var errs []error
	for _, address := range n.config.Addresses {
		client, err := n.Client(address)
		if err != nil {
			return err
		}
		info, err := client.Info(ctx, "cluster").Result()
		if err != nil {
			errs = append(errs, fmt.Errorf("redis at %s: %w", address, err))
			continue
		}
		if !strings.Contains(info, "cluster_enabled:1") {
			n.table.Store(&table{masters: []string{address}, slots: []string{address}, read: time.Now()})
			return nil
		}
		n.cluster = true
		return n.Refresh(ctx)
	}
	return errors.Join(errs...)
}

// Cluster says whether this is a Redis Cluster.
func (n *Nodes) Cluster() bool { return n.cluster }

// Masters gives the addresses of the nodes that serve slots.
func (n *Nodes) Masters() []string { return n.table.Load().masters }

// Owner is the address of the node that serves a slot, "" if none is known.
func (n *Nodes) Owner(slot int) string {
	t := n.table.Load()
	if len(t.slots) == 1 {
		return t.slots[0]
	}
	return t.slots[slot]
}

// Config is what Connect was given, with defaults.
func (n *Nodes) Config() Config { return n.config }

// Client gives the client of one node.
func (n *Nodes) Client(address string) (*redis.Client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	client := n.clients[address]
	if client == nil {
		client = redis.NewClient(n.options(address))
		n.clients[address] = client
	}
	return client, nil
}

func (n *Nodes) options(address string) *redis.Options {
	network, path := Network(address)
	return &redis.Options{
		Network: network, Addr: path,
		Username: n.config.Username, Password: n.config.Password, TLSConfig: n.config.TLS,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: n.config.DialTimeout,
		ContextTimeoutEnabled: true, PoolSize: n.config.Connections, Protocol: 2,
		DisableIdentity: true,
	}
}

// refreshEvery bounds how often the Cluster is asked for its slots.
const refreshEvery = 20 * time.Millisecond

// Refresh asks the nodes who serves which slot. Callers at the same time share
// one answer.
func (n *Nodes) Refresh(ctx context.Context) error {
	if !n.cluster {
		return nil
	}
	wanted := time.Now().Add(-refreshEvery)
	n.refreshing.Lock()
	defer n.refreshing.Unlock()
	if t := n.table.Load(); t != nil && t.read.After(wanted) {
		return nil
	}
	errs := []error{errors.New("redis: no node of the Cluster told its slots")}
	for _, address := range n.known() {
		t, err := n.ask(ctx, address)
		if err == nil {
			n.table.Store(t)
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
	}
	return errors.Join(errs...)
}

// known gives the masters, then the other nodes that were given or met.
func (n *Nodes) known() []string {
	var all []string
	if t := n.table.Load(); t != nil {
		all = append(all, t.masters...)
	}
	all = append(all, n.config.Addresses...)
	n.mu.Lock()
	defer n.mu.Unlock()
	for address := range n.clients {
		all = append(all, address)
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(all, func(address string) bool {
		was := seen[address]
		seen[address] = true
		return was
	})
}

// askTimeout bounds asking one node, so that a hung one does not hide the rest.
const askTimeout = 500 * time.Millisecond

func (n *Nodes) ask(ctx context.Context, address string) (*table, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, err := n.Client(address)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 CLUSTER SHARDS lists failed masters among the rest; CLUSTER SLOTS does not.
	ranges, err := client.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, err
	}
	t := &table{slots: make([]string, Slots), read: time.Now()}
	for _, r := range ranges {
		if len(r.Nodes) == 0 || r.Start < 0 || r.End >= Slots {
			continue
		}
		// A node that does not know its own name gives an empty host.
		master := r.Nodes[0].Addr
		if strings.HasPrefix(master, ":") {
			master = address
		}
		for slot := r.Start; slot <= r.End; slot++ {
			t.slots[slot] = master
		}
		if !slices.Contains(t.masters, master) {
			t.masters = append(t.masters, master)
		}
	}
	if len(t.masters) == 0 {
		return nil, errors.New("it knows of no slots")
	}
	return t, nil
}

// Moved notes that a node said who serves a slot, before the next Refresh.
func (n *Nodes) Moved(slot int, address string) {
	for {
		old := n.table.Load()
		if len(old.slots) == 1 || old.slots[slot] == address {
			return
		}
		t := &table{masters: old.masters, slots: slices.Clone(old.slots), read: old.read}
		t.slots[slot] = address
		if !slices.Contains(t.masters, address) {
			t.masters = append(slices.Clone(t.masters), address)
		}
		if n.table.CompareAndSwap(old, t) {
			return
		}
	}
}

// Close closes all clients.
func (n *Nodes) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	var errs []error
	for address, client := range n.clients {
		errs = append(errs, client.Close())
		delete(n.clients, address)
	}
	return errors.Join(errs...)
}
