package plan

import (
	"slices"
	"time"
)

// simulation is the clock and what is to happen: a discrete-event simulation.
type simulation struct {
	now  time.Duration
	heap []event
	seq  uint64
}

// event is something to happen at an instant; those of one instant in the order
// in which they were planned.
type event struct {
	at   time.Duration
	seq  uint64
	what func()
}

func (a *event) before(b *event) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// after plans something.
func (s *simulation) after(d time.Duration, what func()) {
	s.seq++
	s.heap = append(s.heap, event{s.now + max(d, 0), s.seq, what})
	for i := len(s.heap) - 1; i > 0; {
		parent := (i - 1) / 4
		if !s.heap[i].before(&s.heap[parent]) {
			break
		}
		s.heap[i], s.heap[parent] = s.heap[parent], s.heap[i]
		i = parent
	}
}

// run lets happen what is planned until an instant.
func (s *simulation) run(until time.Duration) {
	for len(s.heap) > 0 && s.heap[0].at <= until {
		first := s.heap[0]
		last := len(s.heap) - 1
		s.heap[0] = s.heap[last]
		s.heap[last] = event{}
		s.heap = s.heap[:last]
		s.down()
		s.now = first.at
		first.what()
	}
	s.now = max(s.now, until)
}

func (s *simulation) down() {
	for i := 0; ; {
		least := i
		for child := 4*i + 1; child <= 4*i+4 && child < len(s.heap); child++ {
			if s.heap[child].before(&s.heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		s.heap[i], s.heap[least] = s.heap[least], s.heap[i]
		i = least
	}
}

// machine is a computer: so many cores, and a queue before them.
type machine struct {
	sim   *simulation
	cores int
	slice time.Duration // that a thread keeps a core for while others wait; 0: one piece of work
	busy  int
	queue queue[func(rested bool)]
	spent time.Duration // processor time, in all

	// stall is for how long a core that works so long stands still meanwhile, because
	// something else takes it away, where all cores work or one rests; nil: it never
	// does. It is no processor time.
	stall func(working time.Duration, all bool) time.Duration
}

// slice is a piece of work that needs a core.
type slice struct {
	cost time.Duration
	then func()
}

// acquire takes a core, when one is free, in the order of asking. rested says
// whether it had nothing to do until now.
func (m *machine) acquire(then func(rested bool)) {
	if m.busy == m.cores {
		m.queue.push(then)
		return
	}
	m.busy++
	then(true)
}

// awake takes a core, and waits while one that rests wakes.
func (m *machine) awake(wake time.Duration, then func()) {
	m.acquire(func(rested bool) {
		if !rested {
			wake = 0
		}
		m.sim.after(wake, then)
	})
}

// release gives a core to who waits.
func (m *machine) release() {
	if next, ok := m.queue.pop(); ok {
		next(false)
	} else {
		m.busy--
	}
}

// wanted says whether anybody waits for a core.
func (m *machine) wanted() bool { return !m.queue.empty() }

// spend passes time on a core that was acquired.
func (m *machine) spend(cost time.Duration, then func()) {
	m.spent += cost
	if m.stall != nil {
		cost += m.stall(cost, m.busy == m.cores)
	}
	m.sim.after(cost, then)
}

// work does something on a core.
func (m *machine) work(cost time.Duration, then func()) {
	m.acquire(func(bool) {
		m.spend(cost, func() {
			m.release()
			then()
		})
	})
}

// process is a program in Go with its timers. They fire when it looks: each time
// one of its threads wakes, or when it sleeps to the next whole millisecond
// (runtime.netpoll of Go 1.26 hands epoll_wait whole milliseconds).
type process struct {
	sim    *simulation
	timers []*timer // to come
}

type timer struct {
	due   time.Duration
	then  func()
	fired bool
}

// timer plans something for after d, and not much later.
func (p *process) timer(d time.Duration, then func()) {
	t := &timer{due: p.sim.now + max(d, 0), then: then}
	p.timers = append(p.timers, t)
	late := (d + time.Millisecond - 1).Truncate(time.Millisecond)
	p.sim.after(max(late, time.Millisecond), func() {
		if !t.fired {
			p.look()
		}
	})
}

// look fires what is due.
func (p *process) look() {
	if len(p.timers) == 0 {
		return
	}
	var due []*timer
	p.timers = slices.DeleteFunc(p.timers, func(t *timer) bool {
		if t.fired = t.due <= p.sim.now; t.fired {
			due = append(due, t)
		}
		return t.fired
	})
	for _, t := range due {
		t.then()
	}
}

// thread does one thing after another. It keeps its core while it has something to
// do and nobody waits, or its slice is not over: system calls are not preempted,
// and the kernel looks at slices at its ticks.
type thread struct {
	machine *machine
	process *process      // nil: it has no timers
	wake    time.Duration // from asking to running, when it rests and its core, too
	waking  time.Duration // processor time of letting a core rest and of waking it
	busy    bool
	since   time.Duration // when it got its core
	queue   queue[slice]
	spent   time.Duration
	wakes   int64
}

// post gives the thread something to do.
func (t *thread) post(cost time.Duration, then func()) {
	t.queue.push(slice{cost, then})
	if t.busy {
		return
	}
	t.busy = true
	t.machine.awake(t.wake, t.begin)
}

// begin is when a thread that rested has a core.
func (t *thread) begin() {
	t.since = t.machine.sim.now
	if t.process != nil {
		t.process.look()
	}
	t.next()
}

// rest is when a thread has nothing to do. Who takes over its core at once saves
// what it costs to let that rest and to wake it again; and so does what comes while
// the thread goes to rest.
func (t *thread) rest() {
	m := t.machine
	if t.waking > 0 && !m.wanted() {
		t.wakes++
		t.spent += t.waking
		m.spend(t.waking, func() {
			if t.queue.empty() {
				t.busy = false
				m.release()
				return
			}
			t.next()
		})
		return
	}
	if !m.wanted() {
		t.wakes++
	}
	t.busy = false
	m.release()
}

// next does what is next, on the core that the thread has.
func (t *thread) next() {
	m := t.machine
	s, ok := t.queue.pop()
	switch {
	case !ok:
		t.rest()
		return
	case m.wanted() && m.sim.now-t.since >= m.slice:
		m.release()
		m.acquire(func(bool) {
			t.since = m.sim.now
			t.do(s)
		})
		return
	}
	t.do(s)
}

func (t *thread) do(s slice) {
	t.spent += s.cost
	t.machine.spend(s.cost, func() {
		s.then()
		t.next()
	})
}

// queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) empty() bool { return q.head == len(q.items) }

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

func (q *queue[T]) pop() (item T, ok bool) {
	if q.head == len(q.items) {
		return item, false
	}
	var zero T
	item, q.items[q.head] = q.items[q.head], zero
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head > 1024 && q.head > len(q.items)/2:
		q.items = q.items[:copy(q.items, q.items[q.head:])]
		q.head = 0
	}
	return item, true
}
