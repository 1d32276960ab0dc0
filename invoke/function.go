package invoke

import (
	"math"
	"time"
)

// Function is a deployed function.
type Function struct {
	spec       Spec
	policy     *Policy
	scheduler  *Scheduler // nil for a bare Policy
	deployedAt Instant
	undeployed bool

	bucket   TokenBucket
	overrun  time.Duration // run time beyond what was declared and paid for
	reserve  int           // places of the queue that only guaranteed work may take
	senders  SenderCounts
	waiting  int
	excess   int // of these, keyed and beyond the guarantee
	running  int // taken by a worker, not yet finished
	estimate estimate
	long     bool
	tally    tally
}

// Name returns the function's name.
func (f *Function) Name() string { return f.spec.Name }

// Shape returns the function's shape.
func (f *Function) Shape() Shape { return f.spec.Shape() }

// Contract returns the contract with its defaults filled in.
func (f *Function) Contract() Contract { return f.spec.Contract }

// Places is how many places of a queue are kept for what is within the guarantee:
// a burst, and what arrives while it waits for its deadline.
func (c *Contract) Places() int {
	return c.Burst + int(math.Ceil(c.Rate*c.Deadline.Seconds()))
}

// Workers returns how many workers may run the function at once, with a core for
// each: those for long runs only if its runs are long.
func (f *Function) Workers() float64 {
	if s := f.scheduler; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	workers, _ := f.policy.left(f.policy.workersFor(f))
	return workers
}

// runTime is the 99th percentile that admission reckons with.
func (f *Function) runTime() time.Duration {
	if d := f.spec.Contract.RunTime; d > 0 {
		return d
	}
	if d := f.estimate.p99; d > 0 {
		return d
	}
	return f.policy.learnedRunTime(f.spec.Name)
}

// expected is the mean run time, to share out work and to estimate waits.
func (f *Function) expected() time.Duration {
	if f.estimate.mean > 0 {
		return f.estimate.mean
	}
	return f.runTime()
}

// latestStart is the last instant at which a hard invocation can still finish in
// time. Where the run time is learned it reckons with the median and at most half
// of the contract's deadline: a few slow runs must not make everything look late,
// for then nothing would run and nothing better be learned.
func (f *Function) latestStart(inv *Invocation) Instant {
	c := &f.spec.Contract
	if !c.Hard {
		return math.MaxInt64
	}
	need := c.RunTime
	if need == 0 {
		need = min(f.estimate.median, c.Deadline/2)
	}
	return inv.Deadline - Instant(need)
}

// chargeOverrun lets a function whose runs take longer on average than it declared
// pay with invocations of its guarantee, so that it gets Rate x RunTime of the
// workers and not more (as a constant bandwidth server does; Abeni and Buttazzo,
// 1998). What it saved during a second may make up for slow runs.
func (f *Function) chargeOverrun(ran time.Duration) {
	declared := f.spec.Contract.RunTime
	if declared == 0 {
		return
	}
	f.overrun = max(f.overrun+ran-declared, -seconds(f.reservedCores()))
	if f.overrun > 0 {
		f.bucket.Charge(float64(f.overrun) / float64(declared))
		f.overrun = 0
	}
}

// classify decides whether the function's runs are long. A declared run time is
// believed unless the mean contradicts it. A workflow runs as long as the documents
// that it is sent are large, so where long runs have workers of their own all of its
// runs belong there. It says whether the answer changed.
func (f *Function) classify() (changed bool) {
	if f.spec.As == Workflow && f.policy.config.LongWorkers > 0 {
		changed, f.long = !f.long, true
		return changed
	}
	typical := f.estimate.p99
	if declared := f.spec.Contract.RunTime; declared > 0 {
		typical = max(declared, f.estimate.mean)
	}
	limit := f.policy.config.LongRun
	if f.long {
		limit /= 2 // not to and fro
	}
	was := f.long
	f.long = typical > limit
	return f.long != was
}
