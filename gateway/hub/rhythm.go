package hub

import (
	"sync/atomic"
	"time"
)

// slack puts off waking a hub whose clients can wait, so that one turn serves all
// that comes within a moment: to wake a goroutine costs more than its turn.
type slack struct {
	allowed atomic.Bool
	pending atomic.Bool // the timer runs
	timer   *time.Timer // of the hub's goroutine, once it runs; wakes it
}

const (
	// moment is how long a wake-up is put off.
	moment = time.Millisecond
	// leisure is how long flushes wait for company where wake-ups are put off.
	leisure = 4 * moment
)

// putOff says whether the hub will be woken in a moment.
func (s *slack) putOff() bool {
	if !s.allowed.Load() {
		return false
	}
	if s.pending.CompareAndSwap(false, true) {
		s.timer.Reset(moment)
	}
	return true
}

// cutShort says whether a wake-up was put off that is now to come at once.
func (s *slack) cutShort() bool {
	if !s.pending.Load() {
		return false
	}
	s.timer.Stop()
	return true
}

// allow decides by how long flushes wait now.
func (s *slack) allow(wait time.Duration) { s.allowed.Store(wait >= leisure) }

// end is called before the inbox is emptied: what comes later needs another
// wake-up.
func (s *slack) end() { s.pending.Store(false) }

// rhythm learns in which intervals commits bring messages: stores take them in
// rounds. A flush that would fall due before the next round may as well go with
// this one, while the hub is awake: it would hardly meet more company.
type rhythm struct {
	last     time.Time
	interval time.Duration // smoothed
}

// longestRound is the longest interval that counts as one.
const longestRound = 8 * time.Millisecond

// turn notes a turn of the hub, and whether it brought messages. It says how far
// ahead to flush in it.
func (r *rhythm) turn(now time.Time, brought bool, wait time.Duration) time.Duration {
	if !brought {
		return 0
	}
	interval := min(now.Sub(r.last), 4*longestRound)
	r.last = now
	r.interval += (interval - r.interval) / 8
	if wait < leisure || r.interval > longestRound {
		return 0
	}
	return r.interval
}
