package workflow

import (
	"errors"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// graceShare is how much of Run.Reserve a document that was taken may use up.
const graceShare = 0.25

// Submit queues a document. The error is a *Refusal, and then Done is not called. It
// does not block, and does not allocate unless it refuses or the run is new.
func (w *Workflow[D]) Submit(run *Run[D]) error {
	e := w.engine
	now := e.now()
	run.reset(w, len(w.steps))
	if run.Arrived == 0 {
		run.Arrived = now
	}
	if run.Deadline == 0 {
		run.Deadline = run.Arrived.Add(w.graph.Deadline)
	}
	t := &run.ticket
	t.flow, t.due, t.arrived, t.size = &w.flow, run.Deadline.Add(-run.Reserve), run.Arrived, max(run.Size, 1)
	t.run, t.reserve = run, run.Reserve
	t.grace = time.Duration(graceShare * float64(run.Reserve))
	run.inv = invoke.Invocation{Sender: run.Sender, Arrived: run.Arrived, Deadline: run.Deadline, Payload: run}
	e.mu.Lock()
	w.tally.submitted++
	reason, took, displaced := e.policy.arrive(now, t)
	if reason != 0 {
		w.tally.refusals[reason]++
		refusal := &Refusal{
			Workflow: w.name, Reason: reason, Retryable: reason != TooLarge,
			Predicted: took, Deadline: w.graph.Deadline,
		}
		if refusal.Retryable {
			refusal.RetryAfter = e.policy.retryAfter(now)
			refusal.Kept = run.Reserve + t.flow.margin(e.policy.margin)
			if took <= refusal.Deadline-refusal.Kept {
				refusal.why = "others that wait would be late"
			}
		} else {
			refusal.Kept = t.flow.idleKept(e.policy.margin)
			refusal.alone = t.flow.reckoning(t.size)
		}
		e.mu.Unlock()
		return refusal
	}
	var out *Run[D]
	if displaced != nil {
		out = w.displaced(displaced.run.(*Run[D]), now)
	}
	e.mu.Unlock()
	if out != nil {
		out.Done(out)
	}
	if err := w.fn.Submit(&run.inv); err != nil {
		refusal := w.refusal(err)
		e.mu.Lock()
		e.policy.withdraw(t)
		w.tally.refusals[refusal.Reason]++
		e.mu.Unlock()
		return refusal
	}
	return nil
}

// displaced refuses a run that made room for another, and returns it if its caller is to
// be told now; else a worker has it already, or is about to get it, and will tell. With
// the engine's lock held: until it is free nobody else can end the run.
func (w *Workflow[D]) displaced(run *Run[D], now invoke.Instant) *Run[D] {
	if !w.fn.Withdraw(&run.inv) {
		return nil
	}
	run.err, run.ended = w.tooLate(now, run), now
	w.book(run)
	return run
}

// refusal translates a refusal of the scheduler.
func (w *Workflow[D]) refusal(err error) *Refusal {
	var of *invoke.Refusal
	if !errors.As(err, &of) {
		return &Refusal{Workflow: w.name, Reason: Closed}
	}
	return &Refusal{Workflow: w.name, Reason: ofInvoke[of.Reason], Retryable: of.Retryable, RetryAfter: of.RetryAfter, Deadline: w.graph.Deadline}
}

// refused is called by the scheduler for a document that it will not run.
func (w *Workflow[D]) refused(inv *invoke.Invocation, refusal *invoke.Refusal) {
	run := inv.Payload.(*Run[D])
	run.err = w.refusal(refusal)
	now := w.engine.now()
	if run.parent == nil {
		w.finish(run, now)
		return
	}
	e := w.engine
	e.mu.Lock()
	e.policy.finish(&run.ticket)
	w.merge(run)
	e.mu.Unlock()
	w.partEnded(run.parent, now)
}

// Execute runs a document on the caller's goroutine, past the queue and without
// refusing or splitting it, and calls Done. It is for tools that wait anyway.
func (w *Workflow[D]) Execute(run *Run[D]) error {
	now := w.engine.now()
	run.reset(w, len(w.steps))
	if run.Arrived == 0 {
		run.Arrived = now
	}
	if run.Deadline == 0 {
		run.Deadline = run.Arrived.Add(w.graph.Deadline)
	}
	run.ticket = ticket{flow: &w.flow, due: run.Deadline, arrived: run.Arrived, size: max(run.Size, 1), slot: -1}
	w.engine.mu.Lock()
	w.tally.submitted++
	w.engine.activate(run)
	w.engine.mu.Unlock()
	run.started, run.onWorker = now, false
	w.provide(run)
	now, ok := w.fuse(run, 0, len(w.steps), now)
	if !ok {
		return run.err
	}
	err := run.err
	w.finish(run, now)
	return err
}
