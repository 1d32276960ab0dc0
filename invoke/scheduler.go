package invoke

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Scheduler runs invocations of deployed functions on its workers: a Policy with
// a clock, a lock and goroutines. Its methods may be called from many goroutines,
// and from inside Run, Refused and AfterRun, except Close.
type Scheduler struct {
	clock   Clock
	workers sync.WaitGroup

	mu     sync.Mutex // guards everything below
	policy *Policy
	idle   []*worker // parked, the last parked first
	waking int       // woken, have not yet taken anything
	// surplus is how many workers have to end, because those that they replaced are back.
	surplus int
	long    struct { // the same of the workers for long runs
		idle            []*worker
		waking, surplus int
	}
	closed bool
	sweep  sweeper
}

// New starts a scheduler. Close ends it.
func New(config Config) *Scheduler {
	if config.Clock == nil {
		config.Clock = Now
	}
	s := &Scheduler{clock: config.Clock, policy: NewPolicy(config, config.Clock())}
	config = s.policy.config
	s.sweep.scheduler = s
	for range config.Workers {
		w := &worker{scheduler: s, wake: make(chan struct{}, 1), slice: config.Slice}
		s.workers.Go(w.work)
	}
	for range config.LongWorkers {
		w := &worker{scheduler: s, wake: make(chan struct{}, 1), slice: config.Slice, long: true}
		s.workers.Go(w.work)
	}
	return s
}

// Workers returns how many invocations may run at once.
func (s *Scheduler) Workers() int { return s.policy.Workers() }

// Now reads the scheduler's clock.
func (s *Scheduler) Now() Instant { return s.clock() }

// Keys makes a set of keys for keyed functions to share.
func (s *Scheduler) Keys(name string, options KeyOptions) *Keys {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.policy.Keys(name, options)
	keys.scheduler = s
	return keys
}

// Deploy admits a function if its contract and all others can be held together.
// The error is a *NotAdmittedError that says why not.
func (s *Scheduler) Deploy(spec Spec) (*Function, error) {
	if spec.Run == nil || spec.Refused == nil {
		return nil, &NotAdmittedError{spec.Name, []Shortage{{"spec", "Run and Refused are required"}}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.policy.Deploy(s.clock(), spec)
	if err != nil {
		return nil, err
	}
	f.scheduler = s
	return f, nil
}

// Undeploy ends the function's contract and frees what was reserved for it. What
// waits, and what is submitted from now on, is refused with FunctionClosed.
func (f *Function) Undeploy() {
	s := f.scheduler
	s.mu.Lock()
	s.policy.Undeploy(s.clock(), f)
	s.mu.Unlock()
}

// Submit queues the invocation. The error is a *Refusal, and then neither Run nor
// Refused is called. It does not block and does not allocate unless it refuses.
func (f *Function) Submit(inv *Invocation) error {
	s := f.scheduler
	now := s.clock()
	s.mu.Lock()
	refusal := s.submit(now, f, inv)
	w := s.toWake()
	s.mu.Unlock()
	if w != nil {
		w.wake <- struct{}{}
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// SubmitLending is Submit for callers who lend their goroutine: where a worker
// would have to be woken for a function whose runs are short, the caller stands
// in for it and does what is due next, this invocation or another, before it
// returns. Waking a worker costs more than many a run. The caller must hold
// nothing that Run, Refused or AfterRun of any function may wait for.
func (f *Function) SubmitLending(inv *Invocation) error {
	s := f.scheduler
	now := s.clock()
	s.mu.Lock()
	refusal := s.submit(now, f, inv)
	w := s.toWake()
	if w != nil && refusal == nil && f.lendable() {
		s.waking--
		s.standIn(now, w)
		w = s.toWake()
	}
	s.mu.Unlock()
	if w != nil {
		w.wake <- struct{}{}
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

func (s *Scheduler) submit(now Instant, f *Function, inv *Invocation) *Refusal {
	if s.closed {
		return s.policy.refuseClosed(f)
	}
	return s.policy.Submit(now, f, inv)
}

// longestLent is the mean run time up to which a function runs on lent goroutines.
const longestLent = 50 * time.Microsecond

func (f *Function) lendable() bool { return !f.long && f.expected() <= longestLent }

// standIn does one run in the place of a parked worker, which is not in the list
// of those meanwhile. It is called, and returns, with the lock held.
func (s *Scheduler) standIn(now Instant, w *worker) {
	if s.policy.Take(now, &w.taken) {
		s.mu.Unlock()
		done, now := w.carryOut(now)
		s.mu.Lock()
		s.policy.Finished(now, &w.taken, done)
	}
	if s.closed { // it was not there to be told
		s.waking++
		w.wake <- struct{}{}
		return
	}
	s.idle = append(s.idle, w)
}

// toWake picks a worker to wake if there is more to do than workers on their way.
func (s *Scheduler) toWake() *worker {
	var w *worker
	if last := len(s.idle) - 1; last >= 0 && s.policy.Runnable() > s.waking {
		w = s.idle[last]
		s.idle = s.idle[:last]
		s.waking++
	}
	if last := len(s.long.idle) - 1; last >= 0 && s.policy.RunnableLong() > s.long.waking {
		s.long.idle[last].wake <- struct{}{} // never blocks: it is parked
		s.long.idle = s.long.idle[:last]
		s.long.waking++
	}
	if s.policy.Ready() > s.waking+s.long.waking {
		s.sweep.arm()
	}
	return w
}

// Accounts returns a copy of all accounts.
func (s *Scheduler) Accounts() *Accounts {
	s.mu.Lock()
	accounts := s.policy.ownAccounts(s.clock())
	reservations := slices.Clone(s.policy.reservations)
	s.mu.Unlock()
	accounts.addReservations(reservations) // without the lock: their packages have their own
	return accounts
}

// Overcommitted tests all deployed contracts anew, with the run times learned
// since. It is empty as long as they can be held.
func (s *Scheduler) Overcommitted() []Shortage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.Overcommitted()
}

// Close refuses what is submitted from now on with SchedulerClosed and returns
// when all that waits has run and the workers have ended. If ctx ends before, what
// still waits is refused with SchedulerClosed and Close returns ctx's error; a
// worker inside a Run ends after it.
func (s *Scheduler) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.wakeAll()
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		s.sweep.stop()
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.policy.Abort()
	s.wakeAll()
	s.mu.Unlock()
	s.sweep.run()
	s.sweep.stop()
	return context.Cause(ctx)
}

func (s *Scheduler) wakeAll() {
	for _, w := range s.idle {
		s.waking++
		w.wake <- struct{}{}
	}
	s.idle = s.idle[:0]
	for _, w := range s.long.idle {
		s.long.waking++
		w.wake <- struct{}{}
	}
	s.long.idle = s.long.idle[:0]
}
