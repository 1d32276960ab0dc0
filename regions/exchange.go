package regions

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// exchange takes what comes over the links.
type exchange Node

// remoteOf gives what this process keeps for the link's other end.
func (x *exchange) remoteOf(l *peer.Link) *remote {
	r, ok := l.Value.(*remote)
	if !ok {
		r = &remote{node: (*Node)(x), link: l}
		l.Value = r
	}
	return r
}

// Up implements peer.Handler.
func (x *exchange) Up(l *peer.Link) {
	x.remoteOf(l)
	x.log.Info("stream to a peer is open", "peer", l.ID(), "version", l.Peer().GetVersion())
	x.bus.rerouteAll()
	x.mover.wakeUp()
	x.router.tellOwner(l.ID())
}

// Down implements peer.Handler.
func (x *exchange) Down(l *peer.Link, why error) {
	x.log.Info("stream to a peer broke", "peer", l.ID(), "error", why)
	x.remoteOf(l).forget()
	(*Node)(x).look() // it may have left
	x.releases.failHolder(l.ID())
	x.bus.rerouteAll()
}

// FrameEnd implements peer.Handler.
func (x *exchange) FrameEnd(l *peer.Link) { x.remoteOf(l).flush() }

// Receive implements peer.Handler.
func (x *exchange) Receive(l *peer.Link, kind peer.Kind, payload []byte, waited time.Duration) error {
	r := x.remoteOf(l)
	if kind == peer.KindCell {
		return r.takeCell(payload, waited)
	}
	r.flush() // what came before must be told before
	if kind < peer.KindOutcome {
		return x.toOwner(r, kind, payload, waited)
	}
	return x.toGateway(r, kind, payload, waited)
}

// toOwner takes what is for this process's owner.
func (x *exchange) toOwner(r *remote, kind peer.Kind, payload []byte, waited time.Duration) error {
	owner := x.parts.Owner
	switch kind {
	case peer.KindAct:
		m := new(clusterv1.RoutedAct)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if owner == nil {
			r.NotMine(x.notMine(&clusterv1.NotMine{Shard: m.GetShard(), Session: m.GetSession(), Number: m.GetAct().GetNumber()}))
			return nil
		}
		m.AgeUs = addAge(m.AgeUs, waited)
		owner.Act(r, m)
	case peer.KindControl:
		m := new(clusterv1.Control)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if owner == nil {
			r.NotMine(x.notMine(&clusterv1.NotMine{Shard: m.GetShard(), Request: m.GetRequest()}))
			return nil
		}
		owner.Control(r, m)
	case peer.KindRead:
		m := new(clusterv1.ReadCell)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if owner == nil {
			r.NotMine(x.notMine(&clusterv1.NotMine{Shard: m.GetShard(), Request: m.GetRequest()}))
			return nil
		}
		owner.ReadCell(r, m)
	case peer.KindRenew:
		m := new(clusterv1.Renew)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if owner != nil {
			(*Node)(x).checkView(m.GetShard())
			owner.Renew(r, m)
		}
	default:
		return x.betweenOwners(r, kind, payload)
	}
	return nil
}

// checkView reads the directory again if a peer takes this process for the owner
// of a shard that should be another one's as far as it is known here.
func (n *Node) checkView(shard *clusterv1.ShardId) {
	if n.Owner(world.ShardOf(shard)) != n.id {
		n.look()
	}
}

func (x *exchange) betweenOwners(r *remote, kind peer.Kind, payload []byte) error {
	owner := x.parts.Owner
	switch kind {
	case peer.KindWatch:
		m := new(clusterv1.Watch)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		r.watch(world.ShardOf(m.GetShard()), world.Cell(m.GetCell()), m.GetWatchers())
	case peer.KindParcel:
		m := new(clusterv1.ParcelEnvelope)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if owner != nil {
			(*Node)(x).checkView(m.GetOutgoing().GetTarget())
			owner.Parcel(m)
		}
	case peer.KindParcelAck:
		m := new(clusterv1.ParcelAck)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if owner != nil {
			(*Node)(x).checkView(m.GetSource())
			owner.ParcelAck(m)
		}
	case peer.KindRelease:
		m := new(clusterv1.ReleaseShard)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		(*Node)(x).releaseFor(r, m)
	}
	return nil
}

// toGateway takes what is for this process's gateway.
func (x *exchange) toGateway(r *remote, kind peer.Kind, payload []byte, waited time.Duration) error {
	edge := x.parts.Edge
	switch kind {
	case peer.KindReleaseReply:
		m := new(clusterv1.ReleaseReply)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		x.releases.reply(r.link.ID(), m.GetRequest(), m.GetReleased())
	case peer.KindOutcome:
		m := new(clusterv1.RoutedOutcome)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if edge != nil {
			m.AgeUs = addAge(m.AgeUs, waited)
			edge.Outcome(m)
		}
	case peer.KindControlReply:
		m := new(clusterv1.ControlReply)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if edge != nil {
			edge.ControlReply(m)
		}
	case peer.KindSession:
		m := new(clusterv1.SessionNotice)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		if edge != nil {
			edge.SessionNotice(m)
		}
	case peer.KindNotMine:
		m := new(clusterv1.NotMine)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		x.takeNotMine(m)
	default:
		return x.toBus(r, kind, payload)
	}
	return nil
}

func (x *exchange) toBus(r *remote, kind peer.Kind, payload []byte) error {
	switch kind {
	case peer.KindDigest:
		m := new(clusterv1.Digest)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		x.bus.follower.digest(r.link.ID(), decodeDigest(m, time.Now()))
	case peer.KindWatching:
		m := new(clusterv1.Watching)
		if err := m.UnmarshalVT(payload); err != nil {
			return err
		}
		x.bus.follower.watching(r.link.ID(), world.ShardOf(m.GetShard()), world.Cell(m.GetCell()))
	}
	return nil
}

// takeNotMine follows the hint, and tells the gateway of what was refused. One
// that refuses nothing only says where a shard went.
func (x *exchange) takeNotMine(m *clusterv1.NotMine) {
	x.router.follow(world.ShardOf(m.GetShard()), m.GetOwner())
	if x.parts.Edge != nil && (m.GetSession() != 0 || m.GetRequest() != 0) {
		x.parts.Edge.NotMine(m)
	}
}

// notMine says who should serve the shard.
func (x *exchange) notMine(not *clusterv1.NotMine) *clusterv1.NotMine {
	not.Owner = (*Node)(x).Owner(world.ShardOf(not.GetShard()))
	not.Later = not.Owner == "" || not.Owner == x.id
	return not
}
