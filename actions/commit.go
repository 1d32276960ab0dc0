package actions

import (
	"errors"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	"github.com/starling-vr/starling/world"
)

// errDropped: the shard is another's now, or must be loaded again.
var errDropped = errors.New("the shard was claimed by another owner")

// commitAll appends batches until the shard is let go or lost.
func (s *served) commitAll() {
	for {
		select {
		case batch := <-s.sealed:
			if err := s.commit(batch); err != nil {
				s.host.options.Logger.Warn("a shard was dropped", "shard", s.id.String(), "error", err)
				return
			}
		case digest := <-s.digests:
			if s.host.options.Assignment.LeaseValid() {
				s.host.options.Bus.PublishDigest(digest)
			}
		case <-s.wake:
			if s.letGo() {
				return
			}
		case <-s.host.ctx.Done():
			return
		}
	}
}

// commit appends a batch and tells what it says.
func (s *served) commit(batch shard.Sealed) error {
	began := s.host.options.Clock()
	if err := s.append(batch); err != nil {
		return err
	}
	s.host.metrics.commit.Observe(s.host.options.Clock().Sub(began).Seconds())
	s.host.metrics.bytes.Add(float64(len(batch.Data)))
	s.keep(batch)
	if err := s.awaitLease(batch.Sequence); err != nil {
		return err
	}
	s.mu.Lock()
	release := s.machine.Committed()
	s.mu.Unlock()
	if len(release.Messages) > 0 {
		s.host.options.Bus.Publish(release.Messages)
	}
	s.host.tell(release.Tells)
	s.writeSnapshot(batch.Sequence)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine.Told()
	s.tellImmediate()
	s.sealLocked(s.host.options.Clock())
	return nil
}

// keep remembers the last batches for a store that loses its end.
func (s *served) keep(batch shard.Sealed) {
	if len(s.kept) >= s.host.options.KeptBatches {
		s.kept = append(s.kept[:0], s.kept[1+len(s.kept)-s.host.options.KeptBatches:]...)
	}
	s.kept = append(s.kept, batch)
}

// append writes a batch, whatever becomes of the store meanwhile, or finds that
// the shard is lost.
func (s *served) append(batch shard.Sealed) error {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		ctx, cancel := s.calling()
		_, err := s.host.options.Log.Append(ctx, s.id, s.tail(), batch.Data)
		cancel()
		if err == nil {
			return nil
		}
		s.host.metrics.logFails.Inc()
		var foreign *world.ForeignTailError
		if errors.As(err, &foreign) {
			done, err := s.compare(batch, foreign.Found)
			if done || err != nil {
				return err
			}
			continue
		}
		s.host.options.Logger.Warn("the log did not take a batch", "shard", s.id.String(), "sequence", batch.Sequence, "error", err)
		done, err := s.findOut(batch, &retry)
		if done || err != nil {
			return err
		}
	}
}

func (s *served) tail() world.Tail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.Tail()
}

// findOut asks the store, until it answers, whether a batch whose append got no
// answer was written.
func (s *served) findOut(batch shard.Sealed, retry *time.Duration) (written bool, err error) {
	for ; ; *retry = min(2**retry, lastRetry) {
		ctx, cancel := s.calling()
		holder, err := s.host.options.Log.Tail(ctx, s.id)
		cancel()
		if err == nil {
			return s.compare(batch, holder)
		}
		if !s.pause(*retry) {
			return false, errDropped
		}
	}
}

// compare says what the tail in the store means for a batch under way: it is
// written, or it is to be appended (again), or the shard is lost.
func (s *served) compare(batch shard.Sealed, found world.Holder) (written bool, err error) {
	mine := s.tail()
	switch ours := found.Epoch == mine.Epoch && found.Claim == mine.Claim; {
	case ours && found.Sequence == batch.Sequence:
		return true, nil
	case ours && found.Sequence == mine.Sequence:
		return false, nil
	case (&world.ForeignTailError{Expect: mine, Found: found}).Behind() && s.precedes(found.Tail):
		return false, s.claimAgain(mine)
	}
	s.host.metrics.fenced.Inc()
	return false, errDropped
}

