package actions

import (
	"time"

	"github.com/starling-vr/starling/actions/shard"
)

// tellImmediate tells what need not wait for a commit. The caller holds mu.
func (s *served) tellImmediate() {
	s.tells = s.machine.Immediate(s.tells[:0])
	if len(s.tells) == 0 {
		return
	}
	if s.host.options.Assignment.LeaseValid() {
		s.host.tell(s.tells)
	} else {
		s.host.metrics.silenced.Add(float64(len(s.tells)))
	}
	clear(s.tells)
}

// tell brings each to whom it is for. Who is not known (any longer) asks again.
func (h *Host) tell(tells []shard.Tell) {
	now := h.options.Clock()
	for i := range tells {
		h.tellOne(now, &tells[i])
	}
}

func (h *Host) tellOne(now time.Time, t *shard.Tell) {
	switch {
	case t.Parcel != nil:
		h.metrics.parcels.Inc()
		h.network.SendParcel(t.Target, t.Parcel)
		return
	case t.Ack != nil:
		h.network.SendParcelAck(t.Target, t.Ack)
		return
	}
	known, ok := h.edges.Load(t.Gateway)
	if !ok {
		h.metrics.unheard.Inc()
		return
	}
	edge := known.(Edge)
	switch {
	case t.Outcome != nil:
		t.Outcome.AgeUs = ageMicros(now, t.Arrived)
		h.metrics.outcome(t.Outcome.GetOutcome().GetCode())
		edge.Outcome(t.Outcome)
	case t.Reply != nil:
		edge.ControlReply(t.Reply)
	case t.NotMine != nil:
		edge.NotMine(t.NotMine)
	case t.Notice != nil:
		edge.SessionNotice(t.Notice)
	case t.Baseline != nil:
		edge.Baseline(*t.Baseline)
	}
}
