package hub

import (
	"time"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// openCell starts to watch a cell.
func (h *Hub) openCell(key cellKey) *cell {
	shard := h.hubs.config.Shards.Shard(key.place, key.cell)
	c := &cell{key: key, shard: shard, image: newImage(),
		reader: pubsub.NewCellReader(shard, key.cell, pubsub.CellReaderConfig{})}
	h.cells[key] = c
	of := h.byShard[shard]
	if of == nil {
		of = make(map[*cell]struct{})
		h.byShard[shard] = of
	}
	of[c] = struct{}{}
	if h.hubs.table.add(h.index, key, shard) {
		h.watching(key, time.Now())
	}
	return c
}

func (h *Hub) closeCell(c *cell) {
	delete(h.cells, c.key)
	delete(h.requests, c.request)
	of := h.byShard[c.shard]
	delete(of, c)
	if len(of) == 0 {
		delete(h.byShard, c.shard)
	}
	h.hubs.table.remove(h.index, c.key)
}

func (h *Hub) watching(key cellKey, now time.Time) {
	if c := h.cells[key]; c != nil {
		h.result(c, c.reader.Watching(now), now)
	}
}

func (h *Hub) lost(key cellKey) {
	if c := h.cells[key]; c != nil {
		c.reader.Lost()
	}
}

func (h *Hub) busMessage(m *pubsub.Message, now time.Time) {
	c := h.cells[cellKey{m.Shard.Place, m.Cell}]
	if c == nil {
		return
	}
	h.result(c, c.reader.Message(*m, now), now)
}

func (h *Hub) baseline(m pubsub.Message) {
	now := time.Now()
	if c := h.cells[cellKey{m.Shard.Place, m.Cell}]; c != nil {
		c.retryAt = time.Time{}
		h.result(c, c.reader.Baseline(m, now), now)
		h.followSightings()
	}
}

func (h *Hub) digest(d pubsub.Digest) {
	of := h.byShard[d.Shard]
	if len(of) == 0 {
		return
	}
	now := time.Now()
	for i := range d.Cells {
		named := &d.Cells[i]
		c := h.cells[cellKey{d.Shard.Place, named.Cell}]
		if c == nil {
			continue
		}
		h.result(c, c.reader.Digest(d.Fence, named.Sequence, now), now)
		if named.Watchers != 0 && named.Watchers != c.total {
			c.total, c.totalNew = named.Watchers, true
			c.dropBaseline()
			h.touch(c, now, now)
		}
	}
	for c := range of { // those not named learn of a new owner
		h.result(c, c.reader.Digest(d.Fence, 0, now), now)
	}
	h.followSightings()
}

// result does what a cell's reader decided.
func (h *Hub) result(c *cell, r pubsub.CellResult, now time.Time) {
	for i := range r.Apply {
		m := &r.Apply[i]
		if m.Baseline {
			c.replace(m, r.Covered, now, h.see)
		} else {
			c.advance(m, now, h.see)
		}
	}
	if n := len(r.Apply); n > 0 {
		arrived := r.Apply[n-1].Arrived
		if arrived.IsZero() {
			arrived = now
		}
		c.trim(h)
		h.touch(c, now, arrived)
	}
	if r.Read {
		h.sendRead(c)
	}
}

// touch queues all who watch the cell.
func (h *Hub) touch(c *cell, now, arrived time.Time) {
	if !c.live {
		return
	}
	due := h.pace.due(now, arrived)
	if c.crowd != nil && c.crowd.viewers == len(c.watchers) {
		return
	}
	for _, w := range c.watchers {
		if w.viewer == nil || w.viewer.stream == nil {
			h.queueNews(w, now, due)
		}
	}
}

func (h *Hub) see(s sighting) {
	if c := h.avatars[s.avatar]; c != nil && c.place == s.place {
		h.avatarMoved(c)
		h.sightings = append(h.sightings, sightingOf{c, s})
	}
}

// followSightings comes after the cells: it changes who watches them.
func (h *Hub) followSightings() {
	h.followMoves()
	for _, s := range h.sightings {
		if !h.stands(&s.at) {
			continue
		}
		if c := s.client; c.hub.Load() == h && c.home == h && !c.gone {
			h.follow(c, s.at)
		} else {
			c.doIn(h, func(h *Hub) { h.follow(c, s.at) })
		}
	}
	h.sightings = h.sightings[:0]
}

// stands says whether a sighting is the last word of the cell that told it. An
// avatar that goes through several cells within one batch has one version in all
// of them: what it was on its way must not be taken for where it is.
func (h *Hub) stands(s *sighting) bool {
	in := h.cells[cellKey{s.place, s.from}]
	if s.left() || in == nil {
		return true
	}
	_, there := in.image.entities[s.avatar]
	return there
}

// follow takes a sighting. That it left a cell counts only for who is held to be
// there: the others know more, from another cell of the batch or, by Moved, from
// the outcome of a later action.
func (h *Hub) follow(c *Client, s sighting) {
	if s.left() && c.cell != s.from {
		return
	}
	h.sighted(c, s.cell, s.version)
}

// sendRead asks the owner for a baseline.
func (h *Hub) sendRead(c *cell) {
	delete(h.requests, c.request)
	h.request++
	c.request = h.request<<8 | uint64(h.index+1)
	h.requests[c.request] = c
	c.reader.Requested(c.request)
	h.hubs.config.ReadCell(c.shard, c.key.cell, c.request)
	h.metrics.CellReads.Inc()
}

// readRetry is how long to wait after an owner said that it is not there.
const readRetry = 50 * time.Millisecond

func (h *Hub) readRefused(request uint64) {
	if c := h.requests[request]; c != nil && c.reader.State() == pubsub.CellReading {
		if c.retryAt.IsZero() {
			h.refused = append(h.refused, c)
		}
		c.retryAt = time.Now().Add(readRetry)
	}
}

// retryReads sends again what was refused a while ago.
func (h *Hub) retryReads(now time.Time) {
	waiting := h.refused
	h.refused = h.refused[:0]
	for _, c := range waiting {
		switch {
		case c.retryAt.IsZero() || h.cells[c.key] != c: // read, or closed, since
		case now.Before(c.retryAt):
			h.refused = append(h.refused, c)
		default:
			c.retryAt = time.Time{}
			h.sendRead(c)
		}
	}
	clear(waiting[len(h.refused):])
}

func (h *Hub) readAgain(affected func(world.ShardID) bool) {
	for shard, of := range h.byShard {
		if !affected(shard) {
			continue
		}
		for c := range of {
			if c.reader.State() == pubsub.CellReading {
				h.sendRead(c)
			}
		}
	}
}
