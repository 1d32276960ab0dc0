package invoke

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// Config configures a Scheduler.
type Config struct {
	// Workers is how many invocations may run at once. Default: GOMAXPROCS.
	Workers int
	// Clock tells the time. Default: Now.
	Clock Clock
	// Random is the source of jitter. Default: seeded by the runtime.
	Random rand.Source
}

// Scheduler runs invocations of deployed functions on its workers. Its methods
// may be called from many goroutines.
type Scheduler struct {
	config  Config
	mu      sync.Mutex
	wake    *sync.Cond
	ready   []any // *Key or *Invocation
	closed  bool
	workers sync.WaitGroup
}

// New starts a scheduler.
func New(config Config) *Scheduler {
	if config.Workers == 0 {
		config.Workers = runtime.GOMAXPROCS(0)
	}
	if config.Clock == nil {
		config.Clock = Now
	}
	s := &Scheduler{config: config}
	s.wake = sync.NewCond(&s.mu)
	for range config.Workers {
		s.workers.Go(s.work)
	}
	return s
}

// Now reads the scheduler's clock.
func (s *Scheduler) Now() Instant { return s.config.Clock() }

// Keys makes a set of keys for keyed functions to share.
func (s *Scheduler) Keys(name string, options KeyOptions) *Keys {
	if options.MaxRun == 0 {
		options.MaxRun = 64
	}
	return &Keys{name: name, options: options, scheduler: s}
}

// Function is a deployed function.
type Function struct {
	spec      Spec
	scheduler *Scheduler
	waiting   int
}

// Deploy admits a function if the scheduler can hold its contract; otherwise the
// error is a *NotAdmittedError.
func (s *Scheduler) Deploy(spec Spec) (*Function, error) {
	var short []Shortage
	if spec.Name == "" || spec.Run == nil || spec.Refused == nil {
		short = append(short, Shortage{"spec", "Name, Run and Refused are required"})
	}
	if short != nil {
		return nil, &NotAdmittedError{spec.Name, short}
	}
	if spec.Queue.Count == 0 {
		spec.Queue.Count = 4096
	}
	return &Function{spec: spec, scheduler: s}, nil
}

// Name returns the function's name.
func (f *Function) Name() string { return f.spec.Name }

// Submit queues the invocation. The error is a *Refusal, and then neither Run
// nor Refused is called.
func (f *Function) Submit(inv *Invocation) error {
	s := f.scheduler
	now := s.Now()
	if inv.Arrived == 0 {
		inv.Arrived = now
	}
	if inv.Deadline == 0 && f.spec.Contract.Deadline > 0 {
		inv.Deadline = inv.Arrived.Add(f.spec.Contract.Deadline)
	}
	inv.fn = f
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return f.refusal(SchedulerClosed)
	case (inv.Key == nil) != (f.spec.Keys == nil):
		return f.refusal(Invalid)
	case inv.Key != nil && inv.Key.closed:
		return f.refusal(KeyClosed)
	case f.waiting >= f.spec.Queue.Count:
		return f.refusal(QueueFull)
	}
	f.waiting++
	if key := inv.Key; key != nil {
		key.push(inv)
		s.offer(key)
		return nil
	}
	s.ready = append(s.ready, inv)
	s.wake.Signal()
	return nil
}

func (f *Function) refusal(reason Reason) *Refusal {
	r := &Refusal{Reason: reason, Retryable: reason != Invalid, function: f.spec.Name}
	if r.Retryable {
		r.RetryAfter = 20 * time.Millisecond
	}
	return r
}

func (k *Key) push(inv *Invocation) {
	inv.next = nil
	if k.tail == nil {
		k.head = inv
	} else {
		k.tail.next = inv
	}
	k.tail = inv
}

func (k *Key) pop() *Invocation {
	inv := k.head
	k.head = inv.next
	if k.head == nil {
		k.tail = nil
	}
	inv.next = nil
	return inv
}

func (s *Scheduler) offer(key *Key) {
	if key.head == nil || key.queued || key.running {
		return
	}
	key.queued = true
	s.ready = append(s.ready, key)
	s.wake.Signal()
}

// Close closes the key: what waits is refused with KeyClosed, by a worker inside
// the key's exclusivity, and so is what is submitted from now on. A run in
// progress goes on to its end. It does not block and may be called inside Run.
func (k *Key) Close() {
	s := k.keys.scheduler
	s.mu.Lock()
	k.closed = true
	s.mu.Unlock()
}

func (s *Scheduler) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.ready) == 0 {
			if s.closed {
				return
			}
			s.wake.Wait()
		}
		next := s.ready[0]
		s.ready = s.ready[1:]
		switch next := next.(type) {
		case *Invocation:
			next.fn.waiting--
			s.mu.Unlock()
			next.fn.spec.Run(next)
			s.mu.Lock()
		case *Key:
			s.runKey(next)
		}
	}
}

func (s *Scheduler) runKey(key *Key) {
	key.queued, key.running = false, true
	for range key.keys.options.MaxRun {
		if key.head == nil {
			break
		}
		inv := key.pop()
		inv.fn.waiting--
		closed := key.closed
		s.mu.Unlock()
		if closed {
			inv.fn.spec.Refused(inv, inv.fn.refusal(KeyClosed))
		} else {
			inv.fn.spec.Run(inv)
		}
		s.mu.Lock()
	}
	s.mu.Unlock()
	if key.keys.options.AfterRun != nil {
		key.keys.options.AfterRun(key)
	}
	s.mu.Lock()
	key.running = false
	s.offer(key)
}

// Close refuses what is submitted from now on, runs what waits, and returns when
// the workers have ended or ctx has.
func (s *Scheduler) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.wake.Broadcast()
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
