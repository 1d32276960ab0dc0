package invoke

import "time"

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
)

func (s Shape) String() string {
	if s == Keyed {
		return "keyed"
	}
	return "unary"
}

// Spec describes a function to deploy.
type Spec struct {
	// Name identifies the function in accounts and errors; unique in a scheduler.
	Name     string
	Contract Contract
	// Keys makes the function keyed: its invocations name a key of this set.
	// Several functions may share a set; then they exclude each other per key.
	Keys *Keys
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
}

// Shape returns the shape that the spec asks for.
func (s *Spec) Shape() Shape {
	if s.Keys != nil {
		return Keyed
	}
	return Unary
}
