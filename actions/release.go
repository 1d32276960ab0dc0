package actions

import (
	"time"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// release asks for the shard to be let go; done, if not nil, is called when it
// is. It is false if the shard is gone already.
func (s *served) release(done func()) bool {
	s.gate.Lock()
	defer s.gate.Unlock()
	select {
	case <-s.gone:
		return false
	default:
	}
	if done != nil {
		s.onGone = append(s.onGone, done)
	}
	s.leaving = true
	s.wakeUp()
	return true
}

func (s *served) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// letGo commits what ran, writes a snapshot and clears the claim. It is false
// while a batch is still to be committed.
func (s *served) letGo() bool {
	began := s.host.options.Clock()
	s.leaveSoon.Store(true)
	s.mu.Lock()
	if s.submitted || s.machine.InFlight() {
		s.mu.Unlock()
		return false // its end wakes the goroutine
	}
	sealed, ok := s.machine.Seal(began.Add(time.Hour)) // what could wait, too
	s.mu.Unlock()
	if ok {
		if err := s.commit(sealed); err != nil {
			return true
		}
		s.wakeUp()
		return false
	}
	s.mu.Lock()
	at, data, whole := s.machine.Snapshot()
	tail := s.machine.Tail()
	idle, due, owes := s.machine.Idle(), s.sinceSnapshot.batches > 0, s.machine.Statistics().Outbox > 0
	if whole && at == tail.Sequence {
		s.machine = nil // what is still queued gets NotMine
	}
	s.mu.Unlock()
	if !whole || at != tail.Sequence {
		s.wakeUp()
		return false
	}
	ctx, cancel := s.calling()
	defer cancel()
	log := s.host.options.Log
	if due {
		if err := log.WriteSnapshot(ctx, s.id, tail, at, data, s.keepFrom(at)); err != nil {
			s.host.options.Logger.Warn("the last snapshot of a shard was not written", "shard", s.id.String(), "error", err)
		}
	}
	if owes {
		// Left claimed: should the hint get lost, Recover finds it.
		s.host.options.Logger.Debug("a shard is let go with parcels under way", "shard", s.id.String())
	} else if err := log.Release(ctx, s.id, tail); err != nil {
		s.host.options.Logger.Warn("a shard was not released", "shard", s.id.String(), "error", err)
	}
	took := s.host.options.Clock().Sub(began)
	s.host.metrics.release.Observe(took.Seconds())
	if !idle {
		// The next owner need not wait to be asked for what is under way here.
		s.gate.Lock()
		s.onGone = append(s.onGone, s.hint)
		s.gate.Unlock()
	}
	s.host.options.Logger.Debug("released a shard", "shard", s.id.String(), "sequence", tail.Sequence, "pause", took)
	return true
}

// hint makes the shard's next owner load it, by an acknowledgement of nothing.
func (s *served) hint() {
	id := world.ShardMessage(s.id)
	s.host.network.SendParcelAck(s.id, &clusterv1.ParcelAck{Source: id, Target: id})
}

// keepFrom is the last entry that a snapshot at a sequence makes superfluous.
func (s *served) keepFrom(at uint64) uint64 {
	if s.host.options.RetainAll {
		return 0
	}
	return at
}

// takeSnapshot encodes the state right after a batch was sealed, if one is due;
// it is written while the shard goes on. The caller holds mu.
func (s *served) takeSnapshot(sealed shard.Sealed) {
	s.sinceSnapshot.batches++
	s.sinceSnapshot.bytes += len(sealed.Data)
	o := &s.host.options
	if s.sinceSnapshot.batches < o.SnapshotBatches && s.sinceSnapshot.bytes < o.SnapshotBytes {
		return
	}
	if s.writing.Load() {
		return
	}
	at, data, ok := s.machine.Snapshot()
	if !ok {
		return
	}
	s.sinceSnapshot.batches, s.sinceSnapshot.bytes = 0, 0
	s.due = &dueSnapshot{at, data}
}

// dueSnapshot is to be written once its batch is committed.
type dueSnapshot struct {
	at   uint64
	data []byte
}

// writeSnapshot writes a snapshot whose batch is committed, beside the appends.
func (s *served) writeSnapshot(sequence uint64) {
	s.mu.Lock()
	due := s.due
	if due == nil || due.at != sequence {
		s.mu.Unlock()
		return
	}
	s.due = nil
	tail := s.machine.Tail()
	s.mu.Unlock()
	s.writing.Store(true)
	s.host.working.Go(func() {
		defer s.writing.Store(false)
		ctx, cancel := s.calling()
		defer cancel()
		if err := s.host.options.Log.WriteSnapshot(ctx, s.id, tail, due.at, due.data, s.keepFrom(due.at)); err != nil {
			s.host.options.Logger.Warn("a snapshot was not written", "shard", s.id.String(), "error", err)
		}
	})
}
