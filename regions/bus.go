package regions

import (
	"fmt"
	"sync"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/world"
)

// Bus is the bus of cells over the links: what the owner here publishes goes to
// the process's broker, and from there to its own gateway and over the links to
// the others that watch. A subscription asks, for each shard, the owner that
// serves it, and asks again when that changes.
type Bus struct {
	node *Node

	mu            sync.RWMutex
	subscriptions map[*subscription]struct{}
	closed        bool
	running       sync.WaitGroup
}

var _ pubsub.Bus = (*Bus)(nil)

func newBus(n *Node) *Bus {
	return &Bus{node: n, subscriptions: map[*subscription]struct{}{}}
}

// Publish implements pubsub.Publisher.
func (b *Bus) Publish(batch []pubsub.Message) { b.node.parts.Broker.Publish(batch) }

// PublishDigest implements pubsub.Publisher.
func (b *Bus) PublishDigest(d pubsub.Digest) { b.node.parts.Broker.PublishDigest(d) }

// Subscribe implements pubsub.Bus. Callbacks never come from within Watch or
// Close, and may call both. One that runs may still end after Close returned.
func (b *Bus) Subscribe(subscriber string, h pubsub.Handler) pubsub.Subscription {
	s := newSubscription(b, subscriber, h)
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

// Healthy implements pubsub.Bus: false while an owner cannot be reached that the
// directory holds for alive.
func (b *Bus) Healthy() (bool, string) {
	v := b.node.View()
	if v == nil {
		return false, "not in the directory"
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.ID == b.node.id || !n.Alive || n.Left || !n.Has(directory.RoleOwner) {
			continue
		}
		if link := b.node.mesh.Link(n.ID); link == nil || !link.Up() {
			return false, fmt.Sprintf("no stream to owner %s at %s", n.ID, n.Address)
		}
	}
	if b.node.parts.Broker != nil {
		return b.node.parts.Broker.Healthy()
	}
	return true, ""
}

// Close does nothing: the bus ends with its node.
func (b *Bus) Close() error { return nil }

func (b *Bus) close() {
	b.mu.Lock()
	b.closed = true
	for s := range b.subscriptions {
		s.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
}

func (b *Bus) forget(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subscriptions, s)
}

func (b *Bus) each(f func(*subscription)) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for s := range b.subscriptions {
		f(s)
	}
}

// messages hands what a process published on to those who follow it there.
func (b *Bus) messages(from string, batch []pubsub.Message) {
	b.each(func(s *subscription) { s.messages(from, batch) })
}

func (b *Bus) digest(from string, d pubsub.Digest) {
	b.each(func(s *subscription) { s.digest(from, d) })
}

func (b *Bus) watching(from string, shard world.ShardID, cell world.Cell) {
	b.each(func(s *subscription) { s.watching(from, shard, cell) })
}

// reconsider makes the subscriptions look for the owner of a shard again.
func (b *Bus) reconsider(shard world.ShardID) {
	b.each(func(s *subscription) { s.reconsider(shard) })
}

func (b *Bus) reconsiderAll() { b.each((*subscription).reconsiderAll) }
