package directory

import (
	"sync/atomic"
	"time"
)

// lease is a process's own view of its lease. It is a pure state machine: times
// are durations of the process's monotonic clock, handed in.
//
// The inequality that everything rests on. Let a renewal be sent at s, and
// applied by the store at a >= s. Watchers see its counter for the first time
// in a read that ends at r >= a >= s, and hold the process for dead by a read
// that starts at or after r + Death. The process holds its own lease until
// s + Valid. So with
//
//	Valid + margin <= Death
//
// the process falls silent at least margin before anybody claims its shards;
// margin covers the difference of the two clocks' rates over Death (1 % would
// be 15 ms) and the time from reading the clock to having spoken.
//
// After that, silence must last until the process knows what was claimed in the
// meantime: a lapse starts a new term, and the lease of the new term is valid
// only once verified is called for it.
type lease struct {
	valid      time.Duration // how long a renewal holds
	mustVerify bool          // terms after the first begin unverified

	// until is when the lease lapses, in nanoseconds of the process's clock. It
	// alone is read by the owner's goroutines, once per release of messages.
	until atomic.Int64

	// The rest belongs to the goroutine that renews, and to verified, which
	// excludes it.
	term     uint64
	renewed  time.Duration // when the last successful renewal was sent
	verified bool
}

// holds reads the lease at now.
func (l *lease) holds(now time.Duration) bool { return int64(now) < l.until.Load() }

// renew takes a renewal that was sent at sent and answered by now. It says
// whether a new term began.
func (l *lease) renew(sent, now time.Duration) (newTerm bool) {
	first := l.term == 0
	if first || now >= l.renewed+l.valid {
		l.term++
		l.verified = first || !l.mustVerify
		newTerm = true
	}
	l.renewed = sent
	if l.verified {
		l.until.Store(int64(sent + l.valid))
	}
	return newTerm
}

// confirm makes the lease of a term valid, its tails being verified. It is
// ignored when the lease was lost again since.
func (l *lease) confirm(term uint64) {
	if term == l.term && !l.verified {
		l.verified = true
		l.until.Store(int64(l.renewed + l.valid))
	}
}
