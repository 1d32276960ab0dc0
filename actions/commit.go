package actions

import (
	"errors"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// errDropped: the shard is another's now, or must be loaded again.
var errDropped = errors.New("the shard was claimed by another owner")

// commitAll deals with appends that did not simply succeed, until the shard is
// let go or lost.
func (s *served) commitAll() {
	for {
		select {
		case failed := <-s.unsettled:
			if err := s.settle(failed); err != nil {
				s.host.options.Logger.Warn("a shard was dropped", "shard", s.id.String(), "error", err)
				return
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

// appended is told by the log how the append of the flight ended. It does not
// block: what cannot be told now is left to the goroutine.
func (s *served) appended(a *world.Append) {
	if a.Err == nil && s.host.options.Assignment.LeaseValid() {
		s.committed()
		return
	}
	s.unsettled <- a.Err // has room: there is one flight
}

// settle goes on after an append that failed, or that succeeded while this
// process may not speak.
func (s *served) settle(failed error) error {
	if failed != nil {
		if err := s.retryAppend(s.flight, failed); err != nil {
			return err
		}
	}
	if err := s.awaitLease(s.flight.Sequence); err != nil {
		return err
	}
	s.committed()
	return nil
}

// commit appends a batch and tells what it says, for the goroutine.
func (s *served) commit(batch shard.Sealed) error {
	s.flight, s.began = batch, s.host.options.Clock()
	if err := s.appendNow(batch); err != nil {
		return err
	}
	if err := s.awaitLease(batch.Sequence); err != nil {
		return err
	}
	s.committed()
	return nil
}

// committed tells what the flight says, now that it is in the log, and begins
// the next.
func (s *served) committed() {
	batch := s.flight
	s.host.metrics.commit.Observe(s.host.options.Clock().Sub(s.began).Seconds())
	s.host.metrics.bytes.Add(float64(len(batch.Data)))
	s.keep(batch)
	if s.speak(batch) {
		s.host.appender.Submit(&s.appending)
	} else if s.leaveSoon.Load() {
		s.wakeUp()
	}
}

// speak tells what a committed batch says: cell messages first, then the rest.
// It says whether there is another batch to be submitted.
func (s *served) speak(batch shard.Sealed) (more bool) {
	s.speaking.Lock()
	defer s.speaking.Unlock()
	s.mu.Lock()
	if s.machine == nil { // the process ends
		s.mu.Unlock()
		return false
	}
	release := s.machine.Committed()
	s.mu.Unlock()
	if len(release.Messages) > 0 {
		s.host.options.Bus.Publish(release.Messages)
	}
	s.host.tell(release.Tells)
	s.writeSnapshot(batch.Sequence)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine == nil {
		return false
	}
	s.machine.Told()
	s.tellImmediate()
	s.submitted = false
	return s.submitLocked(s.host.options.Clock())
}

// sayDigest publishes a digest, not ahead of what it tells of.
func (s *served) sayDigest(digest pubsub.Digest) {
	s.speaking.Lock()
	defer s.speaking.Unlock()
	if s.host.options.Assignment.LeaseValid() {
		s.host.options.Bus.PublishDigest(digest)
	}
}

// keep remembers the last batches for a store that loses its end.
func (s *served) keep(batch shard.Sealed) {
	if keep := s.host.options.KeptBatches; len(s.kept) >= 2*keep { // not with each one
		n := copy(s.kept, s.kept[len(s.kept)+1-keep:])
		clear(s.kept[n:])
		s.kept = s.kept[:n]
	}
	s.kept = append(s.kept, batch)
}

// appendNow appends a batch, whatever becomes of the store meanwhile, or finds
// that the shard is lost.
func (s *served) appendNow(batch shard.Sealed) error {
	if err := s.tryAppend(batch); err != nil {
		return s.retryAppend(batch, err)
	}
	return nil
}

func (s *served) tryAppend(batch shard.Sealed) error {
	ctx, cancel := s.calling()
	defer cancel()
	_, err := s.host.options.Log.Append(ctx, s.id, s.tail(), batch.Data)
	return err
}

// retryAppend goes on after an append that ended with err.
func (s *served) retryAppend(batch shard.Sealed, err error) error {
	for retry := firstRetry; err != nil; retry = min(2*retry, lastRetry) {
		s.host.metrics.logFails.Inc()
		var foreign *world.ForeignTailError
		if errors.As(err, &foreign) {
			if done, err := s.compare(batch, foreign.Found); done || err != nil {
				return err
			}
		} else {
			s.host.options.Logger.Warn("the log did not take a batch", "shard", s.id.String(), "sequence", batch.Sequence, "error", err)
			if done, err := s.findOut(batch, &retry); done || err != nil {
				return err
			}
		}
		err = s.tryAppend(batch)
	}
	return nil
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
	s.speaking.Lock()
	defer s.speaking.Unlock()
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
