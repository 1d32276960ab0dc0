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

// queue is first in, first out.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) empty() bool { return q.head == len(q.items) }

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

// pushFront puts something before all that waits.
func (q *queue[T]) pushFront(item T) {
	if q.head > 0 {
		q.head--
		q.items[q.head] = item
		return
	}
	q.items = slices.Insert(q.items, 0, item)
}

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
