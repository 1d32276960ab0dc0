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

	bucket   tokenBucket
	senders  senderCounts
	waiting  int
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

func (f *Function) burst() int { return int(f.bucket.burst) }

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

// classify decides whether the function's runs are long. A declared run time is
// believed unless the mean contradicts it.
func (f *Function) classify() {
	typical := f.estimate.p99
	if declared := f.spec.Contract.RunTime; declared > 0 {
		typical = max(declared, f.estimate.mean)
	}
	limit := f.policy.config.LongRun
	if f.long {
		limit /= 2 // not to and fro
	}
	f.long = typical > limit
}
