package plan

import "time"

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
	busy  int
	queue queue[slice]
	spent time.Duration // processor time, in all
}

// slice is a piece of work that needs a core.
type slice struct {
	cost time.Duration
	then func()
}

// work does something on a core, when one is free, in the order of asking.
func (m *machine) work(cost time.Duration, then func()) {
	if m.busy == m.cores {
		m.queue.push(slice{cost, then})
		return
	}
	m.busy++
	m.begin(slice{cost, then})
}

func (m *machine) begin(s slice) {
	m.spent += s.cost
	m.sim.after(s.cost, func() {
		if next, ok := m.queue.pop(); ok {
			m.begin(next)
		} else {
			m.busy--
		}
		s.then()
	})
}

// thread does one thing after another.
type thread struct {
	machine *machine
	wake    time.Duration // from asking to running, when it rests
	busy    bool
	queue   queue[slice]
	spent   time.Duration
}

// post gives the thread something to do.
func (t *thread) post(cost time.Duration, then func()) {
	t.queue.push(slice{cost, then})
	if t.busy {
		return
	}
	t.busy = true
	t.machine.sim.after(t.wake, t.next)
}

func (t *thread) next() {
	s, ok := t.queue.pop()
	if !ok {
		t.busy = false
		return
	}
	t.spent += s.cost
	t.machine.work(s.cost, func() {
		s.then()
		t.next()
	})
}

// queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

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
