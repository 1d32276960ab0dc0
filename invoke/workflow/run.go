package workflow

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Run is one document's way through a workflow. The caller fills in the exported
// fields, all of them anew for each use, and hands it to Workflow.Submit; from then
// on it belongs to the engine until Done is called with it, or Submit has returned
// a refusal. Then it is the caller's again and may be reused at once, even inside
// Done, unless it is Abandoned. It must not be copied. The zero value is ready.
type Run[D any] struct {
	// Document is what the functions work on.
	Document *D
	// Size is what run times are proportional to: words, or bytes. It should be cheap
	// to tell, and in the same unit for all documents of an engine.
	Size int
	// Sender is whom fairness is kept for, any stable number; 0 is exempt.
	Sender uint64
	// Arrived is when the document came in, possibly before Submit. Submit replaces
	// 0 by now.
	Arrived invoke.Instant
	// Deadline is when the result is due. Submit replaces 0 by Arrived plus the
	// workflow's deadline.
	Deadline invoke.Instant
	// Reserve is how much of the time until Deadline is kept for what the caller has to do
	// afterwards, such as sending the answer: a hard document is only taken, begun and gone
	// on with if it ends so much before Deadline. It is late behind Deadline all the same.
	Reserve time.Duration
	// Payload is the caller's; the engine never looks at it.
	Payload any
	// Done is called once, when the document is through, has failed or was refused
	// after Submit had taken it. It runs on a worker and must be short. Required.
	Done func(*Run[D])

	flow     *Workflow[D]
	inv      invoke.Invocation
	ticket   ticket
	ran      uint64 // steps that ran, a bit each
	results  []result
	err      error
	started  invoke.Instant
	ended    invoke.Instant
	progress atomic.Uint64  // see enter
	sequence uint64         // of this use of the run, in the upper bits of progress
	slot     int            // among those that run, -1: not there
	onWorker bool           // of the scheduler, not a caller of Execute
	resumed  invoke.Instant // when it last let others run, or began
	away     time.Duration  // how long others ran during the step
	watched  watched

	split  *partition[D] // of a document that was split
	parent *Run[D]       // of a part
}

// result is what became of a step.
type result struct {
	outcome Outcome
	took    time.Duration
	size    int  // what was worked on; parts differ from the whole
	merged  bool // from parts
	err     *FunctionError
}

// Outcome says what became of a step.
type Outcome uint8

const (
	// NotReached: the document failed or was refused before.
	NotReached Outcome = iota
	// Ran to its end.
	Ran
	// Skipped: its condition did not hold, or what it needs was skipped.
	Skipped
	// Shed to meet deadlines, or because what it needs was shed.
	Shed
	// Errored: see Run.FunctionError.
	Errored
	// Blocked: what it needs failed.
	Blocked
)

var outcomeNames = [...]string{"not_reached", "ran", "skipped", "shed", "errored", "blocked"}

// String returns the outcome in snake case.
func (o Outcome) String() string { return outcomeNames[o] }

// Workflow returns the workflow that the run was submitted to.
func (r *Run[D]) Workflow() *Workflow[D] { return r.flow }

// Err is nil if every required step ran or was skipped by its condition. Otherwise
// it is a *Refusal, or the *FunctionError of the first required function that failed.
func (r *Run[D]) Err() error { return r.err }

// Late says that the run ended after its deadline, or did not do what is required.
func (r *Run[D]) Late() bool { return r.err != nil || r.ended > r.Deadline }

// Abandoned says that a function that hung may still use the run and its document:
// neither may be used again.
func (r *Run[D]) Abandoned() bool { return r.progress.Load() == abandoned }

// Started and Ended are when the first step began and the last one ended.
func (r *Run[D]) Started() invoke.Instant { return r.started }

// Ended is when the last step ended, or the document was refused.
func (r *Run[D]) Ended() invoke.Instant { return r.ended }

// yieldEvery is how long a run keeps its processor at a time: Go's own scheduler takes
// it away after 10 ms at the earliest, too late for short deadlines beside it
// (docs/decisions/isolation.md).
const yieldEvery = time.Millisecond

// Yield lets others run if the run has kept its processor for a millisecond. The engine
// does so between steps; a function that takes longer than that calls it a few times
// each millisecond. While others run the function's run time stands still. Outside of a
// workflow it does nothing.
func (r *Run[D]) Yield() {
	if r.flow != nil {
		now := r.flow.engine.now()
		r.away += r.yield(now).Sub(now)
	}
}

// yield does so and returns what time it is then.
func (r *Run[D]) yield(now invoke.Instant) invoke.Instant {
	if now.Sub(r.resumed) < yieldEvery {
		return now
	}
	runtime.Gosched()
	r.resumed = r.flow.engine.now()
	return r.resumed
}

// Overrun is how much longer the steps took than was expected when they began, waiting
// for a processor included; 0 if they were faster, or none began.
func (r *Run[D]) Overrun() time.Duration {
	if r.started == 0 {
		return 0
	}
	return max(r.ended.Sub(r.started)-r.ticket.expected, 0)
}

// Outcome says what became of step i, by its place in Workflow.Steps.
func (r *Run[D]) Outcome(i int) Outcome { return r.results[i].outcome }

// Took is how long step i ran; for a document that was split, the sum over its parts.
func (r *Run[D]) Took(i int) time.Duration { return r.results[i].took }

// FunctionError is how step i failed, nil if it did not.
func (r *Run[D]) FunctionError(i int) *FunctionError { return r.results[i].err }

// reset prepares the run for n steps, keeping its storage.
func (r *Run[D]) reset(flow *Workflow[D], n int) {
	r.flow, r.ran, r.err, r.started, r.ended = flow, 0, nil, 0, 0
	r.slot, r.onWorker, r.split, r.parent = -1, true, nil, nil
	if cap(r.results) < n {
		r.results = make([]result, n)
	}
	r.results = r.results[:n]
	clear(r.results)
	r.sequence++
	r.progress.Store(0)
	r.ticket = ticket{}
}

// enter notes that step i begins, for the watchdog. It fails if the watchdog has
// given the run up: then it is not the caller's any more.
func (r *Run[D]) enter(i int) bool {
	return r.advance(r.sequence<<stepBits | uint64(i+1))
}

// leave notes that no step runs.
func (r *Run[D]) leave() bool { return r.advance(0) }

func (r *Run[D]) advance(to uint64) bool {
	at := r.progress.Load()
	return at != abandoned && r.progress.CompareAndSwap(at, to)
}

const (
	stepBits  = 8
	abandoned = ^uint64(0)
)
