package regions

import (
	"context"
	"fmt"
	"sync"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// mover releases the shards that should be elsewhere: after a better owner
// came, and while this process is drained. A few at a time.
type mover struct {
	node *Node
	wake chan struct{}

	mu     sync.Mutex
	moving map[world.ShardID]struct{}
}

const (
	moveEvery    = time.Second // look again, should a wake-up have found the way not yet open
	drainPolling = 50 * time.Millisecond
)

func (m *mover) init(n *Node) {
	m.node, m.wake, m.moving = n, make(chan struct{}, 1), map[world.ShardID]struct{}{}
}

func (m *mover) wakeUp() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mover) run() {
	if m.node.parts.Owner == nil {
		return
	}
	tick := time.NewTicker(moveEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.node.ctx.Done():
			return
		case <-tick.C:
		case <-m.wake:
		}
		m.look()
	}
}

// look starts as many moves as may run.
func (m *mover) look() {
	n := m.node
	if !n.LeaseValid() {
		return
	}
	for _, s := range n.parts.Shards() {
		shard := s.Shard
		to := n.Owner(shard)
		if to == n.id || !n.canGo(to) {
			continue
		}
		if !m.begin(shard) {
			continue
		}
		n.parts.Owner.Release(shard, func() {
			m.end(shard)
			n.moved(shard, to)
			n.warm(shard, to)
			m.wakeUp()
		})
	}
}

// canGo says whether shards may be released to a process: to one that cannot be
// reached they would only be lost for a while. With none at all ("") they stay,
// unless this process is on its way out.
func (n *Node) canGo(to string) bool {
	if to == "" {
		self := n.View().Node(n.id)
		return self != nil && self.Draining
	}
	link := n.mesh.Link(to)
	return link != nil && link.Up()
}

func (m *mover) begin(shard world.ShardID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, already := m.moving[shard]; already || len(m.moving) >= m.node.options.MoveAtOnce {
		return false
	}
	m.moving[shard] = struct{}{}
	return true
}

func (m *mover) end(shard world.ShardID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.moving, shard)
}

// warm sends the new owner a message about the shard, so that it loads it
// before the first action waits for it.
func (n *Node) warm(shard world.ShardID, to string) {
	if link, _ := n.reach(to); link != nil {
		_ = link.Send(peer.KindRenew, &clusterv1.Renew{Shard: world.ShardMessage(shard), Gateway: n.id})
	}
}

// Drain hands all shards over and takes no new ones, until Undrain. It returns
// when none is left, or with an error when ctx ends first (the draining goes on).
func (n *Node) Drain(ctx context.Context) error {
	member := n.member.Load()
	if member == nil {
		return nil
	}
	member.SetDraining(true)
	if n.parts.Owner == nil {
		return nil
	}
	tick := time.NewTicker(drainPolling)
	defer tick.Stop()
	for {
		if self := n.View().Node(n.id); self != nil && self.Draining {
			left := len(n.parts.Shards())
			if left == 0 {
				return nil
			}
			m := &n.mover
			m.wakeUp()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("drained, but for %d shards: %w", len(n.parts.Shards()), context.Cause(ctx))
		case <-n.ctx.Done():
			return fmt.Errorf("drained, but for %d shards: the node was closed", len(n.parts.Shards()))
		case <-tick.C:
		}
	}
}

// Undrain calls Drain off.
func (n *Node) Undrain() {
	if member := n.member.Load(); member != nil {
		member.SetDraining(false)
	}
}
