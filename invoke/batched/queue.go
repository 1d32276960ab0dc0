package batched

import "sort"

// queue holds invocations by due, the earliest first. Room before the first is used
// again, so that pushing and taking allocate nothing once it has grown.
type queue struct {
	items []*Invocation
	head  int
}

func (q *queue) all() []*Invocation { return q.items[q.head:] }

func (q *queue) len() int { return len(q.items) - q.head }

// push sorts inv in. Most come due later than what waits: then it is appended.
func (q *queue) push(inv *Invocation) {
	if len(q.items) == cap(q.items) && q.head > 0 {
		n := copy(q.items, q.all())
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, inv)
	all := q.all()
	last := len(all) - 1
	if last == 0 || all[last-1].before(inv) {
		return
	}
	at := q.dueBefore(inv, last)
	copy(all[at+1:], all[at:last])
	all[at] = inv
}

// dueBefore counts which of the first n go before inv.
func (q *queue) dueBefore(inv *Invocation, n int) int {
	all := q.all()
	return sort.Search(n, func(i int) bool { return inv.before(all[i]) })
}

// take removes what is marked among the first n, and hands each to taken.
func (q *queue) take(n int, marked func(*Invocation) bool, taken func(*Invocation)) {
	all := q.all()[:n]
	for _, inv := range all {
		if marked(inv) {
			taken(inv)
		}
	}
	kept := n
	for i := n - 1; i >= 0; i-- { // what stays moves up to what stands behind
		if inv := all[i]; !marked(inv) {
			kept--
			all[kept] = inv
		}
	}
	clear(all[:kept])
	q.head += kept
	if q.len() == 0 {
		q.items, q.head = q.items[:0], 0
	}
}
