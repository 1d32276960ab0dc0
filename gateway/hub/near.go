package hub

import (
	"slices"
	"time"

	"github.com/starling-vr/starling/world"
)

// viewer is a watch of a crowd that is told of it within its client's budget.
type viewer struct {
	watch  *watch
	stream *stream // nil: it joins as soon as the client has all frames of the cell
	class  int     // that it is to have
	leaves bool    // it is to follow the cell's frames again
	index  int     // in stream.viewers
	at     uint64  // number of the stream's next frame to get

	want    int // entities that are to be near
	held    int // and are, about
	placed  bool
	near    disc
	tiles   []*tile
	follows []follow

	pending []*partial // in order
	head    int
}

// follow is an entity that the viewer interacted with.
type follow struct {
	resident *resident
	until    time.Time
}

// How long, and how many, entities are followed after an interaction.
const (
	followFor  = 10 * time.Second
	maxFollows = 8
)

// partial is one partial frame: first what happened, then encoded.
type partial struct {
	frame
	crowd   *crowd
	tile    *tile // whose open one it is
	commits []commit
	sealed  bool
}

func (w *crowd) newPartial() *partial {
	h := w.hub
	n := len(h.freePartials)
	if n == 0 {
		return &partial{crowd: w}
	}
	p := h.freePartials[n-1]
	h.freePartials = h.freePartials[:n-1]
	p.crowd = w
	return p
}

// encode makes the frame, if that was not done.
func (p *partial) encode(now time.Time) {
	if p.sealed {
		return
	}
	p.sealed = true
	if p.tile != nil {
		p.tile.close()
	}
	c := p.crowd.cell
	p.begin(frameHead{cell: c.key.cell, place: c.key.place, epoch: c.epoch, sequence: c.sequence, partial: true})
	for i := range p.commits {
		p.commit(p.commits[i].steps, now.Sub(p.commits[i].arrived))
		p.arrivals = append(p.arrivals, p.commits[i].arrived)
	}
	p.end()
	p.crowd.hub.metrics.PartialsEncoded.Inc()
}

// close lets what happens next begin a new frame.
func (t *tile) close() {
	if t.open != nil {
		t.open.tile = nil
		t.open = nil
	}
}

// release ends one viewer's interest in the frame.
func (p *partial) release() {
	if p.left--; p.left > 0 {
		return
	}
	if p.tile != nil {
		p.tile.close()
	}
	h := p.crowd.hub
	clear(p.commits)
	p.commits, p.sealed, p.crowd, p.json = p.commits[:0], false, nil, nil
	if len(h.freePartials) < maxFreeFrames && cap(p.buffer) <= maxFreeBytes {
		h.freePartials = append(h.freePartials, p)
	}
}

// tell brings a step to all to whom a tile is near.
func (w *crowd) tell(t *tile, raw []byte, arrived, now time.Time) {
	if t.open == nil {
		var p *partial
		due := w.hub.pace.due(now, arrived)
		for _, v := range t.viewers {
			p = v.push(p, w, now, due)
		}
		if p == nil {
			return
		}
		t.open, p.tile = p, t
		w.opened = append(w.opened, t)
	}
	t.open.commits = append(t.open.commits, commit{raw, arrived})
}

// tellAll brings a step about r to those to whom it is near, those who follow it
// from afar, those near the tile that it came from or to whom the one who did it is
// near, and its own participant.
func (w *crowd) tellAll(r *resident, from, doer *tile, raw []byte, arrived, now time.Time) {
	w.tell(r.tile, raw, arrived, now)
	own := w.viewerOf(r.id)
	if own != nil && own.isNear(r.tile) {
		own = nil
	}
	if own == nil && from == nil && doer == nil && len(r.followers) == 0 {
		return
	}
	var p *partial
	due := w.hub.pace.due(now, arrived)
	if own != nil {
		p = own.push(p, w, now, due)
	}
	for _, v := range r.followers {
		if v != own && !v.isNear(r.tile) {
			p = v.push(p, w, now, due)
		}
	}
	if from != nil {
		for _, v := range from.viewers {
			if v != own && !v.isNear(r.tile) && !slices.Contains(r.followers, v) {
				p = v.push(p, w, now, due)
			}
		}
	}
	if doer != nil {
		for _, v := range doer.viewers {
			if v != own && !v.isNear(r.tile) && !slices.Contains(r.followers, v) && (from == nil || !v.isNear(from)) {
				p = v.push(p, w, now, due)
			}
		}
	}
	if p != nil {
		p.commits = append(p.commits, commit{raw, arrived})
	}
}

// push makes a frame pending for v; p may be nil, then it is made. The frame is
// not kept for one whose socket is full.
func (v *viewer) push(p *partial, w *crowd, now, due time.Time) *partial {
	c := v.watch.client
	if c.full || c.gone {
		return p
	}
	if p == nil {
		p = w.newPartial()
		p.order = w.nextOrder()
	}
	p.left++
	v.pending = append(v.pending, p)
	w.hub.queueAt(c, now, due)
	return p
}

