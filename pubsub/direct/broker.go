// Package direct is the bus inside one process: an owner publishes, and the
// process's own gateway, or the near end of a stream to a gateway elsewhere,
// hears of the cells that it watches and of no others.
package direct

import (
	"sync"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/internal/fanout"
	"github.com/starling-vr/starling/world"
)

// Broker is a pubsub.Bus in one process. The zero value is not usable: call New.
type Broker struct {
	boards *fanout.Boards

	mu            sync.Mutex
	subscriptions map[*subscription]struct{}
	closed        bool
	running       sync.WaitGroup
}

var _ pubsub.Bus = (*Broker)(nil)

// New makes a broker without subscribers.
func New() *Broker {
	return &Broker{boards: fanout.New(), subscriptions: make(map[*subscription]struct{})}
}

// Publish hands each subscriber, in one call, those messages of batch whose
// cells it watches. It allocates nothing once the subscribers' buffers have
// grown, and never waits for a subscriber.
func (b *Broker) Publish(batch []pubsub.Message) { b.boards.Publish(batch) }

// PublishDigest hands digest to every subscriber that watches a cell of the
// shard. Where Watchers of a cell is 0 it fills in what it knows.
func (b *Broker) PublishDigest(digest pubsub.Digest) { b.boards.PublishDigest(digest) }

// Watchers is the number of participants who watch a cell, over all
// subscribers of this broker.
func (b *Broker) Watchers(shard world.ShardID, cell world.Cell) uint32 {
	return b.boards.Watchers(shard, cell)
}

// WatchedCells is the number of cells of a shard that anybody watches: with 0
// nobody would miss the shard.
func (b *Broker) WatchedCells(shard world.ShardID) int { return b.boards.WatchedCells(shard) }

// Subscribe registers a subscriber, named for logs by the caller. Callbacks
// come from the publishing goroutine (Messages, Digest) and from one goroutine
// of the subscription (Watching), one at a time for each shard, and never from
// within Watch. A callback may call Watch and Close. Lost never comes.
func (b *Broker) Subscribe(_ string, h pubsub.Handler) pubsub.Subscription {
	s := newSubscription(b, h)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.Close()
		return s
	}
	b.subscriptions[s] = struct{}{}
	b.running.Go(s.run)
	return s
}

// Healthy is always true: nothing lies between publisher and subscriber.
func (b *Broker) Healthy() (bool, string) { return true, "" }

// Close ends all subscriptions and waits for their goroutines.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	for s := range b.subscriptions {
		s.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
	return nil
}

func (b *Broker) forget(s *subscription) {
	b.mu.Lock()
	delete(b.subscriptions, s)
	b.mu.Unlock()
}
