package workflow

import (
	"fmt"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Cause says how a function failed.
type Cause uint8

const (
	// Failed: it returned an error.
	Failed Cause = iota + 1
	// Panicked: it panicked.
	Panicked
	// Hung: it ran longer than its bound, and may still run. The document is lost to
	// it; see Run.Abandoned.
	Hung
	// Leaked: it left more memory in the document than it declared.
	Leaked

	causes
)

var causeNames = [causes]string{"", "failed", "panicked", "hung", "leaked"}

// String returns the cause in lower case, as used for metric labels.
func (c Cause) String() string {
	if c == 0 || c >= causes {
		return fmt.Sprintf("cause_%d", uint8(c))
	}
	return causeNames[c]
}

// Causes returns every cause, for exporters.
func Causes() []Cause { return []Cause{Failed, Panicked, Hung, Leaked} }

// FunctionError says that a function failed on one document.
type FunctionError struct {
	Workflow, Function string
	Cause              Cause
	// Err is what the function returned, or says what it did.
	Err error
	// Stack is where it panicked.
	Stack []byte
}

func (e *FunctionError) Error() string {
	return fmt.Sprintf("%s: function %s %s: %v", e.Workflow, e.Function, e.Cause, e.Err)
}

// Unwrap returns what the function returned.
func (e *FunctionError) Unwrap() error { return e.Err }

// Reason says why a document was refused.
type Reason uint8

const (
	// QueueFull: as many documents wait as may.
	QueueFull Reason = iota + 1
	// SenderOverShare: the queue is under pressure and this sender holds its share.
	SenderOverShare
	// TooLate: its predicted end lies behind its hard deadline.
	TooLate
	// TooLarge: at its size it could not meet its hard deadline, less what predictions and
	// the caller keep free, on an idle machine.
	TooLarge
	// OverAge: it waited longer than the queue's bound.
	OverAge
	// Closed: the workflow was undeployed or the scheduler closed.
	Closed

	reasons
)

var reasonNames = [reasons]string{"", "queue_full", "sender_over_share", "too_late", "too_large", "over_age", "closed"}

// String returns the reason in snake case, as used for metric labels and answers.
func (r Reason) String() string {
	if r == 0 || r >= reasons {
		return fmt.Sprintf("reason_%d", uint8(r))
	}
	return reasonNames[r]
}

// Reasons returns every reason, for exporters.
func Reasons() []Reason {
	return []Reason{QueueFull, SenderOverShare, TooLate, TooLarge, OverAge, Closed}
}

// Refusal says that a document was not annotated, and what its sender can do.
type Refusal struct {
	Workflow string
	Reason   Reason
	// Retryable says that the same document may be taken later.
	Retryable bool
	// RetryAfter is when a retry has a fair chance. Meaningful only if Retryable.
	RetryAfter time.Duration
	// Predicted is how long it would have taken from arrival, of Deadline; 0 where
	// that was not the reason.
	Predicted, Deadline time.Duration
	// Kept is what of Deadline was to stay free: the margin of predictions, and what the
	// caller reserves for what follows.
	Kept  time.Duration
	alone reckoning // of TooLarge
	why   string    // in words, if Predicted is not the reason
}

func (r *Refusal) Error() string {
	s := fmt.Sprintf("%s refused: %s", r.Workflow, r.Reason)
	if r.Predicted > 0 {
		s += fmt.Sprintf(": would end %v after arrival, due after %v", r.Predicted.Round(time.Microsecond), r.Deadline)
		if r.Kept > 0 {
			s += fmt.Sprintf(" less %v kept free", r.Kept.Round(time.Microsecond))
		}
	}
	switch {
	case r.why == "":
	case r.Predicted > 0:
		s += ", and " + r.why
	default:
		s += ": " + r.why
	}
	if r.alone != (reckoning{}) {
		s += fmt.Sprintf(" (%v)", r.alone)
	}
	if r.Retryable {
		s += fmt.Sprintf(", retry after %v", r.RetryAfter)
	}
	return s
}

var ofInvoke = map[invoke.Reason]Reason{
	invoke.QueueFull: QueueFull, invoke.SenderOverShare: SenderOverShare, invoke.OverAge: OverAge,
	invoke.TooLate: TooLate, invoke.FunctionClosed: Closed, invoke.SchedulerClosed: Closed,
}

// GraphError says what is wrong with a graph or a function, and what to do.
type GraphError struct {
	// Graph and Step say where; Step is empty if it is the graph itself.
	Graph, Step string
	Problem     string
}

func (e *GraphError) Error() string {
	where := e.Graph
	if e.Step != "" {
		where += ": " + e.Step
	}
	return where + ": " + e.Problem
}
