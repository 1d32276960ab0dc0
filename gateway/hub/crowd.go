package hub

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// crowd is what a hub keeps of a cell in which more happens than some of its
// watchers are to be told of: who is in it, and where. Those watchers are its
// viewers. They get two things instead of the cell's frames: a stream of thinned
// ones, shared by all viewers of one rate, and partial frames of what happens
// near, each shared by all to whom it is near. The stream alone tells
// everything in the end; partial frames may be dropped at any time.
type crowd struct {
	hub  *Hub
	cell *cell

	grid      grid
	tiles     map[tileKey]*tile
	from, to  tileKey // corners of where residents are or were, and some tiles more
	residents map[world.EntityID]*resident
	fittedAt  time.Time

	opened  []*tile // with an open partial frame
	order   uint64  // counts frames
	streams [rateClasses]*stream
	viewers int // that follow a stream
	emptyAt time.Time
}

// resident is an entity in a crowd.
type resident struct {
	id        world.EntityID
	state     *entityState // nil: it left
	tile      *tile
	at        point
	person    bool
	arrived   time.Time // when the action came in that changed it last
	waiting   uint16    // bit per stream that is yet to tell of it
	whole     uint16    // bit per stream that is to tell its kind and attributes
	followers []*viewer
}

// crowdOf gives the crowd of a cell, made of its image when there is none yet.
func (h *Hub) crowdOf(c *cell, now time.Time) *crowd {
	if c.crowd != nil {
		return c.crowd
	}
	w := &crowd{hub: h, cell: c, residents: make(map[world.EntityID]*resident, len(c.image.entities)), emptyAt: now}
	for id, state := range c.image.entities {
		r := &resident{id: id, state: state, person: state.person, arrived: now}
		r.at, _ = pointOf(state.body)
		w.residents[id] = r
	}
	var origin point
	for _, r := range w.residents {
		if origin = r.at; !origin.local {
			break
		}
	}
	w.lay(newGrid(origin, firstTile))
	for range 6 {
		if !w.refit(now) {
			break
		}
	}
	c.crowd = w
	h.crowds[w] = struct{}{}
	return w
}

// close ends a crowd without viewers.
func (w *crowd) close() {
	w.cell.crowd = nil
	delete(w.hub.crowds, w)
}

// lay puts all residents on a new grid.
func (w *crowd) lay(g grid) {
	for _, t := range w.tiles {
		t.close()
	}
	w.grid = g
	w.tiles = make(map[tileKey]*tile)
	w.from, w.to = tileKey{math.MaxInt32, math.MaxInt32}, tileKey{math.MinInt32, math.MinInt32}
	for _, r := range w.residents {
		r.tile = w.tileAt(g.key(r.at))
		w.extend(r.tile.key)
		r.tile.count.move(r, 1)
	}
	for _, s := range w.streams {
		if s != nil {
			for _, v := range s.viewers {
				v.tiles = nil
				v.placed = false
				v.place()
			}
		}
	}
}

// refit changes the size of the tiles if it is far off: so that tilesOfNear hold,
// as most see it, about as many as are to be near.
func (w *crowd) refit(now time.Time) bool {
	w.fittedAt = now
	if len(w.residents) <= w.hub.hubs.config.Near { // all are near
		return w.relay(max(w.grid.size, fewTile))
	}
	others := 0
	for _, t := range w.tiles {
		others += t.count.all() * (t.count.all() - 1)
	}
	mean := float64(others) / float64(len(w.residents))
	wanted := float64(w.hub.hubs.config.Near) / tilesOfNear
	if mean > wanted/unfit && mean < wanted*unfit {
		return false
	}
	return w.relay(fit(w.grid.size, mean, wanted))
}

// relay lays the residents on tiles of another size, and says whether it is one.
func (w *crowd) relay(size float64) bool {
	if size == w.grid.size {
		return false
	}
	g := w.grid
	g.size = size
	w.lay(g)
	return true
}

// unfit times too many or too few in a tile are worth another grid.
const unfit = 3

func (w *crowd) tileAt(key tileKey) *tile {
	t := w.tiles[key]
	if t == nil {
		t = &tile{key: key}
		w.tiles[key] = t
	}
	return t
}

// prune forgets a tile that nobody is in or near.
func (w *crowd) prune(t *tile) {
	if t.count.all() == 0 && len(t.viewers) == 0 && w.tiles[t.key] == t {
		delete(w.tiles, t.key)
	}
}

// extend notes that somebody is in a tile.
func (w *crowd) extend(k tileKey) {
	const more = 2 // tiles, for those who are yet to come
	w.from = tileKey{min(w.from.east, k.east-more), min(w.from.north, k.north-more)}
	w.to = tileKey{max(w.to.east, k.east+more), max(w.to.north, k.north+more)}
}

// moveTo puts a resident into the tile where it is.
func (w *crowd) moveTo(r *resident) (from *tile) {
	key := w.grid.key(r.at)
	if r.tile != nil && r.tile.key == key {
		return nil
	}
	from = r.tile
	r.tile = w.tileAt(key)
	w.extend(key)
	r.tile.count.move(r, 1)
	r.tile.close() // what is told of it from now on comes after what was told where it was before
	if from != nil {
		from.count.move(r, -1)
		w.prune(from)
	}
	return from
}

