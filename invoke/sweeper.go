package invoke

import (
	"sync"
	"time"
)

const sweepEvery = 5 * time.Millisecond

// sweeper refuses in time what waits while every worker is busy. Its timer is
// armed only then.
type sweeper struct {
	scheduler *Scheduler
	timer     *time.Timer
	armed     bool
	stopped   bool
	running   sync.Mutex // one sweep at a time, held outside Scheduler.mu
	taken     Run
}

// arm is called with Scheduler.mu held.
func (w *sweeper) arm() {
	if w.armed || w.stopped {
		return
	}
	w.armed = true
	if w.timer == nil {
		w.timer = time.AfterFunc(sweepEvery, w.run)
		return
	}
	w.timer.Reset(sweepEvery)
}

func (w *sweeper) run() {
	s := w.scheduler
	w.running.Lock()
	defer w.running.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	w.armed = false
	for s.policy.Expire(s.clock(), &w.taken) {
		s.mu.Unlock()
		w.taken.refuseAll()
		s.mu.Lock()
		s.policy.Finished(s.clock(), &w.taken, len(w.taken.Items))
	}
	if next := s.toWake(); next != nil { // arms the timer again if need be
		next.wake <- struct{}{}
	}
}

func (w *sweeper) stop() {
	w.scheduler.mu.Lock()
	defer w.scheduler.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (r *Run) refuseAll() {
	for i := range r.Items {
		item := &r.Items[i]
		item.fn.spec.Refused(item.Invocation, item.Refusal)
	}
	if r.Key != nil && r.Key.keys.options.AfterRun != nil {
		r.Key.keys.options.AfterRun(r.Key)
	}
}
