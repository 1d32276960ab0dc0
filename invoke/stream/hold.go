package stream

import (
	"math"
	"runtime/metrics"
	"time"
	_ "unsafe" // for linkname
)

// The Go runtime takes the processor from a goroutine that has had it for 10 ms, even
// if no other wants it. One that is locked to its thread is handed to another thread
// and back: two wake-ups, some 0.1 ms. What sync.Pool does to stay on its processor
// for a moment keeps it from that. Stopping the world then waits for it, 50 ms at most;
// so this is done for pinned pollers only, in processes that do not collect.

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// collectorOff says whether this process does without collections (GOGC=off).
func collectorOff() bool {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Kind() == metrics.KindUint64 && sample[0].Value.Uint64() > math.MaxInt32
}

// hold keeps a poller's goroutine on its thread for most of the time. In between it
// lets go for long enough that the runtime, which asks anew every 0.1 ms, can stop
// the world.
type hold struct {
	until      uint64 // ticks; what holds now changes then
	held       bool
	long, open uint64 // ticks
}

const (
	holdTime = 50 * time.Millisecond
	openTime = 400 * time.Microsecond
)

func newHold(wanted bool, clock *Clock) hold {
	if !wanted {
		return hold{until: math.MaxUint64}
	}
	return hold{long: clock.Ticks(holdTime), open: clock.Ticks(openTime)}
}

// turn changes from holding to letting go, or back.
func (h *hold) turn(now uint64) {
	if h.held {
		procUnpin()
		h.held, h.until = false, now+h.open
		return
	}
	procPin()
	h.held, h.until = true, now+h.long
}

// end lets go for good.
func (h *hold) end() {
	if h.held {
		procUnpin()
	}
	*h = hold{until: math.MaxUint64}
}
