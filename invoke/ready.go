package invoke

// band is one of the four ready heaps. Guaranteed work goes before the rest; in
// each, long runs stand apart from short ones because fewer workers may take them.
type band uint8

const (
	shortGuaranteed band = iota
	longGuaranteed
	shortRest
	longRest
	bands
)

func bandOf(privileged, long bool) band {
	b := shortGuaranteed
	if !privileged {
		b = shortRest
	}
	if long {
		b++
	}
	return b
}

func (b band) privileged() bool { return b < shortRest }

func (b band) long() bool { return b == longGuaranteed || b == longRest }

// place is where a unary invocation or a key stands in the ready heaps.
type place struct {
	due   Instant
	seq   uint64 // order of arrival, breaks ties
	index int    // from 1; 0 is in no heap
	band  band
	inv   *Invocation // what stands here: this
	key   *Key        // or this
}

// slot copies the order into the heap, so that sifting follows no pointers.
type slot struct {
	due   Instant
	seq   uint64
	place *place
}

func (a slot) before(b slot) bool {
	return a.due < b.due || a.due == b.due && a.seq < b.seq
}

// readyHeap is a binary heap, the earliest due first.
type readyHeap []slot

func (h *readyHeap) push(p *place) {
	*h = append(*h, slot{p.due, p.seq, p})
	h.up(len(*h) - 1)
}

func (h *readyHeap) remove(p *place) {
	s := *h
	i, last := p.index-1, len(s)-1
	p.index = 0
	moved := s[last]
	s[last] = slot{}
	*h = s[:last]
	if i == last {
		return
	}
	s[i] = moved
	moved.place.index = i + 1
	h.fix(i)
}

// fix restores the order after slot i changed.
func (h *readyHeap) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h *readyHeap) up(i int) {
	s := *h
	moving := s[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !moving.before(s[parent]) {
			break
		}
		s[i] = s[parent]
		s[i].place.index = i + 1
		i = parent
	}
	s[i] = moving
	moving.place.index = i + 1
}

func (h *readyHeap) down(i int) bool {
	s := *h
	moving, start := s[i], i
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1].before(s[child]) {
			child++
		}
		if !s[child].before(moving) {
			break
		}
		s[i] = s[child]
		s[i].place.index = i + 1
		i = child
	}
	s[i] = moving
	moving.place.index = i + 1
	return i > start
}

// readySet holds what could run now.
type readySet [bands]readyHeap

func (r *readySet) push(p *place, b band) {
	p.band = b
	r[b].push(p)
}

func (r *readySet) remove(p *place) { r[p.band].remove(p) }

// update moves p to where its new order belongs.
func (r *readySet) update(p *place, b band, due Instant, seq uint64) {
	if p.index != 0 && p.band == b {
		if p.due == due && p.seq == seq {
			return
		}
		p.due, p.seq = due, seq
		i := p.index - 1
		r[b][i].due, r[b][i].seq = due, seq
		r[b].fix(i)
		return
	}
	if p.index != 0 {
		r.remove(p)
	}
	p.due, p.seq = due, seq
	r.push(p, b)
}

// privileged says whether anything within its guarantee waits.
func (r *readySet) privileged() bool {
	return len(r[shortGuaranteed])+len(r[longGuaranteed]) > 0
}

// first returns the heap whose first place goes next, nil if there is none.
func (r *readySet) first(shortAllowed, longAllowed bool) *readyHeap {
	for b := shortGuaranteed; b < bands; b += 2 {
		short, long := &r[b], &r[b+1]
		switch {
		case len(*long) == 0 || !longAllowed:
			if shortAllowed && len(*short) > 0 {
				return short
			}
		case !shortAllowed || len(*short) == 0 || (*long)[0].before((*short)[0]):
			return long
		default:
			return short
		}
	}
	return nil
}
