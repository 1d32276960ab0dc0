package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// replay applies a batch of the log.
func (s *Shard) replay(b *clusterv1.Batch) {
	for _, change := range b.Places {
		s.place = change
	}
	s.replayCells(b.Cells)
	for _, o := range b.Ownership {
		if e := s.entities[world.EntityID(o.GetEntity())]; e != nil {
			e.owner, e.session = o.GetParticipant(), world.SessionID(o.GetSession())
		}
	}
	for _, opened := range b.SessionsOpened {
		s.replayOpened(opened)
	}
	for _, out := range b.Outgoing {
		s.replayOutgoing(out)
	}
	for _, out := range b.Outcomes {
		s.replayOutcome(out)
	}
	for _, closed := range b.SessionsClosed {
		id := world.SessionID(closed.GetSession())
		delete(s.sessions, id)
		if closed.GetWhy() == clusterv1.SessionClosed_MOVED {
			s.forwarding[id] = forwarding{to: world.ShardOf(closed.GetForwardTo())}
			continue
		}
		s.ended[id] = ended{why: closed.GetWhy()}
	}
	for _, d := range b.Delivered {
		s.replayDelivered(d)
	}
	for _, w := range b.Watermarks {
		s.replayWatermark(w)
	}
	for _, r := range b.Registrations {
		s.keepRegistration(time.Time{}, r)
	}
	for _, id := range b.ReleasedForwarding {
		delete(s.forwarding, world.SessionID(id))
	}
}

// seen is what the steps of one cell say of an entity.
type seen struct {
	cell  world.Cell
	state state
	gone  bool
}

// replayCells applies the steps. An entity may have gone back and forth between
// cells in one batch; the cell whose last word is not that it left has it.
func (s *Shard) replayCells(deltas []*clusterv1.CellDelta) {
	last := make(map[world.EntityID]seen)
	for _, delta := range deltas {
		steps := new(starlingv1.Steps)
		if delta == nil || steps.UnmarshalVT(delta.Steps) != nil {
			continue
		}
		s.countEvents(world.Cell(delta.Cell), steps)
		for id, now := range s.readSteps(world.Cell(delta.Cell), steps) {
			if before, ok := last[id]; !ok || before.gone {
				last[id] = now
			}
		}
	}
	for id, now := range last {
		if now.gone {
			delete(s.entities, id)
			continue
		}
		e := s.entities[id]
		if e == nil {
			e = &entity{id: id}
			s.entities[id] = e
		}
		e.state = now.state
		delete(s.transits, id)
	}
}

func (s *Shard) countEvents(in world.Cell, steps *starlingv1.Steps) {
	for _, step := range steps.Steps {
		if step.GetEvent() != nil {
			s.cell(in).events++
		}
	}
}

// readSteps gives the last word of a cell on each entity.
func (s *Shard) readSteps(in world.Cell, steps *starlingv1.Steps) map[world.EntityID]seen {
	said := make(map[world.EntityID]seen)
	for _, step := range steps.Steps {
		u := step.GetUpdate()
		if u == nil {
			continue
		}
		id := world.EntityID(u.Entity)
		was, again := said[id]
		now := seen{cell: in, state: updateState(u)}
		now.state.cell = in
		switch u.Change {
		case starlingv1.Change_LEFT, starlingv1.Change_REMOVED:
			now.gone = true
		case starlingv1.Change_CHANGED:
			if !again {
				if e := s.entities[id]; e != nil {
					was.state = e.state
				}
			}
			now.state.kind, now.state.owner, now.state.session = was.state.kind, was.state.owner, was.state.session
			if u.Attributes == nil && was.state.attributes != nil {
				now.state.attributes = was.state.attributes
			}
		default:
			if e := s.entities[id]; e != nil {
				now.state.owner, now.state.session = e.owner, e.session
			}
		}
		said[id] = now
	}
	return said
}

func (s *Shard) replayOpened(opened *clusterv1.SessionOpened) {
	id := world.SessionID(opened.GetSession())
	if x := s.sessions[id]; x != nil && opened.Participant == "" {
		x.gateway, x.attachment = opened.Gateway, opened.Attachment
		return
	}
	x := sessionFrom(opened)
	if x.avatar = s.entities[world.EntityID(opened.GetAvatar())]; x.avatar != nil {
		s.sessions[id] = x
	} // else it came and went in one batch
	delete(s.forwarding, id)
}

func (s *Shard) replayOutcome(out *clusterv1.SessionOutcome) {
	x := s.sessions[world.SessionID(out.GetSession())]
	if x == nil || out.GetOutcome() == nil {
		return
	}
	x.last = out.Outcome.Number
	x.remembered.put(out.Outcome)
	if x.pending != nil && x.pending.number == x.last {
		x.pending = nil
	}
}

func (s *Shard) replayOutgoing(out *clusterv1.Outgoing) {
	o := s.outbox(world.ShardOf(out.GetTarget()))
	if o.sent = max(o.sent, out.GetNumber()); o.sent == out.GetNumber() {
		o.epoch = out.GetEpoch()
	}
	o.entries = append(o.entries, out)
	for _, record := range handedOver(out.GetParcel()) {
		st := stateOf(record)
		id := world.EntityID(record.GetUpdate().GetEntity())
		if e := s.entities[id]; e != nil && e.version.Handovers >= st.version.Handovers {
			continue // it has come back since
		}
		if t := s.transits[id]; t != nil && t.state.version.Handovers >= st.version.Handovers {
			continue // it has come back and left again since
		}
		st.version.Handovers--
		s.transits[id] = &transit{state: st, from: world.Cell(record.GetLeft())}
		delete(s.entities, id)
	}
	if action := out.GetParcel().GetAction(); action != nil {
		if x := s.sessions[world.SessionID(action.Session)]; x != nil && action.GetAct().GetNumber() > x.last {
			x.pending = &pending{number: action.Act.Number, target: world.ShardOf(out.Target)}
		}
	}
}

func (s *Shard) replayWatermark(w *clusterv1.Watermark) {
	mark := s.watermark(world.ShardOf(w.GetSource()))
	mark.number, mark.epoch = w.GetNumber(), w.GetEpoch()
}

func (s *Shard) replayDelivered(d *clusterv1.Delivered) {
	o := s.outbox(world.ShardOf(d.GetTarget()))
	o.delivered = d.GetNumber()
	for len(o.entries) > 0 && o.entries[0].GetNumber() <= o.delivered {
		for _, record := range handedOver(o.entries[0].GetParcel()) {
			id := world.EntityID(record.GetUpdate().GetEntity())
			if t := s.transits[id]; t != nil && t.state.version.Handovers+1 == record.GetUpdate().GetVersion().GetHandovers() {
				delete(s.transits, id)
			}
		}
		o.entries = o.entries[1:]
	}
}
