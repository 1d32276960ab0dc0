// Package redis is a world.Log in Redis 7.0 or later, standalone or Cluster.
//
// A shard has a stream with one entry a batch (id SEQUENCE-EPOCH), a tail and a
// snapshot, all in one slot. A small Redis function checks the tail and appends,
// atomically. No command is sent again by itself after its reply was lost.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/world"
)

// Config says where the log is kept, and how safely.
type Config struct {
	redisnodes.Config
	// Durability is what a commit survives. Default memory.
	Durability world.Durability
	// Timeout bounds a command whose context ends later. Past it the fate of
	// the command is unknown. Default 2 s.
	Timeout time.Duration
	// ReplicaTimeout is how long to wait for a replica at replicated. Default 1 s.
	ReplicaTimeout time.Duration
	// Interval is the least time from one round trip of submitted appends to the
	// next of a node while they keep coming; the first after a pause is sent at
	// once. What comes together shares the round trip, and at disk the sync.
	// Default 2 ms. Negative means none.
	Interval time.Duration
	// MaxInterval is how far apart they are while those who wait for commits have
	// time to spare (see AfterRound): fewer round trips, less work for Redis. Default
	// 4 ms; below Interval means Interval.
	MaxInterval time.Duration
	// Prefix stands before all keys. Default "starling".
	Prefix string
	// Logger hears of settings that are legal but dangerous. Default: none.
	Logger *slog.Logger
}

const (
	// DefaultInterval is the default of Config.Interval.
	DefaultInterval = 2 * time.Millisecond
	// DefaultMaxInterval is the default of Config.MaxInterval.
	DefaultMaxInterval = 4 * time.Millisecond
)

func (c *Config) setDefaults() {
	if c.Durability == "" {
		c.Durability = world.DurabilityMemory
	}
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Second
	}
	if c.ReplicaTimeout <= 0 {
		c.ReplicaTimeout = time.Second
	}
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.MaxInterval == 0 {
		c.MaxInterval = DefaultMaxInterval
	}
	if c.Prefix == "" {
		c.Prefix = "starling"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// interval is the least time between two round trips, where there is so much time
// to spare: 0 (none) to 1.
func (c *Config) interval(ease float64) time.Duration {
	if c.Interval < 0 || c.MaxInterval <= c.Interval {
		return c.Interval
	}
	return c.Interval + time.Duration(min(1, ease)*float64(c.MaxInterval-c.Interval))
}

// Log is a world.Log in Redis.
type Log struct {
	config Config
	nodes  *redisnodes.Nodes
	lanes  sync.Map // address of a node to *lane
	told   atomic.Pointer[func() float64]
	feed   feed

	mu      sync.RWMutex
	closed  bool
	running sync.WaitGroup // calls, appends submitted, and refreshing of the table of slots
	reading sync.WaitGroup // of lanes
}

var _ world.Appender = (*Log)(nil)

// Open connects, checks that every master's settings can keep what
// config.Durability promises (a *SettingError says which cannot), and loads the
// functions.
func Open(ctx context.Context, config Config) (*Log, error) {
	config.setDefaults()
	if _, err := world.ParseDurability(string(config.Durability)); err != nil {
		return nil, err
	}
	nodes, err := redisnodes.Connect(ctx, config.Config)
	if err != nil {
		return nil, err
	}
	l := &Log{config: config, nodes: nodes}
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Log) prepare(ctx context.Context) error {
	for _, address := range l.nodes.Masters() {
		if err := l.checkSettings(ctx, address); err != nil {
			return err
		}
		if err := l.loadFunctions(ctx, address); err != nil && !strings.Contains(err.Error(), "NOREPLICAS") {
			return err // a master that takes no writes now gets them with the first call
		}
	}
	return nil
}

// AfterRound has f called each time the outcomes of all appends of a round trip
// were told. It gives how much time those who wait for commits have to spare, from
// 0 (the next round trip after Interval) to 1 (after MaxInterval). It runs
// where world.Append.Done does, and must not block either.
func (l *Log) AfterRound(f func() (ease float64)) { l.told.Store(&f) }

// Durability is what "committed" means here.
func (l *Log) Durability() world.Durability { return l.config.Durability }

// Close waits for what is under way.
func (l *Log) Close() error {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	l.running.Wait()
	l.lanes.Range(func(_, n any) bool {
		n.(*lane).close()
		return true
	})
	l.reading.Wait()
	return l.nodes.Close()
}

// enter counts a call, unless the log is closed.
func (l *Log) enter() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return unavailable(redisnodes.ErrClosed)
	}
	l.running.Add(1)
	return nil
}

func unavailable(why error) error {
	if errors.Is(why, world.ErrUnavailable) {
		return why
	}
	return fmt.Errorf("%w: %w", world.ErrUnavailable, why)
}