// precedes says whether a tail that the store went back to is part of this
// shard's history as it is here. Another owner may have claimed a store that
// went back, and told of what it wrote there: nothing is to be put on top of that.
func (s *served) precedes(found world.Tail) bool {
	if found == (world.Tail{}) || found.Epoch == s.before.Epoch && found.Claim == s.before.Claim && found.Sequence <= s.before.Sequence {
		return true
	}
	for _, claim := range s.claims {
		if found.Epoch == claim.Epoch && found.Claim == claim.Claim {
			return true
		}
	}
	return false
}

// claimAgain gives a store that lost the end of the log that end back, under a
// new epoch. Each round looks where the store is and does the next step, so that
// it does not matter which calls or replies get lost.
func (s *served) claimAgain(mine world.Tail) error {
	claim := s.host.newID()
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		tail, err := s.reclaimStep(mine, claim)
		switch {
		case errors.Is(err, errDropped):
			return err
		case err == nil && tail.Claim == claim && tail.Sequence == mine.Sequence:
			s.reclaimed(tail)
			return nil
		case err == nil:
			retry = firstRetry
			continue
		}
		s.host.metrics.logFails.Inc()
		if !s.pause(retry) {
			return errDropped
		}
	}
}

func (s *served) reclaimStep(mine world.Tail, claim uint64) (world.Tail, error) {
	ctx, cancel := s.calling()
	defer cancel()
	log := s.host.options.Log
	holder, err := log.Tail(ctx, s.id)
	switch {
	case err != nil:
		return world.Tail{}, err
	case holder.Claim != claim && (holder.Epoch > mine.Epoch || !s.precedes(holder.Tail)):
		s.host.metrics.fenced.Inc()
		return world.Tail{}, errDropped
	case holder.Claim != claim:
		return log.Claim(ctx, s.id, s.host.options.Node, claim, mine.Epoch)
	case holder.Sequence >= mine.Sequence:
		return holder.Tail, nil
	}
	for _, batch := range s.kept {
		if batch.Sequence == holder.Sequence+1 {
			return log.Append(ctx, s.id, holder.Tail, batch.Data)
		}
	}
	s.host.options.Logger.Error("the store lost more of a shard's log than was kept", "shard", s.id.String(), "sequence", holder.Sequence, "told", mine.Sequence)
	return world.Tail{}, errDropped
}

func (s *served) reclaimed(tail world.Tail) {
	s.host.metrics.reclaims.Inc()
	s.claims = append(s.claims, tail)
	s.host.options.Logger.Warn("the store had lost the end of a shard's log; it was written again", "shard", s.id.String(), "epoch", tail.Epoch)
	s.mu.Lock()
	s.machine.Reclaimed(tail)
	digest := s.machine.WholeDigest(s.host.options.Clock())
	s.mu.Unlock()
	s.host.options.Bus.PublishDigest(digest)
}

// awaitLease holds back what is committed while this process may not speak, and
// then makes sure that the shard is still its own.
func (s *served) awaitLease(sequence uint64) error {
	if s.host.options.Assignment.LeaseValid() {
		return nil
	}
	for !s.host.options.Assignment.LeaseValid() {
		if s.lost.Load() || !s.host.pause(firstRetry) {
			return errDropped
		}
	}
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		ctx, cancel := s.calling()
		holder, err := s.host.options.Log.Tail(ctx, s.id)
		cancel()
		mine := s.tail()
		switch {
		case err == nil && holder.Epoch == mine.Epoch && holder.Claim == mine.Claim && holder.Sequence == sequence:
			return nil
		case err == nil:
			s.host.metrics.fenced.Inc()
			return errDropped
		case !s.pause(retry):
			return errDropped
		}
	}
}
