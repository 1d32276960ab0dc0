package workflow

import (
	"runtime/debug"
	"sync/atomic"

	"github.com/starling-vr/starling/invoke"
)

// partition is a document that was split. It is reused with its storage.
type partition[D any] struct {
	parts   []Part[D]
	runs    []*Run[D]
	pending atomic.Int32
	lost    bool // a part hangs; guarded by the engine's lock
}

func (w *Workflow[D]) splits(run *Run[D]) bool {
	s := w.graph.Splitter
	return s != nil && run.Size > s.Above && w.mappedFrom < w.mappedTo
}

// divide runs a large document: what comes before on the whole, then the parts on as
// many workers as are free. The worker that ends the last part goes on.
func (w *Workflow[D]) divide(run *Run[D], now invoke.Instant) {
	now, ok := w.fuse(run, 0, w.mappedFrom, now)
	if !ok {
		return
	}
	var split *partition[D]
	if run.err == nil {
		split = w.cut(run)
	}
	if split == nil {
		if now, ok = w.fuse(run, w.mappedFrom, len(w.steps), now); ok {
			w.finish(run, now)
		}
		return
	}
	e := w.engine
	run.split = split
	split.pending.Store(int32(len(split.parts)))
	e.mu.Lock()
	w.tally.split++
	e.policy.finish(&run.ticket)
	for i := range split.parts {
		w.prepare(run, i, now)
	}
	e.mu.Unlock()
	for _, part := range split.runs[1:len(split.parts)] {
		part.inv = invoke.Invocation{Sender: run.Sender, Arrived: run.Arrived, Deadline: run.Deadline, Payload: part}
		if w.fn.Submit(&part.inv) != nil {
			w.runPart(part)
		}
	}
	w.runPart(split.runs[0])
}

// cut splits the document. It is nil if it stays whole.
func (w *Workflow[D]) cut(run *Run[D]) *partition[D] {
	s := w.graph.Splitter
	split := w.engine.partition()
	want := max(run.Size/s.Above+1, w.engine.scheduler.Workers())
	err := guarded(func() (err error) {
		split.parts, err = s.Split(run.Document, want, split.parts[:0])
		return err
	})
	if err != nil {
		run.err = w.fault("split", err)
	}
	if err != nil || len(split.parts) < 2 {
		w.engine.recycle(split, s.Release)
		return nil
	}
	return split
}

// prepare makes the run of part i; with the engine's lock held.
func (w *Workflow[D]) prepare(run *Run[D], i int, now invoke.Instant) {
	split := run.split
	if i == len(split.runs) {
		split.runs = append(split.runs, new(Run[D]))
	}
	part := split.runs[i]
	part.reset(w, len(w.steps))
	part.Document, part.Size = split.parts[i].Document, split.parts[i].Size
	part.Arrived, part.Deadline, part.Sender, part.Payload = run.Arrived, run.Deadline, run.Sender, run.Payload
	part.parent, part.ran = run, run.ran
	t := &part.ticket
	t.flow, t.due, t.arrived, t.submitted, t.size, t.slot = &w.flow, run.ticket.due, run.Arrived, now, max(part.Size, 1), -1
	t.guaranteed = run.ticket.guaranteed
	w.engine.policy.join(now, t)
}

// runPart runs the mapped steps on a part.
func (w *Workflow[D]) runPart(part *Run[D]) {
	e := w.engine
	now := e.now()
	part.started = now
	e.mu.Lock()
	e.policy.resume(now, &part.ticket, w.flow.mapped)
	e.activate(part)
	e.mu.Unlock()
	now, ok := w.fuse(part, w.mappedFrom, w.mappedTo, now)
	if !ok {
		return // the watchdog has answered
	}
	part.ended = now
	e.mu.Lock()
	e.policy.finish(&part.ticket)
	e.deactivate(part)
	w.bookSteps(part, w.mappedFrom, w.mappedTo)
	w.merge(part)
	e.mu.Unlock()
	w.partEnded(part.parent, now)
}

// partEnded goes on with the document when its last part has ended.
func (w *Workflow[D]) partEnded(run *Run[D], now invoke.Instant) {
	split := run.split
	if split.pending.Add(-1) > 0 {
		return
	}
	e, s := w.engine, w.graph.Splitter
	if split.lost {
		run.progress.Store(abandoned) // the part that hangs may use the whole, too
		w.finish(run, now)
		return
	}
	if run.err == nil {
		if err := guarded(func() error { return s.Join(run.Document, split.parts) }); err != nil {
			run.err = w.fault("join", err)
		}
	}
	e.mu.Lock()
	e.policy.resume(now, &run.ticket, w.flow.whole)
	e.mu.Unlock()
	now, ok := w.fuse(run, w.mappedTo, len(w.steps), e.now())
	if !ok {
		return
	}
	e.recycle(split, s.Release)
	w.finish(run, now)
}

// weight orders outcomes by what the whole is said to have, if its parts differ.
var weight = [...]int{Skipped: 0, Ran: 1, Shed: 2, NotReached: 3, Blocked: 4, Errored: 5}

// merge adds what became of a part to the whole; with the engine's lock held.
func (w *Workflow[D]) merge(part *Run[D]) {
	run := part.parent
	for i := w.mappedFrom; i < w.mappedTo; i++ {
		r, of := &run.results[i], &part.results[i]
		r.took += of.took
		r.size += of.size
		if r.err == nil {
			r.err = of.err
		}
		if r.outcome == NotReached && !r.merged || weight[of.outcome] > weight[r.outcome] {
			r.outcome = of.outcome
		}
		r.merged = true
		run.ran &^= w.steps[i].bit
		if r.outcome == Ran {
			run.ran |= w.steps[i].bit
		}
	}
	if run.err == nil {
		run.err = part.err
	}
}

// fault is how the workflow's own functions fail.
func (w *Workflow[D]) fault(function string, err error) *FunctionError {
	fault := &FunctionError{Workflow: w.name, Function: function, Cause: Failed, Err: err}
	if p, ok := err.(*panicked); ok {
		fault.Cause, fault.Stack = Panicked, p.stack
	}
	return fault
}

func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p, debug.Stack()}
		}
	}()
	return do()
}

func (p *panicked) Unwrap() error {
	if err, ok := p.value.(error); ok {
		return err
	}
	return nil
}

// partition gives one to use.
func (e *Engine[D]) partition() *partition[D] {
	e.mu.Lock()
	defer e.mu.Unlock()
	if last := len(e.partitions) - 1; last >= 0 {
		split := e.partitions[last]
		e.partitions = e.partitions[:last]
		return split
	}
	return new(partition[D])
}

// keepPartitions is how many are kept for reuse.
const keepPartitions = 16

func (e *Engine[D]) recycle(split *partition[D], release func(*D)) {
	for i := range split.parts {
		if release != nil {
			release(split.parts[i].Document)
		}
	}
	clear(split.parts)
	split.parts = split.parts[:0]
	for _, run := range split.runs {
		run.Document, run.Payload, run.parent = nil, nil, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.partitions) < keepPartitions {
		e.partitions = append(e.partitions, split)
	}
}
