package starling

import (
	"fmt"
	"sync"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

const (
	// tombstoneTime is how long the version of what has gone is remembered.
	tombstoneTime = time.Minute
	// graceTime is how long cells of an earlier connection are shown while the
	// new one's baselines come.
	graceTime = time.Second
)

// version orders what is said of one entity: handovers, then epoch, then
// sequence.
type version struct {
	handovers, epoch uint32
	sequence         uint64
}

func versionOf(v *starlingv1.Version) version {
	return version{v.GetHandovers(), v.GetEpoch(), v.GetSequence()}
}

func (v version) less(w version) bool {
	if v.handovers != w.handovers {
		return v.handovers < w.handovers
	}
	if v.epoch != w.epoch {
		return v.epoch < w.epoch
	}
	return v.sequence < w.sequence
}

// view is what a client knows of the world around it.
//
// Each cell has an image of its own, built from a baseline and a chain of
// frames. An entity may stand in the images of two cells for a moment, because
// the frames of cells are not ordered among each other: the image with the
// highest version shows it, and none does whose version is below the highest
// that was ever heard.
type view struct {
	mu       sync.RWMutex
	cells    map[uint64]*cell
	entities map[uint64]*entity
	renewed  time.Time // when the connection's baselines began to come
}

// cell is the image of one cell.
type cell struct {
	id, place uint64
	epoch     uint32
	sequence  uint64
	watchers  uint32
	based     bool // a baseline came on this connection
	thinned   bool // its states may be older than its sequence
	present   map[uint64]*presence
	ahead     aheadEvents
}

// presence is an entity in the image of a cell.
type presence struct {
	cell       *cell
	version    version
	kind       string
	pose       *starlingv1.Pose
	holder     uint64
	attributes *starlingv1.Attributes
	frozen     bool
}

// entity is all that is known of an entity over all cells.
type entity struct {
	id      uint64
	highest version     // that was ever heard, of its leaving too
	in      []*presence // cells whose image has it: one, or two for a moment
	shown   *presence   // the one that counts; nil: not in view
	gone    time.Time   // when shown became nil
	track   track
}

func newView() *view {
	return &view{cells: make(map[uint64]*cell), entities: make(map[uint64]*entity)}
}

// renew begins a new connection: only baselines are taken, for each cell.
func (v *view) renew(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.renewed = now
	for _, c := range v.cells {
		c.based = false
	}
}

// frameResult is what a frame has for the application.
type frameResult struct {
	events  []*starlingv1.Event
	changes []Change
}

// apply takes a frame that came at a time. The error says that the cell's chain
// is broken: the client must resume on a new connection.
func (v *view) apply(f *starlingv1.CellFrame, received time.Time, wantChanges bool) (frameResult, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	u := updating{view: v, received: received, want: wantChanges}
	c := v.cells[f.Cell]
	if f.Unwatched {
		if c != nil {
			u.forget(c)
		}
		return u.finish(), nil
	}
	if !f.Baseline || f.Partial {
		if skip, err := chain(c, f); skip || err != nil {
			return frameResult{}, err
		}
	} else if c != nil && c.based && f.Epoch < c.epoch {
		return frameResult{}, nil
	}
	if c == nil {
		c = &cell{id: f.Cell, present: make(map[uint64]*presence)}
		v.cells[f.Cell] = c
	}
	if f.Partial {
		u.commits(c, f)
		return u.finish(), nil
	}
	c.place, c.epoch, c.sequence, c.thinned = f.Place, f.Epoch, f.Sequence, f.Thinned
	if f.Watchers != 0 {
		c.watchers = f.Watchers
	}
	if f.Baseline {
		c.based = true
		u.replace(c, f)
		return u.finish(), nil
	}
	u.commits(c, f)
	return u.finish(), nil
}

// chain says whether a frame is to be skipped, or does not build on what the
// cell's image holds.
func chain(c *cell, f *starlingv1.CellFrame) (skip bool, err error) {
	switch {
	case c == nil || !c.based:
		return true, nil // the baseline that is coming stands for it
	case f.Partial:
		return f.Epoch != c.epoch, nil // what it skips the chain tells
	case f.Epoch < c.epoch:
		return true, nil
	case f.Epoch > c.epoch:
		return false, &gapError{f.Cell, fmt.Sprintf("epoch %d after %d without a baseline", f.Epoch, c.epoch)}
	case f.Sequence < c.sequence, f.Sequence == c.sequence && f.From != f.Sequence:
		return true, nil
	case f.From != c.sequence:
		return false, &gapError{f.Cell, fmt.Sprintf("frame from %d to %d, image at %d", f.From, f.Sequence, c.sequence)}
	}
	return false, nil
}

// tidy forgets cells that a new connection did not bring, and old tombstones.
func (v *view) tidy(now time.Time, wantChanges bool) []Change {
	v.mu.Lock()
	defer v.mu.Unlock()
	u := updating{view: v, received: now, want: wantChanges}
	if now.Sub(v.renewed) >= graceTime {
		for _, c := range v.cells {
			if !c.based {
				u.forget(c)
			}
		}
	}
	for id, e := range v.entities {
		if len(e.in) == 0 && now.Sub(e.gone) >= tombstoneTime {
			delete(v.entities, id)
		}
	}
	return u.finish().changes
}
