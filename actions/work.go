package actions

import (
	"sync"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

type workKind uint8

const (
	kindAct workKind = iota
	kindRefusal
	kindControl
	kindRenew
	kindRead
	kindParcel
	kindAck
	kindTick
)

// work is one invocation on a shard. It is reused.
type work struct {
	invocation invoke.Invocation
	shard      *served
	kind       workKind
	act        shard.Act
	refusal    *invoke.Refusal
	gateway    string
	control    *clusterv1.Control
	renew      *clusterv1.Renew
	read       *clusterv1.ReadCell
	parcel     *clusterv1.ParcelEnvelope
	ack        *clusterv1.ParcelAck
}

var works = sync.Pool{New: func() any { return new(work) }}

func (h *Host) work(kind workKind) *work {
	w := works.Get().(*work)
	w.kind = kind
	w.invocation.Payload = w
	return w
}

func (w *work) done() {
	*w = work{}
	works.Put(w)
}

// submit queues the work at its shard's key.
func (s *served) submit(w *work) {
	w.shard = s
	w.invocation.Key = s.key
	if w.kind == kindAct {
		w.invocation.Sender = uint64(w.act.Session)
		w.invocation.Arrived = s.host.options.Scheduler.Now().Add(-s.host.options.Clock().Sub(w.act.Arrived))
	}
	err := s.enqueue(w)
	if err == nil {
		return
	}
	why, _ := err.(*invoke.Refusal)
	if w.kind == kindAct && why != nil && why.Reason != invoke.KeyClosed {
		// The refusal takes its turn behind the session's earlier actions.
		w.kind, w.refusal = kindRefusal, why
		w.invocation = invoke.Invocation{Key: s.key, Payload: w}
		if s.host.own.refusals.Submit(&w.invocation) == nil {
			return
		}
	}
	s.host.notMine(s.id, w, true)
}

// enqueue submits the work.
func (s *served) enqueue(w *work) error {
	f := s.host.runs(w)
	if w.kind == kindAct && s.host.options.Lending {
		return f.SubmitLending(&w.invocation)
	}
	return f.Submit(&w.invocation)
}

// runs gives the deployed function under whose contract the work runs.
func (h *Host) runs(w *work) *invoke.Function {
	switch w.kind {
	case kindAct:
		if deployed := h.functions[shard.Name(w.act.Act)]; deployed != nil {
			return deployed
		}
		return h.own.refusals
	case kindRead:
		return h.own.reads
	}
	return h.own.shards
}

// runWork is the body of all deployed functions.
func runWork(inv *invoke.Invocation) {
	w := inv.Payload.(*work)
	w.shard.run(w)
}

// refuseWork is called for what was queued and will not run.
func refuseWork(inv *invoke.Invocation, why *invoke.Refusal) {
	w := inv.Payload.(*work)
	if w.kind == kindAct && why.Reason != invoke.KeyClosed {
		w.kind, w.refusal = kindRefusal, why
		w.shard.run(w)
		return
	}
	if w.kind == kindTick {
		w.shard.ticking.Store(false)
	}
	w.shard.host.notMine(w.shard.id, w, true)
}

func afterRun(key *invoke.Key) { key.Value().(*served).seal() }

// refusalCode translates a scheduler's refusal.
func refusalCode(r *invoke.Refusal) (starlingv1.Code, string) {
	switch r.Reason {
	case invoke.TooLate:
		return starlingv1.Code_TOO_LATE_TO_START, "it could not have finished in time"
	case invoke.SenderOverShare:
		return starlingv1.Code_BUSY, "the shard is busy and you already have your share of its queue"
	}
	return starlingv1.Code_BUSY, "the shard is busy"
}

// notMine answers work that this process will not do, and frees it.
func (h *Host) notMine(id world.ShardID, w *work, later bool) {
	m := &clusterv1.NotMine{Shard: world.ShardMessage(id), Later: later}
	if later {
		m.Owner = h.options.Node
	} else if owner := h.options.Assignment.Owner(id); owner != h.options.Node {
		m.Owner, m.Later = owner, owner == ""
	}
	gateway := w.gateway
	switch w.kind {
	case kindAct, kindRefusal:
		gateway = w.act.Gateway
		m.Session, m.Number = uint64(w.act.Session), w.act.Act.GetNumber()
	case kindControl:
		m.Request = w.control.GetRequest()
	case kindRead:
		m.Request = w.read.GetRequest()
	default: // parcels, acknowledgements and renewals are sent again anyhow
		w.done()
		return
	}
	w.done()
	if edge, ok := h.edges.Load(gateway); ok {
		edge.(Edge).NotMine(m)
	}
}

func validParent(cell uint64, resolution int) bool {
	return hex.Valid(world.Cell(cell)) && hex.Resolution(world.Cell(cell)) == resolution
}
