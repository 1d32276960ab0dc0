package generator

// timers wake clients, the earliest first: a binary heap. An entry whose time is
// no longer the client's is skipped.
type timers []timer

type timer struct {
	at     int64
	client int32
}

func (t *timers) add(at int64, client int32) {
	h := append(*t, timer{at, client})
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
	*t = h
}

// next is when the earliest is due.
func (t timers) next() (at int64, ok bool) {
	if len(t) == 0 {
		return 0, false
	}
	return t[0].at, true
}

// pop takes the earliest if it is due.
func (t *timers) pop(now int64) (client int32, at int64, ok bool) {
	h := *t
	if len(h) == 0 || h[0].at > now {
		return 0, 0, false
	}
	first := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && h[child+1].at < h[child].at {
			child++
		}
		if h[i].at <= h[child].at {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*t = h
	return first.client, first.at, true
}
