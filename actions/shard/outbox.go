package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// outbox holds what was sent to one target and not yet acknowledged.
type outbox struct {
	sent      uint64 // the last number given
	committed uint64 // the last number whose batch is committed
	delivered uint64 // the last number acknowledged
	entries   []*clusterv1.Outgoing

	// After a loss the target leaves aside what follows. While there is more to
	// repeat than may be sent at a time, each acknowledgement lets more go, and
	// what is new waits its turn.
	repeating bool
	repeated  uint64 // the last number sent meanwhile
}

// watermark is the last number taken from one source.
type watermark struct {
	source    world.ShardID
	number    uint64
	committed uint64
	open      bool // in the open batch's list
}

// resendAtOnce bounds the parcels of one target that are sent again before an
// acknowledgement comes.
const resendAtOnce = 64

func (s *Shard) outbox(target world.ShardID) *outbox {
	o := s.outboxes[target]
	if o == nil {
		o = &outbox{}
		s.outboxes[target] = o
	}
	return o
}

// send puts a parcel into the open batch; it leaves with its commit.
func (s *Shard) send(target world.ShardID, parcel *clusterv1.Parcel) {
	o := s.outbox(target)
	o.sent++
	out := &clusterv1.Outgoing{Target: ShardMessage(target), Number: o.sent, Parcel: parcel}
	o.entries = append(o.entries, out)
	s.open.parcels = append(s.open.parcels, out)
	s.open.dirty = true
}

func (s *Shard) envelope(out *clusterv1.Outgoing) Tell {
	return Tell{Target: ShardOf(out.Target), Parcel: &clusterv1.ParcelEnvelope{
		Source: ShardMessage(s.id), SourceEpoch: s.tail.Epoch, Outgoing: out, ReplyTo: s.config.Node,
	}}
}

// resend sends again what was committed and not acknowledged.
func (s *Shard) resend() {
	for _, o := range s.outboxes {
		o.repeating, o.repeated = len(o.entries) > 0, o.delivered
		s.repeatMore(o)
	}
}

// repeatMore sends again as much as may go now.
func (s *Shard) repeatMore(o *outbox) {
	for o.repeating && o.repeated < o.delivered+resendAtOnce {
		next := max(o.repeated, o.delivered) + 1
		if next > o.committed {
			o.repeating = false
			return
		}
		s.soon(0, s.envelope(o.entries[next-o.delivered-1]))
		o.repeated = next
	}
}

// ParcelAck takes the acknowledgement of everything up to a number.
func (s *Shard) ParcelAck(now time.Time, ack *clusterv1.ParcelAck) {
	target := ShardOf(ack.Target)
	o := s.outboxes[target]
	if o == nil || ack.Number <= o.delivered || ack.Number > o.committed {
		return
	}
	for len(o.entries) > 0 && o.entries[0].Number <= ack.Number {
		s.accepted(o.entries[0])
		o.entries[0] = nil
		o.entries = o.entries[1:]
	}
	if len(o.entries) == 0 {
		o.entries = nil
	}
	o.delivered = ack.Number
	s.repeatMore(o)
	s.open.record.Delivered = append(s.open.record.Delivered, &clusterv1.Delivered{Target: ack.Target, Number: ack.Number})
	if s.open.lazy.IsZero() {
		s.open.lazy = now
	}
}

// Parcel takes what another shard sent. Each number is taken once, in order.
func (s *Shard) Parcel(now time.Time, in *clusterv1.ParcelEnvelope) {
	source, number := ShardOf(in.Source), in.GetOutgoing().GetNumber()
	if ShardOf(in.GetOutgoing().GetTarget()) != s.id || source == s.id {
		return
	}
	mark := s.watermark(source)
	switch {
	case number <= mark.number:
		if number <= mark.committed {
			s.soon(0, s.ack(source, mark.committed))
		}
		return
	case number > mark.number+1:
		return // an earlier one was lost: it will be sent again, and this one too
	}
	mark.number = number
	if !mark.open {
		mark.open = true
		s.open.marks = append(s.open.marks, mark)
	}
	s.open.dirty = true
	switch parcel := in.Outgoing.GetParcel().GetIs().(type) {
	case *clusterv1.Parcel_HandOver:
		s.arrive(now, parcel.HandOver)
	case *clusterv1.Parcel_Action:
		s.runForwarded(now, source, parcel.Action)
	case *clusterv1.Parcel_Outcome:
		s.forwardedOutcome(now, parcel.Outcome)
	case *clusterv1.Parcel_Registration:
		s.registrationArrives(now, parcel.Registration)
	}
}

func (s *Shard) watermark(source world.ShardID) *watermark {
	mark := s.watermarks[source]
	if mark == nil {
		mark = &watermark{source: source}
		s.watermarks[source] = mark
	}
	return mark
}

func (s *Shard) ack(source world.ShardID, number uint64) Tell {
	return Tell{Target: source, Ack: &clusterv1.ParcelAck{Source: ShardMessage(source), Target: ShardMessage(s.id), Number: number}}
}

// commitMark acknowledges what the committed batch accepted. A later number may
// already be in the open batch; that one is acknowledged with it.
func (s *Shard) commitMark(mark *watermark, b *batch) {
	number := mark.number
	for _, w := range b.record.Watermarks {
		if ShardOf(w.Source) == mark.source {
			number = w.Number
		}
	}
	mark.committed = number
	b.tells = append(b.tells, s.ack(mark.source, number))
}
