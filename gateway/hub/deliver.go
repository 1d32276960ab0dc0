package hub

import "time"

// thin makes a watch a viewer of its cell's crowd, by a class of rate and with
// so many entities near; a class below 0 ends that. It takes effect when the
// client's frames are written next: only one who has them all can change.
func (w *watch) thin(h *Hub, class, want int, now time.Time) {
	v := w.viewer
	switch {
	case class < 0:
		if v == nil {
			return
		}
		if v.stream == nil { // it never joined
			w.viewer = nil
			w.client.viewers--
			return
		}
		v.leaves = true
	case v == nil:
		w.viewer = &viewer{watch: w, class: class, want: want}
		w.client.viewers++
	default:
		v.leaves, v.want = false, want
		// Upwards only by two classes at once, so that it does not go up and down.
		if v.stream == nil || class < v.class || class > v.class+1 {
			v.class = class
		}
		if v.stream != nil && v.class == v.stream.class {
			return
		}
	}
	h.queueAt(w.client, now, now.Add(h.spread()))
}

// spread gives times over which those that change all at once are written to.
func (h *Hub) spread() time.Duration {
	h.spreading = (h.spreading + 7) % 30
	return time.Duration(h.spreading) * time.Millisecond
}

// gatherViewer collects what is pending for a viewer, in the order in which it
// happened: a state must not come after what took the entity away, nor a change
// before what tells of the whole.
func (h *Hub) gatherViewer(c *Client, v *viewer, o *output, now time.Time) {
	add := func(f *frame, m mark) {
		m.watch, m.frame = v.watch, f
		o.buffers, o.marks = append(o.buffers, f.bytes(c.json)), append(o.marks, m)
	}
	s := v.stream
	if v.leaves || v.class != s.class {
		s.sync(now)
		if v.stream == nil { // it was too far behind
			return
		}
	}
	pending := v.pending[v.head:]
	for n := v.at; ; n++ {
		for len(pending) > 0 && (n == s.next || pending[0].order < s.frames[n-s.first()].order) {
			pending[0].encode(now)
			add(&pending[0].frame, mark{kind: markPartial})
			pending = pending[1:]
		}
		if n == s.next {
			break
		}
		add(s.frames[n-s.first()], mark{kind: markThinned})
	}
	if v.leaves {
		add(s.catchUp(now), mark{kind: markCaughtUp})
	}
}

// givenViewer notes that a viewer has a frame.
func (h *Hub) givenViewer(m mark, now time.Time) {
	v := m.watch.viewer
	switch m.kind {
	case markPartial:
		h.metrics.NearDeliveries.Add(float64(len(m.frame.arrivals)))
		h.observe(m.frame, now)
		v.got()
	case markThinned:
		m.watch.remember(m.frame.sequence, m.frame.events)
		m.frame.left--
		v.at++
	case markCaughtUp:
		v.leave()
		m.watch.remember(m.frame.sequence, m.frame.events)
		m.watch.cell.seal(h, now)
		m.watch.becomeCurrent()
	}
}

// settleViewers lets viewers of a client that has all its frames join, or change
// their stream.
func (h *Hub) settleViewers(c *Client, now time.Time) {
	for _, w := range c.watches {
		v := w.viewer
		switch {
		case v == nil:
		case v.stream == nil:
			if w.current && w.at == w.cell.next && len(w.cell.pending) == 0 && !w.cell.totalNew {
				v.join(h, now)
			}
		case v.class != v.stream.class && !v.leaves:
			v.change(now)
		}
	}
}

// join makes a current watcher follow a stream.
func (v *viewer) join(h *Hub, now time.Time) {
	v.watch.unfollow()
	w := h.crowdOf(v.watch.cell, now)
	s := w.stream(v.class, now)
	s.sync(now)
	s.attach(v)
	w.viewers++
	h.metrics.Viewers.Inc()
	v.place()
}

// change makes a viewer follow the stream of another class: what waits in the
// one waits in the other then.
func (v *viewer) change(now time.Time) {
	from, c := v.stream, v.watch.cell
	if v.at != from.next || from.sequence != c.sequence || from.events != c.seen {
		return
	}
	to := from.crowd.stream(v.class, now)
	to.sync(now)
	from.each(func(r *resident) { to.mark(r, false, r.whole&from.bit != 0) })
	from.detach(v)
	to.attach(v)
}

// leave ends the viewing; the watcher then needs a baseline, unless it was
// caught up.
func (v *viewer) leave() {
	w := v.watch
	w.viewer = nil
	w.client.viewers--
	if v.stream == nil {
		return
	}
	crowd := v.stream.crowd
	v.dropPending()
	for len(v.follows) > 0 {
		v.unfollow(v.follows[0].resident)
	}
	for _, t := range v.tiles {
		t.remove(v)
		crowd.prune(t)
	}
	v.stream.detach(v)
	if crowd.viewers--; crowd.viewers == 0 {
		crowd.emptyAt = time.Now()
	}
	crowd.hub.metrics.Viewers.Dec()
	w.generation = 0 // of what it has not all is as its sequence says
}

// avatarMoved notes that what is near a client's avatar may be other than before.
func (h *Hub) avatarMoved(c *Client) {
	if c.viewers > 0 && !c.placing {
		c.placing = true
		h.moved = append(h.moved, c)
	}
}

// followMoves comes after a turn's messages.
func (h *Hub) followMoves() {
	for i, c := range h.moved {
		c.placing = false
		h.moved[i] = nil
		if c.hub.Load() == h {
			c.followAvatar()
		}
	}
	h.moved = h.moved[:0]
}

// followAvatar finds what is near, in the avatar's own cell first: how far that
// reaches counts in the others.
func (c *Client) followAvatar() {
	own := c.watchOf(c.cell)
	own.followAvatar()
	for _, w := range c.watches {
		if w != own {
			w.followAvatar()
		}
	}
}

func (w *watch) followAvatar() {
	if w != nil && w.viewer != nil && w.viewer.stream != nil {
		w.viewer.follow()
	}
}

// follow finds what is near, if the avatar stands elsewhere than before.
func (v *viewer) follow() {
	w := v.stream.crowd
	if at, known := w.hub.pointOf(v.watch.client); known && v.placed {
		if east, north := w.grid.quarter(at); east == v.near.east && north == v.near.north {
			return
		}
	}
	v.place()
}
