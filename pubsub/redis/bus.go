// Package redis is the bus over Redis sharded pub/sub (Redis 7.0 or later),
// standalone or Cluster: for processes that share no stream with the owner.
//
// A cell has the channel PREFIX:{SHARD}:CELL, a shard's digests
// PREFIX:{SHARD}:digest; the payloads are cluster.v1 CellMessage and Digest.
// There is one subscriber connection per node of Redis.
package redis

import (
	"context"
	"log/slog"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/internal/fanout"
	"github.com/starling-vr/starling/world"
)

// Config says which Redis carries the bus.
type Config struct {
	redisnodes.Config
	// Prefix stands before all channels. Default "starling".
	Prefix string
	// QueueBytes bounds what waits to be published of one shard. What does not
	// fit is counted as lost and told by a digest. Default 1 MiB.
	QueueBytes int
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Logger hears of connections that break. Default: none.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Prefix == "" {
		c.Prefix = "starling"
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = 1 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Bus is a pubsub.Bus over Redis.
type Bus struct {
	config     Config
	nodes      *redisnodes.Nodes
	metrics    *metrics
	subscriber *subscriber
	publisher  *publisher
	probes     *probes

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
}

var _ pubsub.Bus = (*Bus)(nil)

// Open connects to Redis and starts probing it.
func Open(ctx context.Context, config Config) (*Bus, error) {
	config.setDefaults()
	nodes, err := redisnodes.Connect(ctx, config.Config)
	if err != nil {
		return nil, err
	}
	b := &Bus{config: config, nodes: nodes}
	if b.metrics, err = newMetrics(config.Registerer); err != nil {
		nodes.Close()
		return nil, err
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.subscriber = newSubscriber(b)
	b.publisher = newPublisher(b)
	b.probes = newProbes(b)
	b.running.Go(func() { b.subscriber.run(b.ctx) })
	b.running.Go(func() { b.probes.run(b.ctx) })
	return b, nil
}

// Publish queues the messages and returns at once.
func (b *Bus) Publish(batch []pubsub.Message) { b.publisher.publish(batch) }

// PublishDigest queues the digest behind the messages before it.
func (b *Bus) PublishDigest(d pubsub.Digest) { b.publisher.publishDigest(d) }

// Subscribe registers a subscriber. The numbers given to Watch stay in this
// process: where the owner's digest tells no Watchers, those of this process
// are filled in.
func (b *Bus) Subscribe(_ string, h pubsub.Handler) pubsub.Subscription {
	return &subscription{owner: b.subscriber, subscriber: fanout.NewSubscriber(h), watched: make(map[place]struct{})}
}

// Healthy is false when for 3 s no probe came back through one of the nodes.
func (b *Bus) Healthy() (ok bool, why string) { return b.probes.healthy() }

// Close ends everything; what is still queued is not published.
func (b *Bus) Close() error {
	var err error
	b.once.Do(func() {
		b.cancel()
		b.running.Wait()
		b.subscriber.close()
		b.publisher.close()
		err = b.nodes.Close()
		b.metrics.unregister(b.config.Registerer)
	})
	return err
}

func (b *Bus) channelBase(shard world.ShardID) string {
	return b.config.Prefix + ":{" + shard.String() + "}:"
}

func (b *Bus) cellChannel(shard world.ShardID, cell world.Cell) string {
	return b.channelBase(shard) + strconv.FormatUint(uint64(cell), 16)
}

func (b *Bus) digestChannel(shard world.ShardID) string { return b.channelBase(shard) + "digest" }
