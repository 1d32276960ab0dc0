package regions

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/world"
)

// Bus is the bus of cells over the links: what the owner here publishes goes to
// the process's broker, and from there to its own gateway and over the links to
// the others that watch. For its subscribers it asks, for each shard, the owner
// that serves it, once for all of them, and asks again when that changes.
type Bus struct {
	node *Node
	*wishes
	follower *follower
	start    sync.Once
	running  sync.WaitGroup
}

var _ pubsub.Bus = (*Bus)(nil)

func newBus(n *Node) *Bus {
	b := &Bus{node: n, wishes: newWishes()}
	b.follower = newFollower(n, b.wishes)
	return b
}

// reroute follows a shard whose route may have changed. When it returns the owner
// that serves it now was asked: what is sent to it afterwards is heard of.
func (b *Bus) reroute(shard world.ShardID) {
	b.reconsider(shard)
	b.follower.turn()
}

// rerouteAll is reroute of all shards.
func (b *Bus) rerouteAll() {
	b.reconsiderAll()
	b.follower.turn()
}

// Publish implements pubsub.Publisher.
func (b *Bus) Publish(batch []pubsub.Message) { b.node.parts.Broker.Publish(batch) }

// PublishDigest implements pubsub.Publisher.
func (b *Bus) PublishDigest(d pubsub.Digest) { b.node.parts.Broker.PublishDigest(d) }

// Subscribe implements pubsub.Bus. Callbacks never come from within Watch or
// Close, and may call both. One that runs may still end after Close returned.
func (b *Bus) Subscribe(_ string, h pubsub.Handler) pubsub.Subscription {
	b.start.Do(func() { b.running.Go(b.follower.run) })
	return &subscription{wishes: b.wishes, handler: h}
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
	b.start.Do(func() {})
	b.wishes.end()
	b.running.Wait()
}

// subscription is one subscriber.
type subscription struct {
	*wishes
	handler pubsub.Handler
	closed  atomic.Bool
}

// Watch implements pubsub.Subscription.
func (s *subscription) Watch(shard world.ShardID, cell world.Cell, watchers uint32) {
	if !s.closed.Load() {
		s.set(s, place{shard, cell}, watchers)
	}
}

// Close implements pubsub.Subscription.
func (s *subscription) Close() {
	if !s.closed.Swap(true) {
		s.drop(s)
	}
}