// got notes that the oldest pending frame is with the client.
func (v *viewer) got() {
	p := v.pending[v.head]
	v.pending[v.head] = nil
	if v.head++; v.head == len(v.pending) {
		v.pending, v.head = v.pending[:0], 0
	}
	p.release()
}

// dropPending forgets what is pending: the stream will tell it.
func (v *viewer) dropPending() {
	for v.head < len(v.pending) {
		v.got()
	}
}

func (v *viewer) isNear(t *tile) bool { return v.placed && v.near.holds(t.key) }

// place finds the tiles that are near.
func (v *viewer) place() {
	w := v.stream.crowd
	at, known := w.hub.pointOf(v.watch.client)
	if !known { // on its way between cells, say
		if !v.placed {
			v.settle(nothingNear)
		}
		return
	}
	v.settle(v.choose(w, at))
}

// choose finds what is near: in the avatar's own cell as many as wanted, in the
// others what is as near as that; or as many as wanted there, too, where the own
// one has fewer.
func (v *viewer) choose(w *crowd, at point) (near disc) {
	c := v.watch.client
	if w.cell.key.cell == c.cell {
		near, held := w.around(at, v.want)
		v.held = held.all()
		c.reach, c.filled = max(0, near.radius)*w.grid.size, held.enough(v.want)
		return near
	}
	v.held = 0
	if own := c.watchOf(c.cell); own != nil && own.viewer != nil && c.filled {
		return w.disc(at, c.reach)
	}
	if far := w.disc(at, maxRadius*w.grid.size); far == nothingNear {
		return far
	}
	near, held := w.around(at, v.want)
	v.held = held.all()
	return near
}

// settle makes the tiles of a disc near. A tile that comes or goes begins a new
// frame, so that nobody is told an event twice.
func (v *viewer) settle(near disc) {
	was := v.near
	if !v.placed {
		was = nothingNear
	} else if was == near {
		return
	}
	w := v.stream.crowd
	kept := v.tiles[:0]
	for _, t := range v.tiles {
		if near.holds(t.key) {
			kept = append(kept, t)
		} else {
			t.remove(v)
			w.prune(t)
		}
	}
	clear(v.tiles[len(kept):])
	v.tiles, v.placed, v.near = kept, true, near
	from, to := near.square()
	for east := from.east; east <= to.east; east++ {
		for north := from.north; north <= to.north; north++ {
			key := tileKey{east, north}
			if near.holds(key) && !was.holds(key) {
				t := w.tileAt(key)
				t.close()
				t.viewers = append(t.viewers, v)
				v.tiles = append(v.tiles, t)
			}
		}
	}
}

func (t *tile) remove(v *viewer) {
	t.close()
	if i := slices.Index(t.viewers, v); i >= 0 {
		last := len(t.viewers) - 1
		t.viewers[i] = t.viewers[last]
		t.viewers[last] = nil
		t.viewers = t.viewers[:last]
	}
}

// interacted notes that one did something with the other: each is told of the
// other for a while, wherever it is in the crowd.
func (w *crowd) interacted(a, b world.EntityID, now time.Time) {
	w.follow(a, b, now)
	w.follow(b, a, now)
}

func (w *crowd) follow(who, whom world.EntityID, now time.Time) {
	v, r := w.viewerOf(who), w.residents[whom]
	if v == nil || r == nil {
		return
	}
	for i := range v.follows {
		if v.follows[i].resident == r {
			v.follows[i].until = now.Add(followFor)
			return
		}
	}
	if len(v.follows) == maxFollows {
		v.unfollow(v.follows[0].resident)
	}
	v.follows = append(v.follows, follow{r, now.Add(followFor)})
	r.followers = append(r.followers, v)
}

// viewerOf gives the viewer whose avatar an entity is.
func (w *crowd) viewerOf(avatar world.EntityID) *viewer {
	c := w.hub.avatars[avatar]
	if c == nil || c.viewers == 0 {
		return nil
	}
	own := c.watchOf(w.cell.key.cell)
	if own == nil || own.cell != w.cell || own.viewer == nil || own.viewer.stream == nil {
		return nil
	}
	return own.viewer
}

func (v *viewer) unfollow(r *resident) {
	v.forget(r.id)
	r.followers = slices.DeleteFunc(r.followers, func(o *viewer) bool { return o == v })
}

func (v *viewer) forget(id world.EntityID) {
	v.follows = slices.DeleteFunc(v.follows, func(f follow) bool { return f.resident.id == id })
}

// expire ends what was followed for long enough.
func (v *viewer) expire(now time.Time) {
	for i := len(v.follows) - 1; i >= 0; i-- {
		if now.After(v.follows[i].until) {
			v.unfollow(v.follows[i].resident)
		}
	}
}

// pointOf says where a client's avatar is.
func (h *Hub) pointOf(c *Client) (point, bool) {
	own := h.cells[cellKey{c.place, c.cell}]
	if own == nil {
		return point{}, false
	}
	state := own.image.entities[c.avatar]
	if state == nil {
		return point{}, false
	}
	return pointOf(state.body)
}
