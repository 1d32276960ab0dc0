package invoke

import (
	"fmt"
	"time"
)

// Reason says why an invocation was refused.
type Reason uint8

const (
	// QueueFull: the function's queue holds as many invocations as it may.
	QueueFull Reason = iota + 1
	// SenderOverShare: the queue is under pressure and this sender already
	// holds its fair share of it.
	SenderOverShare
	// OverAge: it waited longer than the queue's bound.
	OverAge
	// TooLate: it can no longer finish before its hard deadline.
	TooLate
	// KeyClosed: its key was closed.
	KeyClosed
	// FunctionClosed: its function was undeployed.
	FunctionClosed
	// SchedulerClosed: the scheduler was closed.
	SchedulerClosed
	// Invalid: a keyed function was invoked without a key of its own Keys, or
	// a unary one with a key.
	Invalid
	// TooLarge: its input is too large to be done before its deadline.
	TooLarge
	// Shed: it was optional and left out so that others are done in time.
	Shed

	reasons
)

var reasonNames = [reasons]string{
	"", "queue_full", "sender_over_share", "over_age", "too_late",
	"key_closed", "function_closed", "scheduler_closed", "invalid",
	"too_large", "shed",
}

// String returns the reason in snake case, as used for metric labels.
func (r Reason) String() string {
	if r == 0 || r >= reasons {
		return fmt.Sprintf("reason_%d", uint8(r))
	}
	return reasonNames[r]
}

// Reasons returns every reason, for exporters.
func Reasons() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := Reason(1); r < reasons; r++ {
		all = append(all, r)
	}
	return all
}

// Refusal says that an invocation did not run, and what its sender can do.
type Refusal struct {
	Reason Reason
	// Retryable says that the same invocation may succeed later, here or, for a
	// closed key or scheduler, wherever it is served by then.
	Retryable bool
	// RetryAfter is when a retry has a fair chance: an estimate with jitter,
	// 0 for at once. Meaningful only if Retryable.
	RetryAfter time.Duration
	// Waited is how long the invocation had been here.
	Waited time.Duration

	function string
}

func (r *Refusal) Error() string {
	s := fmt.Sprintf("%s refused: %s", r.function, r.Reason)
	if r.Waited > 0 {
		s += fmt.Sprintf(" after %v", r.Waited)
	}
	if r.Retryable {
		s += fmt.Sprintf(", retry after %v", r.RetryAfter)
	}
	return s
}

// NewRefusal is for packages that make functions of another shape.
func NewRefusal(function string, reason Reason, waited, retryAfter time.Duration) *Refusal {
	r := &Refusal{Reason: reason, Waited: waited, function: function}
	r.Retryable = reason != Invalid && reason != FunctionClosed && reason != TooLarge
	if r.Retryable {
		r.RetryAfter = retryAfter
	}
	return r
}

// Function returns the name of the function that was invoked.
func (r *Refusal) Function() string { return r.function }
