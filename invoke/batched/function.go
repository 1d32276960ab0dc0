package batched

import (
	"math"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Function is a function deployed on a device.
type Function struct {
	spec        Spec
	policy      *Policy
	device      *Device             // nil for a bare Policy
	reservation *invoke.Reservation // nil without a scheduler
	deployedAt  invoke.Instant
	undeployed  bool

	bucket     invoke.TokenBucket
	reserve    int // places of the queue that only guaranteed work may take
	senders    invoke.SenderCounts
	guaranteed queue
	rest       queue
	running    int
	times      *runTimes
	arrivals   arrivals
	planned    plan
	tally      tally
}

// Name returns the function's name.
func (f *Function) Name() string { return f.spec.Name }

// Contract returns the contract with its defaults filled in.
func (f *Function) Contract() invoke.Contract { return f.spec.Contract }

// predict gives the time that a batch of n items is reckoned with.
func (f *Function) predict(n int) time.Duration { return f.times.predict(n) }

// limit is the largest batch that f may launch: what fits into half of the tightest
// deadline promised on the device, so that who comes just behind it has the other half.
func (f *Function) limit() int {
	if half := f.policy.tightest() / 2; half > 0 {
		return max(f.times.largestWithin(half), 1)
	}
	return f.spec.Largest
}

func (f *Function) waiting() int { return f.guaranteed.len() + f.rest.len() }

func (f *Function) queueOf(inv *Invocation) *queue {
	if inv.guaranteed {
		return &f.guaranteed
	}
	return &f.rest
}

// latestStart is the last instant at which a hard invocation may still finish in time:
// it reckons with the median, and where no run time was declared with at most half
// of the contract's deadline, for slow runs must not make everything look late.
func (f *Function) latestStart(inv *Invocation) invoke.Instant {
	if !f.spec.Contract.Hard || inv.Deadline == 0 {
		return math.MaxInt64
	}
	need := f.times.usual(1)
	if f.spec.Model == (Model{}) && f.spec.Contract.RunTime == 0 {
		need = min(need, f.spec.Contract.Deadline/2)
	}
	return inv.Deadline - invoke.Instant(need)
}

// arrivals estimates when to expect the next one.
type arrivals struct {
	last invoke.Instant
	gap  time.Duration // mean, the recent ones counting most
}

const patience = 4 // mean gaps: one arrival in fifty lets itself be waited for longer

func (a *arrivals) record(now invoke.Instant) {
	switch gap := now.Sub(a.last); {
	case a.last == 0:
		a.gap = math.MaxInt64 / 64
	case a.gap == math.MaxInt64/64:
		a.gap = gap
	default:
		a.gap += (gap - a.gap) / 8
	}
	a.last = now
}

// expectedBy says until when it is worth while to wait for one by the instant: now, if
// it is not.
func (a *arrivals) expectedBy(now, by invoke.Instant) invoke.Instant {
	if now.Add(a.gap) > by {
		return now
	}
	return min(by, a.last.Add(patience*a.gap))
}
