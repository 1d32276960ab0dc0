package workflow

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// begin is the scheduler's Run: a worker does a document, or a part of one.
func (w *Workflow[D]) begin(inv *invoke.Invocation) {
	run := inv.Payload.(*Run[D])
	if run.parent != nil {
		w.runPart(run)
		return
	}
	e := w.engine
	now := e.now()
	e.mu.Lock()
	reason := e.policy.start(now, &run.ticket)
	if reason == 0 {
		e.activate(run)
	}
	var out *Run[D]
	if t := e.policy.trim(now, &w.flow); t != nil {
		out = w.displaced(t.run.(*Run[D]), now)
	}
	e.mu.Unlock()
	if out != nil {
		out.Done(out)
	}
	if reason != 0 {
		run.err = &Refusal{Workflow: w.name, Reason: reason, Retryable: true, RetryAfter: minRetryAfter, Deadline: w.graph.Deadline}
		w.finish(run, now)
		return
	}
	run.started = now
	w.provide(run)
	if w.splits(run) {
		w.divide(run, now)
		return
	}
	if now, ok := w.fuse(run, 0, len(w.steps), now); ok {
		w.finish(run, now)
	}
}

// provide calls Graph.Begin.
func (w *Workflow[D]) provide(run *Run[D]) {
	if w.graph.Begin != nil {
		w.graph.Begin(run.Document)
	}
}

// fuse runs steps from to to (without to), and returns when the last one ended. It
// is false if the watchdog gave the run up: then it is not ours any more.
func (w *Workflow[D]) fuse(run *Run[D], from, to int, now invoke.Instant) (invoke.Instant, bool) {
	clock := w.engine.scheduler.Now
	run.resumed = now
	for i := from; i < to; i++ {
		now = run.yield(now)
		s, r := &w.steps[i], &run.results[i]
		if run.ran&s.needs != s.needs {
			w.without(run, i)
			continue
		}
		if now > run.ticket.latest() && w.graph.Hard && run.err == nil {
			run.err = w.tooLate(now, run)
		}
		if run.err != nil {
			if _, refused := run.err.(*Refusal); refused {
				break // nobody wants the rest
			}
		}
		if s.shed > 0 && w.sheds(run, i, now) {
			r.outcome = Shed
			continue
		}
		if !run.enter(i) {
			return now, false
		}
		before := w.footprint(run, s)
		run.away = 0
		ran, err := s.call(run)
		end := clock()
		if !run.leave() {
			w.engine.returned(run)
			return end, false
		}
		r.size = run.ticket.size
		if !ran && err == nil {
			r.outcome = Skipped
			now = end
			continue
		}
		r.took = end.Sub(now) - run.away
		now = end
		if err == nil && s.leak() > 0 && w.meters {
			err = w.leaked(run, s, before)
		}
		if err != nil {
			w.failed(run, i, err)
			continue
		}
		r.outcome = Ran
		run.ran |= s.bit
	}
	return now, true
}

// call runs the step if its condition holds. A panic of either is an error.
func (s *step[D]) call(run *Run[D]) (ran bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p, debug.Stack()}
		}
	}()
	if s.when != nil && !s.when(run.Document) {
		return false, nil
	}
	return true, s.Run(run)
}

type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprint(p.value) }

// leak says how much more than declared a function left in the document.
type leak struct{ grew, allowed int }

func (l *leak) Error() string {
	return fmt.Sprintf("the document grew by %d B, declared are %d B", l.grew, l.allowed)
}

func (w *Workflow[D]) footprint(run *Run[D], s *step[D]) int {
	if s.leak() == 0 || !w.meters {
		return 0
	}
	return any(run.Document).(footprinter).Footprint()
}

func (w *Workflow[D]) leaked(run *Run[D], s *step[D], before int) error {
	grew := any(run.Document).(footprinter).Footprint() - before
	if allowed := int(float64(s.leak()) * w.engine.scale(run.ticket.size)); grew > allowed {
		return &leak{grew, allowed}
	}
	return nil
}

func (s *step[D]) leak() int64 { return cmp.Or(s.Leak, s.Memory) }

// scale is how much larger than the reference a document is, at least 1.
func (e *Engine[D]) scale(size int) float64 {
	return max(1, float64(size)/float64(e.options.ReferenceSize))
}

// failed books that step i failed on the run.
func (w *Workflow[D]) failed(run *Run[D], i int, err error) {
	s, r := &w.steps[i], &run.results[i]
	fault := &FunctionError{Workflow: w.name, Function: s.Name, Cause: Failed, Err: err}
	var p *panicked
	var l *leak
	switch {
	case errors.As(err, &p):
		fault.Cause, fault.Stack = Panicked, p.stack
	case errors.As(err, &l):
		fault.Cause = Leaked
	}
	r.outcome, r.err = Errored, fault
	if s.shed == 0 && run.err == nil {
		run.err = fault
	}
}

// without says what becomes of a step whose needs did not all run: the worst of what
// became of them.
func (w *Workflow[D]) without(run *Run[D], i int) {
	worst := Skipped
	for j := range i {
		if w.steps[i].needs&w.steps[j].bit == 0 {
			continue
		}
		switch run.results[j].outcome {
		case Errored, Blocked:
			worst = Blocked
		case Shed:
			if worst == Skipped {
				worst = Shed
			}
		}
	}
	run.results[i].outcome = worst
}

// sheds decides whether optional step i is left out: if this document, or any that
// waits, would otherwise end behind its deadline.
func (w *Workflow[D]) sheds(run *Run[D], i int, now invoke.Instant) bool {
	e, t := w.engine, &run.ticket
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := &w.steps[i]; s.shed <= e.policy.level(now) {
		return true
	}
	left := w.lines[i].at(t.size)
	for j := i + 1; j < len(w.steps); j++ {
		if w.steps[j].shed == 0 {
			left += w.lines[j].chance() * w.lines[j].at(t.size)
		}
	}
	return now.Add(time.Duration(left*e.policy.pace)+w.flow.margin(e.policy.margin)) > t.due
}

func (w *Workflow[D]) tooLate(now invoke.Instant, run *Run[D]) *Refusal {
	gone, deadline := now.Sub(run.Arrived), run.Deadline.Sub(run.Arrived)
	r := &Refusal{Workflow: w.name, Reason: TooLate, Retryable: true, RetryAfter: minRetryAfter, Deadline: deadline}
	switch {
	case run.ticket.displaced:
		r.why = fmt.Sprintf("given up %v after arrival as the largest that waited, so that others are in time", gone.Round(time.Microsecond))
	case gone > deadline:
		r.Predicted = gone
	default:
		r.why = fmt.Sprintf("not through %v after arrival, due after %v", gone.Round(time.Microsecond), deadline)
	}
	return r
}

// finish books the run and gives it back to its caller.
func (w *Workflow[D]) finish(run *Run[D], now invoke.Instant) {
	run.ended = now
	if w.graph.Hard && run.onWorker && run.err == nil && now > run.Deadline {
		run.err = w.tooLate(now, run) // nobody wants it
	}
	e := w.engine
	e.mu.Lock()
	e.policy.finish(&run.ticket)
	e.deactivate(run)
	w.book(run)
	e.mu.Unlock()
	run.Done(run)
}
