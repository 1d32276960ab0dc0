package workflow

import "container/heap"

// displaceable are the documents of a workflow that wait and may be displaced: a binary
// heap, the largest first.
type displaceable []*ticket

func (h displaceable) Len() int           { return len(h) }
func (h displaceable) Less(i, j int) bool { return h[i].size > h[j].size }

func (h displaceable) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push is for package heap.
func (h *displaceable) Push(x any) {
	t := x.(*ticket)
	*h = append(*h, t)
	t.index = len(*h)
}

// Pop is for package heap.
func (h *displaceable) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last], t.index = nil, 0
	*h = (*h)[:last]
	return t
}

// displace makes room for a document that there is no time for, by withdrawing the largest
// of its workflow that waits, if that is larger and its time suffices. One for one: so as
// many as possible are in time (Moore, "An n job, one machine sequencing algorithm for
// minimizing the number of late jobs", 1968, where a schedule by deadlines that does not
// hold loses its longest job). It returns the document that was displaced, nil if
// nothing was changed.
func (p *policy) displace(t *ticket, take func() bool) *ticket {
	f := t.flow
	if !f.displaces || t.guaranteed || len(f.displaceable) == 0 || f.displaceable[0].size <= t.size {
		return nil
	}
	largest := f.displaceable[0]
	p.withdraw(largest)
	if !take() {
		p.put(largest)
		heap.Push(&f.displaceable, largest)
		return nil
	}
	largest.displaced = true
	return largest
}
