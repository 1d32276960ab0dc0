package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// outbox holds what was sent to one target and not yet acknowledged.
type outbox struct {
	sent      uint64 // the last number given
	epoch     uint32 // in which it was given
	committed uint64 // the last number whose batch is committed
	delivered uint64 // the last number acknowledged
	entries   []*clusterv1.Outgoing

	// After a loss the target leaves aside what follows. While there is more to
	// repeat than may be sent at a time, each acknowledgement lets more go, and
	// what is new waits its turn.
	repeating bool
	repeated  uint64 // the last number sent meanwhile

	pause    time.Duration // before what is not acknowledged goes again; 0: to be set at the next look
	repeatAt time.Time     // when that is over
}

// watermark is the last number taken from one source.
type watermark struct {
	source    world.ShardID
	number    uint64
	epoch     uint32 // of the source, in which it gave the number
	committed uint64
	settled   uint32 // epoch of committed
	open      bool   // in the open batch's list
}

// Parcels that were not acknowledged go again after firstRepeat and then after
// twice as long each time, up to Limits.Resend: most are lost because a shard
// was between two owners, which takes milliseconds. An acknowledgement, and news
// of the way to the target, begin anew. Outboxes are looked at every repeatLook
// while there is anything in them.
const (
	firstRepeat = 100 * time.Millisecond
	repeatLook  = 50 * time.Millisecond
)

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

// entry finds an entry that was not acknowledged.
func (o *outbox) entry(number uint64) *clusterv1.Outgoing {
	if i := number - o.delivered - 1; i < uint64(len(o.entries)) && o.entries[i].GetNumber() == number {
		return o.entries[i]
	}
	return nil
}

// send puts a parcel into the open batch; it leaves with its commit.
func (s *Shard) send(target world.ShardID, parcel *clusterv1.Parcel) {
	o := s.outbox(target)
	o.sent++
	out := &clusterv1.Outgoing{Target: world.ShardMessage(target), Number: o.sent, Parcel: parcel, Epoch: s.tail.Epoch, Previous: o.epoch}
	o.epoch = s.tail.Epoch
	o.entries = append(o.entries, out)
	s.open.parcels = append(s.open.parcels, out)
	s.open.dirty = true
	s.owing = true
}

func (s *Shard) envelope(out *clusterv1.Outgoing) Tell {
	return Tell{Target: world.ShardOf(out.Target), Parcel: &clusterv1.ParcelEnvelope{
		Source: world.ShardMessage(s.id), SourceEpoch: s.tail.Epoch, Outgoing: out, ReplyTo: s.config.Node,
		Delivered: s.outboxes[world.ShardOf(out.Target)].delivered,
	}}
}

// resend sends again what was committed and not acknowledged in time.
func (s *Shard) resend(now time.Time) {
	s.owing, s.nextResend = false, now.Add(repeatLook)
	for _, o := range s.outboxes {
		s.owing = s.owing || len(o.entries) > 0
		switch {
		case o.committed <= o.delivered:
			o.pause = 0
		case o.pause == 0: // the acknowledgement may be on its way
			o.pause, o.repeatAt = firstRepeat, now.Add(firstRepeat)
		case !now.Before(o.repeatAt):
			o.repeatAt = now.Add(o.pause)
			o.pause = min(2*o.pause, s.limits.Resend)
			o.repeating, o.repeated = true, o.delivered
			s.repeatMore(o)
		}
	}
}

// RoutesChanged says that the way to some shards has changed or is open again:
// what was sent there and not acknowledged goes again with the next Tick. It
// says whether there is anything.
func (s *Shard) RoutesChanged(affected func(world.ShardID) bool) bool {
	due := false
	for target, o := range s.outboxes {
		if o.committed > o.delivered && affected(target) {
			o.pause, o.repeatAt, due = firstRepeat, time.Time{}, true
		}
	}
	if due {
		s.owing, s.nextResend = true, time.Time{}
	}
	return due
}

