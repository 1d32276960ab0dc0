package hub

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// table knows which hubs watch which cells, and keeps the bus informed. It is
// the handler of the gateway's one subscription.
type table struct {
	hubs         *Hubs
	subscription pubsub.Subscription

	// watching orders the calls of Watch. It is taken before mu, and never
	// from a callback of the bus.
	watching sync.Mutex

	mu    sync.RWMutex
	cells map[cellKey]*tableEntry
}

type tableEntry struct {
	shard     world.ShardID
	hubs      uint64 // bit per hub
	counts    map[int]uint32
	told      uint32 // number of watchers that the bus was told
	confirmed bool
}

func (e *tableEntry) total() (n uint32) {
	for _, count := range e.counts {
		n += count
	}
	return n
}

func newTable(s *Hubs) *table { return &table{hubs: s, cells: make(map[cellKey]*tableEntry)} }

// add makes hub hear of a cell. It says whether the bus already confirmed it.
func (t *table) add(hub int, key cellKey, shard world.ShardID) (confirmed bool) {
	t.watching.Lock()
	defer t.watching.Unlock()
	t.mu.Lock()
	e := t.cells[key]
	fresh := e == nil
	if fresh {
		e = &tableEntry{shard: shard, counts: make(map[int]uint32, 1), told: 1}
		t.cells[key] = e
	}
	e.hubs |= 1 << hub
	confirmed = e.confirmed
	t.mu.Unlock()
	if fresh {
		t.subscription.Watch(shard, key.cell, 1)
	}
	return confirmed
}

// count tells how many of hub's clients watch a cell.
func (t *table) count(hub int, key cellKey, watchers uint32) {
	t.watching.Lock()
	defer t.watching.Unlock()
	t.mu.Lock()
	e := t.cells[key]
	if e == nil || e.counts[hub] == watchers {
		t.mu.Unlock()
		return
	}
	e.counts[hub] = watchers
	total := max(1, e.total())
	changed := total != e.told
	e.told = total
	t.mu.Unlock()
	if changed {
		t.subscription.Watch(e.shard, key.cell, total)
	}
}

// remove ends hub's interest in a cell.
func (t *table) remove(hub int, key cellKey) {
	t.watching.Lock()
	defer t.watching.Unlock()
	t.mu.Lock()
	e := t.cells[key]
	if e == nil {
		t.mu.Unlock()
		return
	}
	e.hubs &^= 1 << hub
	delete(e.counts, hub)
	last := e.hubs == 0
	if last {
		delete(t.cells, key)
	}
	t.mu.Unlock()
	if last {
		t.subscription.Watch(e.shard, key.cell, 0)
	}
}

// rewatch tells the bus again what is watched.
func (t *table) rewatch(affected func(world.ShardID) bool) {
	t.watching.Lock()
	defer t.watching.Unlock()
	type wish struct {
		shard    world.ShardID
		cell     world.Cell
		watchers uint32
	}
	var wishes []wish
	t.mu.RLock()
	for key, e := range t.cells {
		if affected(e.shard) {
			wishes = append(wishes, wish{e.shard, key.cell, e.told})
		}
	}
	t.mu.RUnlock()
	for _, w := range wishes {
		t.subscription.Watch(w.shard, w.cell, w.watchers)
	}
}

// Messages implements pubsub.Handler.
func (t *table) Messages(batch []pubsub.Message) {
	var touched uint64
	t.mu.RLock()
	for i := range batch {
		m := &batch[i]
		e := t.cells[cellKey{m.Shard.Place, m.Cell}]
		if e == nil {
			continue
		}
		for set := e.hubs; set != 0; set &= set - 1 {
			hub := bits.TrailingZeros64(set)
			touched |= 1 << hub
			t.hubs.hubs[hub].message(m)
		}
	}
	t.mu.RUnlock()
	for ; touched != 0; touched &= touched - 1 {
		t.hubs.hubs[bits.TrailingZeros64(touched)].wakeUp()
	}
}

// Digest implements pubsub.Handler.
func (t *table) Digest(d pubsub.Digest) {
	d.Cells = slices.Clone(d.Cells) // valid during the call only
	for _, h := range t.hubs.hubs {
		h.call(func() { h.digest(d) })
	}
}

// Watching implements pubsub.Handler.
func (t *table) Watching(shard world.ShardID, cell world.Cell) {
	t.each(shard, cell, true, func(h *Hub, key cellKey) { h.watching(key, time.Now()) })
}

// Lost implements pubsub.Handler.
func (t *table) Lost(shard world.ShardID, cell world.Cell) {
	t.each(shard, cell, false, func(h *Hub, key cellKey) { h.lost(key) })
}

func (t *table) each(shard world.ShardID, cell world.Cell, confirmed bool, do func(*Hub, cellKey)) {
	key := cellKey{shard.Place, cell}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.cells[key]
	if e == nil {
		return
	}
	e.confirmed = confirmed
	for set := e.hubs; set != 0; set &= set - 1 {
		h := t.hubs.hubs[bits.TrailingZeros64(set)]
		h.call(func() { do(h, key) })
	}
}
