package workflow

// displaceable are the documents of a workflow that wait and may be displaced: a binary
// heap, the largest first.
type displaceable []*ticket

func (h *displaceable) push(t *ticket) {
	*h = append(*h, t)
	h.up(len(*h) - 1)
}

func (h *displaceable) remove(t *ticket) {
	s := *h
	i, last := t.index-1, len(s)-1
	t.index = 0
	moved := s[last]
	s[last] = nil
	*h = s[:last]
	if i == last {
		return
	}
	s[i] = moved
	h.down(i)
	h.up(moved.index - 1)
}

func (h *displaceable) up(i int) {
	s := *h
	moving := s[i]
	for i > 0 && s[(i-1)/2].size < moving.size {
		s[i] = s[(i-1)/2]
		s[i].index = i + 1
		i = (i - 1) / 2
	}
	s[i] = moving
	moving.index = i + 1
}

func (h *displaceable) down(i int) {
	s := *h
	moving := s[i]
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1].size > s[child].size {
			child++
		}
		if s[child].size <= moving.size {
			break
		}
		s[i] = s[child]
		s[i].index = i + 1
		i = child
	}
	s[i] = moving
	moving.index = i + 1
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
		f.displaceable.push(largest)
		return nil
	}
	largest.displaced = true
	return largest
}