// update takes an update that the cell's image has taken.
func (w *crowd) update(s step, head updateHead, arrived, now time.Time) {
	r := w.residents[head.entity]
	if change := starlingv1.Change(head.change); change == starlingv1.Change_LEFT || change == starlingv1.Change_REMOVED {
		if r == nil || !head.version.Less(r.state.version) { // else it came late, and is here again
			w.left(r, s.raw, arrived, now)
		}
		return
	}
	state := w.cell.image.entities[head.entity]
	if state == nil || head.version.Less(state.version) {
		return
	}
	fresh := r == nil
	if fresh {
		r = &resident{id: head.entity, state: state, person: state.person}
		w.residents[head.entity] = r
	}
	r.arrived = arrived
	if at, ok := pointOf(s.update); ok {
		r.at = at
	}
	if r.person != state.person { // only now it is known
		r.tile.count.move(r, -1)
		r.person = state.person
		r.tile.count.move(r, 1)
	}
	before := w.moveTo(r)
	raw := s.raw
	if r.whole != 0 && head.kind == nil { // some may never have heard of it
		raw = appendWhole(nil, s.update, head, state)
	}
	w.mark(r, fresh, fresh || head.kind != nil || head.attrs != nil)
	by := world.EntityID(byOf(s.update))
	var doer *tile
	if actor := w.residents[by]; actor != nil && actor != r && actor.tile != r.tile {
		doer = actor.tile
	}
	w.tellAll(r, before, doer, raw, arrived, now)
	if by != 0 && by != r.id {
		w.interacted(by, r.id, now)
	}
}

// order numbers what is told, so that it is told in order.
func (w *crowd) nextOrder() uint64 {
	w.order++
	return w.order
}

// closeTiles lets what happens next begin new partial frames.
func (w *crowd) closeTiles() {
	for i, t := range w.opened {
		t.close()
		w.opened[i] = nil
	}
	w.opened = w.opened[:0]
}

func byOf(update []byte) uint64 { return fixed64(update, updateBy) }

const updateBy protowire.Number = 10

// left notes that an entity left the cell.
func (w *crowd) left(r *resident, raw []byte, arrived, now time.Time) {
	for _, s := range w.streams {
		if s != nil {
			s.gone(r, raw, arrived)
		}
	}
	if r == nil {
		return
	}
	delete(w.residents, r.id)
	w.tellAll(r, nil, nil, raw, arrived, now)
	for _, v := range r.followers {
		v.forget(r.id)
	}
	r.followers, r.state = nil, nil
	r.tile.count.move(r, -1)
	w.prune(r.tile)
}

// mark lets the streams know of a change.
func (w *crowd) mark(r *resident, fresh, whole bool) {
	for _, s := range w.streams {
		if s != nil && s.mark(r, fresh, whole) {
			w.hub.metrics.Thinned.Add(float64(len(s.viewers)))
		}
	}
}

// event takes an event of the cell. The streams find it among those that the
// cell keeps.
func (w *crowd) event(s step, arrived, now time.Time) {
	actor := world.EntityID(fixed64(s.event, 1))
	if touched := field(s.event, 6); touched != nil {
		w.interacted(actor, world.EntityID(fixed64(touched, 1)), now)
	}
	r := w.residents[actor]
	if r == nil {
		return
	}
	w.tellAll(r, nil, nil, s.raw, arrived, now)
}

// tick runs each tickEvery.
func (w *crowd) tick(ticks int, now time.Time) {
	for _, s := range w.streams {
		if s == nil {
			continue
		}
		switch (ticks + s.class) % frameTicks {
		case 0:
			s.seal(now)
		case framePatience:
			s.walk(now)
		}
	}
	if ticks%5 == 0 && now.Sub(w.fittedAt) >= time.Second {
		w.refit(now)
	}
	w.replace(ticks, now)
	if w.viewers == 0 && now.Sub(w.emptyAt) >= w.hub.hubs.config.CellLinger {
		w.close()
	}
}

// replaceTicks is how often it is found anew who is near, for each viewer.
const replaceTicks = int(time.Second / tickEvery)

// replace does so for those whose turn it is.
func (w *crowd) replace(ticks int, now time.Time) {
	for _, s := range w.streams {
		if s == nil {
			continue
		}
		for i := ticks % replaceTicks; i < len(s.viewers); i += replaceTicks {
			s.viewers[i].expire(now)
			s.viewers[i].place()
		}
	}
}

// stream gives the stream of a class.
func (w *crowd) stream(class int, now time.Time) *stream {
	if w.streams[class] == nil {
		w.streams[class] = newStream(w, class, now)
	}
	return w.streams[class]
}

// drop ends a stream without viewers.
func (w *crowd) drop(s *stream) {
	for _, r := range w.residents {
		r.waiting &^= s.bit
		r.whole &^= s.bit
	}
	s.fresh, s.changed, s.waiting, s.catch = queue{}, queue{}, 0, nil
	if w.streams[s.class] == s {
		w.streams[s.class] = nil
	}
}
