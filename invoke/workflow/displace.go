package workflow

import (
	"container/heap"
	"time"

	"github.com/starling-vr/starling/invoke"
)

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
// hold loses its longest job). If the largest is not due after the newcomer, less is left
// to do for all that wait, so the newcomer is taken even if it is late by its grace: else
// all that come would be refused, of whatever size, as soon as what waits is a little
// behind. It returns the document that was displaced, nil if nothing was changed.
func (p *policy) displace(t *ticket, take func(lenient time.Duration) bool) *ticket {
	f := t.flow
	if !f.displaces || t.guaranteed || len(f.displaceable) == 0 || f.displaceable[0].size <= t.size {
		return nil
	}
	largest := f.displaceable[0]
	p.withdraw(largest)
	lenient := time.Duration(0)
	if largest.due <= t.due {
		lenient = t.grace
	}
	if !take(lenient) {
		p.put(largest)
		heap.Push(&f.displaceable, largest)
		return nil
	}
	largest.displaced = true
	return largest
}

// trim withdraws the largest document of a workflow that waits if what waits has fallen
// behind so far that not even its grace suffices, and withdrawing it helps: else those at
// the end of the queue would be refused when their turn comes, of whatever size. It
// returns the document, nil if all is well.
func (p *policy) trim(now invoke.Instant, f *flow) *ticket {
	if !f.displaces || len(f.displaceable) == 0 {
		return nil
	}
	largest := f.displaceable[0]
	late := p.worst(false, now)
	if late+p.busy(now) <= largest.grace {
		return nil
	}
	p.withdraw(largest)
	if p.worst(false, now) >= late {
		p.put(largest)
		heap.Push(&f.displaceable, largest)
		return nil
	}
	largest.displaced = true
	return largest
}
