package actions

import (
	"sync"
	"time"

	"github.com/starling-vr/starling/world"
)

// Verify reads the tails of all shards served here and lets go of those that
// are another's by now; then it calls verified. A process that lost its lease
// for a while does so before it speaks again.
func (h *Host) Verify(verified func()) {
	var lost sync.WaitGroup
	h.shards.Range(func(_, value any) bool {
		s := value.(*served)
		if !s.verify() {
			s.lost.Store(true)
			lost.Add(1)
			if !s.release(lost.Done) {
				lost.Done()
			}
		}
		return true
	})
	lost.Wait()
	verified()
}

// verify is false if the shard is loaded and not ours any more, as far as the
// store can tell.
func (s *served) verify() bool {
	s.mu.Lock()
	loaded := s.machine != nil
	var mine world.Tail
	if loaded {
		mine = s.machine.Tail()
	} else {
		s.stale = true // what is being loaded may be another's by now
	}
	s.mu.Unlock()
	if !loaded {
		return true
	}
	ctx, cancel := s.calling()
	defer cancel()
	found, err := s.host.options.Log.Tail(ctx, s.id)
	return err == nil && found.Epoch == mine.Epoch && found.Claim == mine.Claim
}

// pause waits; false means that the Host is being closed.
func (h *Host) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.ctx.Done():
		return false
	}
}
