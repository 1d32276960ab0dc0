package workflow

import (
	"fmt"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Between these the watchdog looks, a quarter of the shortest bound apart.
const (
	watchLeast = time.Millisecond
	watchMost  = 50 * time.Millisecond
)

// watchdog finds functions that hang. Its timer is armed only while documents run.
type watchdog struct {
	look  func()
	timer *time.Timer
	every time.Duration
	armed bool
}

// watched is what the watchdog knows of a run.
type watched struct {
	progress uint64
	since    invoke.Instant
	restore  func() // called when the function that hung returns
}

// watchFor lets the watchdog look often enough for a bound; with the lock held.
func (d *watchdog) watchFor(bound time.Duration) {
	every := min(max(bound/4, watchLeast), watchMost)
	if d.every == 0 || every < d.every {
		d.every = every
	}
}

func (d *watchdog) arm() {
	if d.armed {
		return
	}
	d.armed = true
	if d.timer == nil {
		d.timer = time.AfterFunc(d.every, d.look)
		return
	}
	d.timer.Reset(d.every)
}

// activate shows the run to the watchdog; with the engine's lock held.
func (e *Engine[D]) activate(run *Run[D]) {
	run.watched = watched{}
	if last := len(e.free) - 1; last >= 0 {
		run.slot, e.free = e.free[last], e.free[:last]
		e.active[run.slot] = run
	} else {
		run.slot = len(e.active)
		e.active = append(e.active, run)
	}
	e.watch.arm()
}

// deactivate is its reverse.
func (e *Engine[D]) deactivate(run *Run[D]) {
	if run.slot < 0 {
		return
	}
	e.active[run.slot] = nil
	e.free = append(e.free, run.slot)
	run.slot = -1
}

// look gives up the runs whose step has run past its bound.
func (e *Engine[D]) look() {
	now := e.now()
	var lost []*Run[D]
	e.mu.Lock()
	for _, run := range e.active {
		if run != nil && e.hangs(run, now) {
			lost = append(lost, run)
		}
	}
	for _, run := range lost {
		e.giveUp(run, now)
	}
	e.watch.armed = false
	if len(e.active) > len(e.free) {
		e.watch.arm()
	}
	e.mu.Unlock()
	for _, run := range lost {
		if run.parent != nil {
			run.flow.partEnded(run.parent, now)
		} else {
			run.Done(run)
		}
	}
}

// hangs says whether the run's step is past its bound, and if so takes the run away
// from its worker.
func (e *Engine[D]) hangs(run *Run[D], now invoke.Instant) bool {
	at := run.progress.Load()
	seen := &run.watched
	if at == 0 || at == abandoned {
		seen.progress = 0
		return false
	}
	if at != seen.progress {
		seen.progress, seen.since = at, now
		return false
	}
	return now.Sub(seen.since) > run.flow.bound(run) && run.progress.CompareAndSwap(at, abandoned)
}

// bound is how long the step that runs may take on the run's document.
func (w *Workflow[D]) bound(run *Run[D]) time.Duration {
	s := &w.steps[run.step()]
	return time.Duration(float64(boundOf(s.Function, w.graph.Deadline)) * w.engine.scale(run.ticket.size))
}

// step is the one that the watchdog saw running.
func (r *Run[D]) step() int { return int(r.watched.progress&(1<<stepBits-1)) - 1 }

// giveUp answers for a step that hangs; with the engine's lock held.
func (e *Engine[D]) giveUp(run *Run[D], now invoke.Instant) {
	w, i := run.flow, run.step()
	s := &w.steps[i]
	fault := &FunctionError{
		Workflow: w.name, Function: s.Name, Cause: Hung,
		Err: fmt.Errorf("it runs for more than its bound of %v", w.bound(run)),
	}
	run.results[i] = result{outcome: Errored, took: now.Sub(run.watched.since), size: run.ticket.size, err: fault}
	run.err, run.ended = fault, now
	e.policy.finish(&run.ticket)
	e.deactivate(run)
	e.hung++
	if run.onWorker && e.hung <= e.options.MaxHung {
		run.watched.restore = e.scheduler.Replace(w.fn)
	}
	if run.parent == nil {
		w.book(run)
		return
	}
	run.parent.split.lost = true
	w.bookSteps(run, w.mappedFrom, w.mappedTo)
	w.merge(run)
}

// returned is called by the worker of a run that was given up.
func (e *Engine[D]) returned(run *Run[D]) {
	e.mu.Lock()
	e.hung--
	restore := run.watched.restore
	e.mu.Unlock()
	if restore != nil {
		restore()
	}
}
