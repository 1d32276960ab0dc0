package invoke

import (
	"fmt"
	"math"
	"time"
)

// Contract is what a function is promised and what it promises. The zero value
// is best effort: no guarantee, soft, learned run time.
type Contract struct {
	// Rate is the guaranteed number of invocations per second. 0 is best effort.
	Rate float64
	// Burst is how many may arrive at once and still be within the guarantee.
	// 0 means those that Rate lets arrive in one Deadline, at least 1.
	Burst int
	// Deadline is when a result is due, counted from arrival. Required if Rate
	// or Hard is set. 0 otherwise means none.
	Deadline time.Duration
	// Hard says that a late result is worthless: an invocation that can no
	// longer finish in time is refused, never run. A soft one runs late and counts
	// as a miss.
	Hard bool
	// MissTarget is the tolerated share (0..1) of invocations within the
	// guarantee that miss their deadline or are refused for lateness.
	MissTarget float64
	// RunTime is the 99th percentile of the run time. 0 means learned.
	RunTime time.Duration
	// Memory is how many bytes one run holds.
	Memory int64
}

// WithDefaults fills in Burst.
func (c Contract) WithDefaults() Contract {
	if c.Burst == 0 && c.Rate > 0 {
		c.Burst = int(max(math.Ceil(c.Rate*c.Deadline.Seconds()), 1))
	}
	return c
}

// Check finds what is wrong with the contract itself.
func (c *Contract) Check() []Shortage {
	var found []Shortage
	require := func(ok bool, format string, args ...any) {
		if !ok {
			found = append(found, Shortage{"spec", fmt.Sprintf(format, args...)})
		}
	}
	require(c.Rate >= 0 && !math.IsInf(c.Rate, 0), "Rate %v is not a finite number from 0", c.Rate)
	require(c.Burst >= 0 && (c.Burst == 0 || c.Rate > 0), "Burst %d without Rate, or negative", c.Burst)
	require(c.Deadline >= 0 && c.RunTime >= 0 && c.Memory >= 0, "Deadline, RunTime or Memory is negative")
	require(c.Deadline > 0 || c.Rate == 0 && !c.Hard, "Rate or Hard without Deadline")
	require(c.MissTarget >= 0 && c.MissTarget <= 1, "MissTarget %v is not within 0..1", c.MissTarget)
	return found
}

// Bounds limit a function's queue. What does not fit is refused with a
// retryable Refusal.
type Bounds struct {
	// Count is the most invocations that may wait. Burst + Rate x Deadline of
	// them are kept for what is within the guarantee. Default: 4096, or four times
	// that if it is more. Too large a bound turns overload into waiting.
	Count int
	// Excess is how many invocations beyond the guarantee may wait in a key, and
	// times the workers in all, if any function of the same Keys has a guarantee,
	// which they delay. Default: as many as usually run in a quarter of the
	// shortest deadline promised in the Keys (up to 64 of them in half of it), at least 1.
	// Set it for work that costs more to refuse than to do.
	Excess int
	// Age is the longest that an invocation may wait, counted from Submit.
	// Default: 1 s.
	Age time.Duration
}

// Shape says how a function's invocations relate to each other.
type Shape uint8

const (
	// Unary invocations are independent: any worker, any order of finishing.
	Unary Shape = iota
	// Keyed invocations run one at a time per key, in arrival order.
	Keyed
	// Batched invocations run together, as many as their deadlines allow
	// (package invoke/batched).
	Batched
	// Stream functions own a ring of records which they poll (package invoke/stream).
	Stream
	// Workflow functions are graphs of others with one deadline (package
	// invoke/workflow).
	Workflow

	shapes
)

var shapeNames = [shapes]string{"unary", "keyed", "batched", "stream", "workflow"}

// String returns the shape in lower case, as used for metric labels.
func (s Shape) String() string {
	if s >= shapes {
		return fmt.Sprintf("shape_%d", uint8(s))
	}
	return shapeNames[s]
}

// Spec describes a function to deploy.
type Spec struct {
	// Name identifies the function in accounts and errors; unique in a scheduler.
	Name     string
	Contract Contract
	// Keys makes the function keyed: its invocations name a key of this set.
	// Several functions may share a set; then they exclude each other per key.
	Keys *Keys
	// As is the shape that the account tells, for a package that makes functions of
	// another shape out of those that run on the workers. Default: keyed or unary.
	As Shape
	// Alone says that a worker takes one invocation at a time, so that none waits
	// behind a run that may hang; see Scheduler.Replace. Only for unary functions.
	Alone bool
	// Queue bounds what may wait.
	Queue Bounds
	// Run executes an invocation on a worker. For a keyed function nothing else
	// of the same key runs meanwhile, not even Refused. It should not block. A
	// panic is not recovered.
	Run func(*Invocation)
	// Refused is called instead of Run for an invocation that was taken by
	// Submit and is refused later. For a keyed function it is called inside the
	// key's exclusivity and in arrival order with Run. It must be short. Required.
	Refused func(*Invocation, *Refusal)
	// Failures tells, for the account, how many runs so far ended in an error. It is
	// called with the scheduler's lock held: a counter is read and nothing else. Nil:
	// the account tells of none.
	Failures func() uint64
}

// Shape returns the shape that the spec asks for.
func (s *Spec) Shape() Shape {
	switch {
	case s.As != Unary:
		return s.As
	case s.Keys != nil:
		return Keyed
	}
	return Unary
}
