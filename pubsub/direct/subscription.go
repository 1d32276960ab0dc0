package direct

import (
	"sync"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/internal/fanout"
	"github.com/starling-vr/starling/world"
)

// subscription keeps a queue of wishes, which its own goroutine carries out:
// Watch returns at once, and confirmations come from outside of it.
type subscription struct {
	broker     *Broker
	subscriber *fanout.Subscriber
	wake       chan struct{}

	mu     sync.Mutex
	wishes []wish

	watched map[place]struct{} // of the goroutine alone
}

type place struct {
	shard world.ShardID
	cell  world.Cell
}

type wish struct {
	place
	watchers uint32
}

func newSubscription(b *Broker, h pubsub.Handler) *subscription {
	return &subscription{broker: b, subscriber: fanout.NewSubscriber(h), wake: make(chan struct{}, 1), watched: make(map[place]struct{})}
}

// Watch is described at pubsub.Subscription.
func (s *subscription) Watch(shard world.ShardID, cell world.Cell, watchers uint32) {
	if s.subscriber.Closed() {
		return
	}
	s.mu.Lock()
	s.wishes = append(s.wishes, wish{place{shard, cell}, watchers})
	s.mu.Unlock()
	s.signal()
}

// Close ends the subscription. A callback that is running may still finish
// after it returns.
func (s *subscription) Close() {
	s.subscriber.Close()
	s.signal()
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscription) run() {
	defer s.leave()
	var wishes []wish
	for range s.wake {
		if s.subscriber.Closed() {
			return
		}
		wishes = s.take(wishes)
		for _, w := range wishes {
			s.apply(w)
		}
	}
}

// take swaps the queue for an empty one.
func (s *subscription) take(empty []wish) (wishes []wish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wishes, s.wishes = s.wishes, empty[:0]
	return wishes
}

func (s *subscription) apply(w wish) {
	if w.watchers > 0 {
		s.watched[w.place] = struct{}{}
	} else {
		delete(s.watched, w.place)
	}
	s.broker.boards.Watch(s.subscriber, w.shard, w.cell, w.watchers)
}

func (s *subscription) leave() {
	for p := range s.watched {
		s.apply(wish{place: p})
	}
	s.broker.forget(s)
}
