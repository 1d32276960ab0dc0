package invoke

import "time"

// worker takes runs and carries them out, one goroutine each.
type worker struct {
	scheduler *Scheduler
	wake      chan struct{}
	slice     time.Duration
	long      bool // takes long runs only
	taken     Run
}

func (w *worker) take(now Instant) bool {
	if w.long {
		return w.scheduler.policy.TakeLong(now, &w.taken)
	}
	return w.scheduler.policy.Take(now, &w.taken)
}

func (w *worker) work() {
	s := w.scheduler
	now := s.clock()
	s.mu.Lock()
	for {
		if surplus := w.surplus(); *surplus > 0 {
			*surplus--
			next := s.toWake()
			s.mu.Unlock()
			if next != nil {
				next.wake <- struct{}{}
			}
			return
		}
		for !w.take(now) {
			if s.closed && s.policy.Waiting() == 0 {
				s.wakeAll()
				s.mu.Unlock()
				return
			}
			w.park()
			now = s.clock()
		}
		next := s.toWake()
		s.mu.Unlock()
		if next != nil {
			next.wake <- struct{}{}
		}
		var done int
		done, now = w.carryOut(now)
		s.mu.Lock()
		s.policy.Finished(now, &w.taken, done)
	}
}

// Replace starts a worker in the place of one that a run of f has held for longer
// than its package allows: Go cannot stop it. When the run comes back after all,
// restore, to be called once and inside it, makes one worker end. The run must be of
// a function that is Alone, or others wait with it.
func (s *Scheduler) Replace(f *Function) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	long := f.long
	s.policy.replaced(long, 1)
	w := &worker{scheduler: s, wake: make(chan struct{}, 1), slice: s.policy.config.Slice, long: long && s.policy.config.LongWorkers > 0}
	s.workers.Go(w.work)
	return func() {
		s.mu.Lock()
		s.policy.replaced(long, -1)
		*w.surplus()++
		s.mu.Unlock()
	}
}

// surplus counts the workers of w's kind that have to end; with the lock held.
func (w *worker) surplus() *int {
	if w.long {
		return &w.scheduler.long.surplus
	}
	return &w.scheduler.surplus
}

// replaced notes that n more runs hold a worker that was replaced.
func (p *Policy) replaced(long bool, n int) {
	if long {
		p.longRunning -= n
	}
}

// park waits to be woken. It is called, and returns, with the lock held.
func (w *worker) park() {
	s := w.scheduler
	idle, waking := &s.idle, &s.waking
	if w.long {
		idle, waking = &s.long.idle, &s.long.waking
	}
	*idle = append(*idle, w)
	s.mu.Unlock()
	<-w.wake
	s.mu.Lock()
	*waking--
}

// carryOut does what was taken until the slice is over, and returns how many
// items it did and when it ended.
func (w *worker) carryOut(now Instant) (done int, end Instant) {
	run, clock := &w.taken, w.scheduler.clock
	until := now.Add(w.slice)
	for done < len(run.Items) && (done == 0 || now < until) {
		run.Recheck(now, done)
		item := &run.Items[done]
		if item.Refusal != nil {
			item.fn.spec.Refused(item.Invocation, item.Refusal)
		} else {
			item.Started = now
			item.fn.spec.Run(item.Invocation)
			now = clock()
			item.Ended = now
		}
		done++
	}
	if key := run.Key; key != nil && key.keys.options.AfterRun != nil {
		key.keys.options.AfterRun(key)
		end := clock()
		run.AfterRun = end.Sub(now)
		now = end
	}
	return done, now
}
