package service

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// way learns how long answers are under way besides the work that was expected: how much
// longer a document's functions took because they did not have the processor, the writing
// of the answer, and the wait for the goroutine that sends it. It keeps a high quantile,
// by stochastic approximation (Robbins and Monro, 1951): a step up for what is above it,
// a small one down for what is below, so that it rests where the shares balance.
type way struct{ learned atomic.Int64 }

const (
	// wayStep and wayShare: of a thousand sendings one may take longer than learned.
	wayStep  = time.Millisecond
	wayShare = 0.001
	// pollTime is how long bytes may lie in the socket of a process that is busy: Go's
	// runtime looks for them at least so often.
	pollTime = 10 * time.Millisecond
	// stampTime is how much longer they may have lain there than the kernel says, whose
	// clock has ticks of 4 ms or less.
	stampTime = 5 * time.Millisecond
	// mostReserve is the share of a deadline that is kept for the way, at most.
	mostReserve = 0.4
)

// took learns from a sending.
func (w *way) took(d time.Duration) {
	at := time.Duration(w.learned.Load())
	if d > at {
		// A step up at most to d.
		w.learned.Add(int64(min(wayStep, d-at)))
	} else if at > 0 {
		w.learned.Add(-int64(wayShare * float64(wayStep)))
	}
}

// reserve is what of a deadline is to be kept for the way in and out; stamped says that
// the kernel told when the document came.
func (w *way) reserve(deadline time.Duration, stamped bool) time.Duration {
	in := pollTime
	if stamped {
		in = stampTime
	}
	learned := max(time.Duration(w.learned.Load()), 0)
	return min(in+learned, time.Duration(mostReserve*float64(deadline)))
}

// arrivals notes when the bytes of a body came.
type arrivals struct {
	body io.Reader
	now  func() invoke.Instant
	// age tells how long what was read lay in the socket, if it is known; nil: it never is.
	age func() (time.Duration, bool)

	first, last invoke.Instant // of the reads since begin; first is 0 if there was none
	refused     invoke.Instant // until then nothing was to be read
	stamped     bool           // the kernel told last
}

// Read implements io.Reader.
func (a *arrivals) Read(b []byte) (int, error) {
	n, err := a.body.Read(b)
	if n > 0 {
		a.last = a.came()
		if a.first == 0 {
			a.first = a.last
		}
	}
	return n, err
}

// begin forgets the reads before a line; buffered says that it has come in part already.
func (a *arrivals) begin(buffered bool) {
	if a.first = 0; buffered {
		a.first = a.last
	}
}

// came is when what was just read reached this machine. What waited at its sender, or in
// the socket, because the stream took nothing, came when it took again.
func (a *arrivals) came() invoke.Instant {
	now := a.now()
	var age time.Duration
	if a.age != nil {
		age, a.stamped = a.age()
	}
	return max(now.Add(-age), min(a.refused, now))
}
