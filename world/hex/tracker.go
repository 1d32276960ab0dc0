package hex

import "github.com/starling-vr/starling/world"

// Locate gives the cell of a position at the resolution. The library is asked
// only where cached, the bounds of the cell where it was before (or nil), does
// not prove that it is still there.
func Locate(lat, lng float64, resolution int, cached *Bounds) (world.Cell, error) {
	if cached != nil && cached.resolution == resolution && cached.Contains(lat, lng) {
		return cached.cell, nil
	}
	return Cell(lat, lng, resolution)
}

// Tracker finds cells and remembers the bounds of those it met last, for one
// goroutine at a time (a shard's, say).
type Tracker struct {
	resolution int
	limit      int
	known      map[world.Cell]*Bounds
}

// NewTracker remembers the bounds of up to limit cells (about 600 bytes each).
func NewTracker(resolution, limit int) *Tracker {
	return &Tracker{resolution: resolution, limit: max(1, limit), known: make(map[world.Cell]*Bounds)}
}

// Locate gives the bounds of the cell in which a position lies; in, the bounds
// of the cell where it was before, may be nil. Bounds it gives stay right for
// good and may be kept.
func (t *Tracker) Locate(lat, lng float64, in *Bounds) (*Bounds, error) {
	if in != nil && in.resolution == t.resolution && in.Contains(lat, lng) {
		return in, nil
	}
	cell, err := Cell(lat, lng, t.resolution)
	if err != nil {
		return nil, err
	}
	if in != nil && in.cell == cell {
		return in, nil
	}
	return t.Bounds(cell)
}

// Bounds gives the bounds of a cell.
func (t *Tracker) Bounds(cell world.Cell) (*Bounds, error) {
	if known, ok := t.known[cell]; ok {
		return known, nil
	}
	made, err := NewBounds(cell)
	if err != nil {
		return nil, err
	}
	if len(t.known) >= t.limit {
		for any := range t.known { // one at random
			delete(t.known, any)
			break
		}
	}
	t.known[cell] = made
	return made, nil
}
