package stream

import (
	"math"
	"sync"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Clock counts ticks at a steady rate, the same for all cores.
type Clock struct {
	// Read gives the ticks since some origin. It must never go backwards, and not be
	// read before what stands ahead of it in the program is done.
	Read func() uint64
	// Peek is a quicker Read that may be read somewhat early. Default: Read.
	Peek func() uint64
	// Frequency is ticks per second.
	Frequency float64
	// Source says what counts: "tsc" (the processor's time stamp counter) or
	// "monotonic" (the operating system's clock).
	Source string

	zero   uint64         // ticks at
	zeroAt invoke.Instant // this instant
}

// NewClock makes a clock of a counter whose reading is zero at the instant at.
func NewClock(read func() uint64, frequency float64, zero uint64, at invoke.Instant) *Clock {
	return &Clock{Read: read, Frequency: frequency, Source: "given", zero: zero, zeroAt: at}
}

// calibration is how long the counter's rate is measured. The readings at its ends
// are exact to some tens of nanoseconds, so the rate is to some parts in a million.
const calibration = 20 * time.Millisecond

// ProcessorClock is the fastest steady clock of this machine: the processor's
// time stamp counter if it runs at a constant rate in all states, held against the
// operating system's clock for 20 ms at first use; else that clock.
var ProcessorClock = sync.OnceValue(func() *Clock {
	if !steadyCounter() {
		return &Clock{Read: monotonicTicks, Frequency: 1e9, Source: "monotonic", zeroAt: 0}
	}
	ticks, at := bracket()
	for {
		endTicks, endAt := bracket()
		if d := endAt.Sub(at); d >= calibration {
			frequency := float64(endTicks-ticks) / d.Seconds()
			return &Clock{Read: counter, Frequency: frequency, Peek: peek, Source: "tsc", zero: endTicks, zeroAt: endAt}
		}
	}
})

// bracket reads both clocks as close together as it can.
func bracket() (ticks uint64, at invoke.Instant) {
	narrowest := ^uint64(0)
	for range 50 {
		before := counter()
		now := invoke.Now()
		after := counter()
		if width := after - before; width < narrowest {
			narrowest, ticks, at = width, before+width/2, now
		}
	}
	return ticks, at
}

func monotonicTicks() uint64 { return uint64(invoke.Now()) }

func (c *Clock) peek() func() uint64 {
	if c.Peek != nil {
		return c.Peek
	}
	return c.Read
}

// Ticks gives the ticks in d, rounded down.
func (c *Clock) Ticks(d time.Duration) uint64 {
	return uint64(max(d, 0).Seconds() * c.Frequency)
}

// Duration gives the time of so many ticks.
func (c *Clock) Duration(ticks uint64) time.Duration {
	return time.Duration(math.Round(float64(ticks) / c.Frequency * 1e9))
}

// Instant gives the instant at which the clock reads ticks.
func (c *Clock) Instant(ticks uint64) invoke.Instant {
	if ticks >= c.zero {
		return c.zeroAt.Add(c.Duration(ticks - c.zero))
	}
	return c.zeroAt.Add(-c.Duration(c.zero - ticks))
}
