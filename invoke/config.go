package invoke

import (
	"math/rand/v2"
	"runtime"
	"time"
)

// Config configures a Scheduler or a Policy. The zero value is usable.
type Config struct {
	// Workers is how many invocations may run at once. Default: GOMAXPROCS.
	// More than there are cores makes the admission test promise what the machine
	// cannot hold.
	Workers int
	// ShortWorkers is how many workers never take a long run, so that long runs
	// cannot keep short deadlines waiting. Default: half, and at most
	// Workers-1. Those workers idle while only long runs wait: that is the price.
	// -1 means none.
	ShortWorkers int
	// LongWorkers gives long runs so many workers of their own, beside Workers, which
	// then take short runs only: none of them idles while only long runs wait. Go's scheduler
	// puts a run aside after 10 ms at the earliest, so long runs that share the processors
	// with short deadlines must call runtime.Gosched every millisecond or so (docs/decisions/isolation.md).
	// Default: none; then ShortWorkers applies.
	LongWorkers int
	// LongRun is the run time from which a function counts as long. Default 1 ms.
	LongRun time.Duration
	// Slice is how long a worker goes on with what it took before it asks for the
	// most urgent again. Longer saves hand-offs, shorter answers urgent work
	// sooner: it is part of the blocking in the admission test. Default 250 us.
	Slice time.Duration
	// Cores is how many cores the workers share with reservations (see Reserve).
	// Default: Workers.
	Cores int
	// Reservable is the share (0..1) of Cores that guarantees may
	// take; the rest is for best effort and everything else in the process.
	// Default 0.8.
	Reservable float64
	// Memory is the budget for the runs' memory in bytes. 0 means not tested.
	Memory int64
	// Clock tells the time. Default: Now.
	Clock Clock
	// Random is the source of jitter and of the senders' hashes. Default: seeded
	// by the runtime.
	Random rand.Source
}

func (c Config) withDefaults() Config {
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.ShortWorkers == 0 {
		c.ShortWorkers = c.Workers / 2
	}
	if c.Cores <= 0 {
		c.Cores = c.Workers
	}
	c.ShortWorkers = min(max(c.ShortWorkers, 0), c.Workers-1)
	if c.LongWorkers > 0 {
		c.ShortWorkers = c.Workers
	}
	if c.LongRun <= 0 {
		c.LongRun = time.Millisecond
	}
	if c.Slice <= 0 {
		c.Slice = 250 * time.Microsecond
	}
	if c.Reservable <= 0 {
		c.Reservable = 0.8
	}
	if c.Clock == nil {
		c.Clock = Now
	}
	if c.Random == nil {
		c.Random = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	return c
}
