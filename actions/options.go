package actions

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Options configure a Host.
type Options struct {
	// Node is this process's id. Required.
	Node string
	// Log keeps the shards. Required.
	Log world.Log
	// Bus carries what was committed to the watchers. Required.
	Bus pubsub.Publisher
	// Scheduler runs the actions. Required.
	Scheduler *invoke.Scheduler
	// Registry has the functions. Default: the built-in ones.
	Registry *Registry
	// Assignment says which shards are this process's. Default: all, for good.
	Assignment Assignment
	// Network carries parcels between owners. Default: this Host is the only one.
	Network Network
	// Lending says that who calls Act lends its goroutine: it runs short actions
	// there and then instead of waking a worker. The caller must hold nothing that
	// an Edge, the Bus or the Network wait for, and bear with functions that take
	// some 50 µs. Default: no.
	Lending bool
	// Map says which cell belongs to which shard. Default: world.DefaultShardMap.
	Map world.ShardMap
	// Limits bound what participants may do. Default: see Limits.
	Limits Limits
	// SnapshotBatches is after how many batches a shard writes a snapshot.
	// Default 4096. Fewer make loads faster and writes heavier.
	SnapshotBatches int
	// SnapshotBytes is after how many bytes of batches it does so. Default 8 MiB.
	SnapshotBytes int
	// RetainAll keeps all batches in the log, for those who check histories.
	RetainAll bool
	// KeptBatches is how many committed batches stay in memory, to be written
	// again to a store that lost its end. Default 256.
	KeptBatches int
	// Waiting is how many messages may wait for one shard to load. Default 1024.
	Waiting int
	// UnloadAfter is how long an idle shard stays in memory. Default 60 s.
	UnloadAfter time.Duration
	// LogTimeout bounds one call of the log. Default 5 s.
	LogTimeout time.Duration
	// TickEvery is how often shards are looked after: held actions, digests,
	// presence. Default 25 ms.
	TickEvery time.Duration
	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
	// Random is the source of ids. Default: seeded by the runtime.
	Random rand.Source
	// Logger. Default: slog.Default.
	Logger *slog.Logger
	// Metrics registers the Host's metrics. Default: none.
	Metrics prometheus.Registerer
}

func (o *Options) withDefaults() error {
	if o.Node == "" || o.Log == nil || o.Bus == nil || o.Scheduler == nil {
		return errors.New("actions.Options: Node, Log, Bus and Scheduler are required")
	}
	if o.Registry == nil {
		o.Registry = NewRegistry()
	}
	if o.Assignment == nil {
		o.Assignment = LocalAssignment(o.Node)
	}
	if o.Map == (world.ShardMap{}) {
		o.Map = world.DefaultShardMap()
	}
	o.Limits = o.Limits.WithDefaults()
	defaultTo(&o.SnapshotBatches, 4096)
	defaultTo(&o.SnapshotBytes, 8<<20)
	defaultTo(&o.KeptBatches, 256)
	defaultTo(&o.Waiting, 1024)
	defaultTo(&o.UnloadAfter, time.Minute)
	defaultTo(&o.LogTimeout, 5*time.Second)
	defaultTo(&o.TickEvery, 25*time.Millisecond)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

func defaultTo[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
