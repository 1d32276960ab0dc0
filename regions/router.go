package regions

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// Router takes what this process's gateway has to say to owners to the owner
// that serves the shard, in this process or elsewhere. Answers come through the
// actions.Edge handed in, or, from elsewhere, through that of Parts: they are to
// be the same. Its methods do not block, and may be called from many
// goroutines.
//
// What cannot be sent now is answered with NotMine{later} before the method
// returns (Renew is not answered: it is sent again anyway). What was sent may be
// lost with the stream: Listen tells.
type Router struct {
	node *Node

	hints     sync.Map // world.ShardID -> hint
	hintCount atomic.Int64

	mu        sync.Mutex
	listeners []func(func(world.ShardID) bool)
}

// Listen calls f whenever the way to some shards may have changed: the stream to
// their owner broke and is open again, or another owner should serve them now.
// What was sent for these shards and not answered may be lost, and has to be
// sent again under the same numbers (it may have been taken all the same).
// affected says which shards they are, as long as f runs. f must not block.
func (r *Router) Listen(f func(affected func(world.ShardID) bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = append(r.listeners, f)
}

func (r *Router) tell(affected func(world.ShardID) bool) {
	r.mu.Lock()
	listeners := r.listeners
	r.mu.Unlock()
	for _, f := range listeners {
		f(affected)
	}
}

// tellOwner tells of all shards that go to a process.
func (r *Router) tellOwner(owner string) {
	r.tell(func(shard world.ShardID) bool { return r.Owner(shard) == owner })
}

// hint is an owner's word that another one serves a shard.
type hint struct {
	owner string
	until time.Time
}

func newRouter(n *Node) *Router { return &Router{node: n} }

// Owner names the process to which messages for the shard go now, "" if there
// is none.
func (r *Router) Owner(shard world.ShardID) string {
	if r.hintCount.Load() > 0 {
		if v, ok := r.hints.Load(shard); ok {
			if h := v.(hint); time.Now().Before(h.until) && r.node.Alive(h.owner) {
				return h.owner
			}
		}
	}
	return r.node.Owner(shard)
}

// follow keeps a hint for a while.
func (r *Router) follow(shard world.ShardID, owner string) {
	if owner == "" || owner == r.Owner(shard) {
		return
	}
	if v := r.node.View(); v == nil || v.Node(owner) == nil || !v.Node(owner).Alive {
		r.node.look()
		return
	}
	h := hint{owner: owner, until: time.Now().Add(r.node.options.HintTime)}
	if _, was := r.hints.Swap(shard, h); !was {
		r.hintCount.Add(1)
	}
	r.node.bus.reroute(shard)
	r.tell(func(s world.ShardID) bool { return s == shard })
	time.AfterFunc(r.node.options.HintTime, func() {
		if r.hints.CompareAndDelete(shard, h) {
			r.hintCount.Add(-1)
			r.node.bus.reconsider(shard)
		}
	})
}

// Act sends an action. The message is the receiver's.
func (r *Router) Act(from actions.Edge, act *clusterv1.RoutedAct) {
	link, local := r.way(act.GetShard())
	if local {
		r.node.parts.Owner.Act(from, act)
	} else if link == nil || link.Send(peer.KindAct, act) != nil {
		r.later(from, &clusterv1.NotMine{Shard: act.GetShard(), Session: act.GetSession(), Number: act.GetAct().GetNumber(), Later: true})
	}
}

// Control sends a change of sessions.
func (r *Router) Control(from actions.Edge, control *clusterv1.Control) {
	link, local := r.way(control.GetShard())
	if local {
		r.node.parts.Owner.Control(from, control)
	} else if link == nil || link.Send(peer.KindControl, control) != nil {
		r.later(from, &clusterv1.NotMine{Shard: control.GetShard(), Request: control.GetRequest(), Later: true})
	}
}

// ReadCell asks for a baseline.
func (r *Router) ReadCell(from actions.Edge, read *clusterv1.ReadCell) {
	link, local := r.way(read.GetShard())
	if local {
		r.node.parts.Owner.ReadCell(from, read)
	} else if link == nil || link.Send(peer.KindRead, read) != nil {
		r.later(from, &clusterv1.NotMine{Shard: read.GetShard(), Request: read.GetRequest(), Later: true})
	}
}

// Renew keeps sessions present.
func (r *Router) Renew(from actions.Edge, renew *clusterv1.Renew) {
	link, local := r.way(renew.GetShard())
	if local {
		r.node.parts.Owner.Renew(from, renew)
	} else if link != nil {
		_ = link.Send(peer.KindRenew, renew)
	}
}

// way gives the link to the owner of a shard, nil if there is none, or local.
func (r *Router) way(shard *clusterv1.ShardId) (link *peer.Link, local bool) {
	return r.node.reach(r.Owner(world.ShardOf(shard)))
}

// later refuses for now.
func (r *Router) later(from actions.Edge, not *clusterv1.NotMine) {
	r.node.metrics.unroutable.Inc()
	from.NotMine(not)
}

// reach gives the link to a process, nil if there is none, or local.
func (n *Node) reach(id string) (link *peer.Link, local bool) {
	switch id {
	case "":
		return nil, false
	case n.id:
		return nil, n.parts.Owner != nil
	}
	return n.mesh.Link(id), false
}

// SendParcel implements actions.Network.
func (n *Node) SendParcel(target world.ShardID, envelope *clusterv1.ParcelEnvelope) {
	link, local := n.reach(n.router.Owner(target))
	if local {
		n.parts.Owner.Parcel(envelope)
	} else if link != nil {
		_ = link.Send(peer.KindParcel, envelope)
	}
}

// SendParcelAck implements actions.Network.
func (n *Node) SendParcelAck(source world.ShardID, ack *clusterv1.ParcelAck) {
	link, local := n.reach(n.router.Owner(source))
	if local {
		n.parts.Owner.ParcelAck(ack)
	} else if link != nil {
		_ = link.Send(peer.KindParcelAck, ack)
	}
}
