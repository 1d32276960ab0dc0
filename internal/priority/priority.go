// Package priority says how a process shares the processors of its machine with
// others. Nothing of it needs rights: who has it only steps back, or asks for less at
// a time.
package priority

import "time"

// Priority is how the threads of a process are treated beside those of others; the
// zero Priority leaves them as they are.
type Priority struct {
	// Nice is the niceness, 0 to 19: the weight among threads that all want a processor.
	Nice int
	// Background threads do not take the processor from others when they wake up
	// (SCHED_BATCH, sched(7)).
	Background bool
	// Slice is for how long a thread runs before it is others' turn, 100 µs to 100 ms,
	// 0 for the system's. A thread that wakes up takes the processor at once from one with
	// a longer slice, but for its fair share; from one with the same it has to wait for
	// the end of that slice, which is looked at once a tick. Linux 6.12 or newer.
	Slice time.Duration
}

// LeastSlice and MostSlice are what Linux allows.
const (
	LeastSlice = 100 * time.Microsecond
	MostSlice  = 100 * time.Millisecond
)
