package yardstick

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// crowdMap knows who watches which cell. Watchers are read for each action
// without a lock; they change when somebody comes, goes, or enters another cell.
type crowdMap struct {
	shards world.ShardMap

	mu     sync.Mutex
	cells  map[cellKey]*cell
	places map[uint64]world.Frame
	disk   []world.Cell // reused
}

// cellKey names a cell of the map (place 0) or of a place.
type cellKey struct {
	place uint64
	id    world.Cell
}

// cell is a cell that somebody stands in or watches.
type cell struct {
	cellKey
	bounds   *hex.Bounds
	watchers atomic.Pointer[[]*connection] // never changed in place
}

// hysteresis is within how many metres beyond its shard one stays in the cell
// where one was, as with a Starling by default.
const hysteresis = 3

func newCrowdMap() *crowdMap {
	return &crowdMap{shards: world.DefaultShardMap(), cells: make(map[cellKey]*cell), places: make(map[uint64]world.Frame)}
}

func (m *crowdMap) openPlace(id uint64, anchor world.Geo) error {
	frame, err := world.NewFrame(anchor)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places[id] = frame
	return nil
}

func (m *crowdMap) closePlace(id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.places, id)
}

// frame gives what turns local positions of a place into geographic ones.
func (m *crowdMap) frame(place uint64) (frame world.Frame, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	frame, ok = m.places[place]
	return frame, ok
}

// cell gives a cell, new if need be. Called under mu.
func (m *crowdMap) cell(key cellKey) (*cell, error) {
	if known := m.cells[key]; known != nil {
		return known, nil
	}
	bounds, err := hex.NewBounds(key.id)
	if err != nil {
		return nil, err
	}
	made := &cell{cellKey: key, bounds: bounds}
	made.watchers.Store(new([]*connection))
	m.cells[key] = made
	return made, nil
}

// located says in which cell of its place somebody is who was in another (nil:
// nowhere).
func (m *crowdMap) located(place uint64, at world.Geo, was *cell) (world.Cell, error) {
	if was != nil && was.bounds.Contains(at.Lat, at.Lng) {
		return was.id, nil
	}
	id, err := hex.Cell(at.Lat, at.Lng, m.shards.CellResolution)
	if err != nil || was == nil || id == was.id {
		return id, err
	}
	if place == 0 && m.shards.Shard(0, id) != m.shards.Shard(0, was.id) && was.bounds.MetresOutside(at.Lat, at.Lng) <= hysteresis {
		return was.id, nil
	}
	return id, nil
}

// enter makes a cell somebody's own and has the ring around it watched. It gives
// the cells that come into view and those that leave it; told is called for the
// former before anything in them is broadcast to c.
func (m *crowdMap) enter(c *connection, id world.Cell, told func(come, gone []*cell)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk = hex.AppendDisk(m.disk[:0], id, c.ring)
	disk := make([]*cell, len(m.disk))
	for i, near := range m.disk {
		var err error
		if disk[i], err = m.cell(cellKey{c.place, near}); err != nil {
			return err
		}
		if near == id {
			c.cell = disk[i]
		}
	}
	was := c.disk
	come := slices.DeleteFunc(slices.Clone(disk), func(k *cell) bool { return slices.Contains(was, k) })
	gone := slices.DeleteFunc(slices.Clone(was), func(k *cell) bool { return slices.Contains(disk, k) })
	told(come, gone)
	for _, k := range gone {
		k.unwatch(c)
	}
	for _, k := range come {
		watchers := append(slices.Clip(*k.watchers.Load()), c)
		k.watchers.Store(&watchers)
	}
	c.disk = disk
	return nil
}

// leave ends what a connection watches.
func (m *crowdMap) leave(c *connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range c.disk {
		k.unwatch(c)
	}
	c.disk = nil
}

// unwatch takes a connection off. Called under the map's mu.
func (k *cell) unwatch(c *connection) {
	left := slices.DeleteFunc(slices.Clone(*k.watchers.Load()), func(w *connection) bool { return w == c })
	k.watchers.Store(&left)
}