// repeatMore sends again as much as may go now.
func (s *Shard) repeatMore(o *outbox) {
	for o.repeating && o.repeated < o.delivered+resendAtOnce {
		next := max(o.repeated, o.delivered) + 1
		if next > o.committed {
			o.repeating = false
			return
		}
		if out := o.entry(next); out != nil {
			s.soon(0, s.envelope(out))
		}
		o.repeated = next
	}
}

// ParcelAck takes the acknowledgement of everything up to a number.
func (s *Shard) ParcelAck(now time.Time, ack *clusterv1.ParcelAck) {
	target := world.ShardOf(ack.Target)
	o := s.outboxes[target]
	if o == nil || ack.Number <= o.delivered || ack.Number > o.committed {
		return
	}
	if out := o.entry(ack.Number); out == nil || out.Epoch != ack.Epoch {
		return // of a history that the store has lost
	}
	for len(o.entries) > 0 && o.entries[0].Number <= ack.Number {
		s.accepted(o.entries[0])
		o.entries[0] = nil
		o.entries = o.entries[1:]
	}
	if len(o.entries) == 0 {
		o.entries = nil
	}
	o.delivered, o.pause = ack.Number, 0
	s.repeatMore(o)
	s.open.record.Delivered = append(s.open.record.Delivered, &clusterv1.Delivered{Target: ack.Target, Number: ack.Number})
	if s.open.lazy.IsZero() {
		s.open.lazy = now
	}
}

// Parcel takes what another shard sent. Each number is taken once, in order.
func (s *Shard) Parcel(now time.Time, in *clusterv1.ParcelEnvelope) {
	source, number := world.ShardOf(in.Source), in.GetOutgoing().GetNumber()
	if world.ShardOf(in.GetOutgoing().GetTarget()) != s.id || source == s.id {
		return
	}
	mark := s.watermark(source)
	if !mark.next(in) {
		if number <= mark.committed {
			s.soon(0, s.ack(source, mark.committed, mark.settled))
		}
		return // or an earlier one was lost: it will be sent again, and this one too
	}
	mark.number, mark.epoch = number, in.Outgoing.Epoch
	mark.committed = min(mark.committed, number-1)
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

// next says whether a parcel is the one to take. In a history without losses
// that is the next number. A store that lost committed batches takes one of the
// two shards back, and the other must not wait for, or pass over, what comes:
//   - this shard was taken back: the source knows that more was acknowledged;
//   - the source was taken back and gives numbers again, in a later epoch.
func (mark *watermark) next(in *clusterv1.ParcelEnvelope) bool {
	out := in.Outgoing
	switch {
	case out.Number == mark.number+1:
		return out.Previous == mark.epoch
	case out.Number > mark.number:
		return out.Number == in.Delivered+1
	}
	return out.Number > 0 && out.Epoch > mark.epoch && out.Previous <= mark.epoch
}

func (s *Shard) watermark(source world.ShardID) *watermark {
	mark := s.watermarks[source]
	if mark == nil {
		mark = &watermark{source: source}
		s.watermarks[source] = mark
	}
	return mark
}

func (s *Shard) ack(source world.ShardID, number uint64, epoch uint32) Tell {
	return Tell{Target: source, Ack: &clusterv1.ParcelAck{Source: world.ShardMessage(source), Target: world.ShardMessage(s.id), Number: number, Epoch: epoch}}
}

// commitMark acknowledges what the committed batch accepted. A later number may
// already be in the open batch; that one is acknowledged with it.
func (s *Shard) commitMark(mark *watermark, b *batch) {
	number, epoch := mark.number, mark.epoch
	for _, w := range b.record.Watermarks {
		if world.ShardOf(w.Source) == mark.source {
			number, epoch = w.Number, w.Epoch
		}
	}
	mark.committed, mark.settled = number, epoch
	b.tells = append(b.tells, s.ack(mark.source, number, epoch))
}
