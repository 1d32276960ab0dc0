package starling

import (
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Entity is what the view knows of an entity: as of its last update, not
// interpolated. What it points to is shared and must not be changed.
type Entity struct {
	ID         uint64
	Cell       uint64 // H3 index of the cell it is in
	Place      uint64
	Version    *starlingv1.Version
	Kind       string
	Pose       *starlingv1.Pose
	Holder     uint64 // entity that holds it, 0: nobody
	Attributes *starlingv1.Attributes
	Frozen     bool // on its way to another shard: cannot be acted on
}

// ChangeKind says what became of an entity in the view.
type ChangeKind int

const (
	Appeared ChangeKind = iota // it came into view
	Changed                    // something about it is new
	Vanished                   // it left the view: only Entity.ID is set
)

// Change is one entity's change by one frame.
type Change struct {
	Kind   ChangeKind
	Entity Entity
}

// CellState says how far the image of a cell is.
type CellState struct {
	Cell     uint64
	Place    uint64
	Epoch    uint32
	Sequence uint64
	Watchers uint32 // participants who watch the cell
	Current  bool   // false: of an earlier connection, awaiting its baseline
	Thinned  bool   // a crowd over the budget: states other than of those near are late
}

// Entity gives one entity of the view.
func (c *Client) Entity(id uint64) (Entity, bool) {
	c.view.mu.RLock()
	defer c.view.mu.RUnlock()
	if e := c.view.entities[id]; e != nil && e.shown != nil {
		return e.public(), true
	}
	return Entity{}, false
}

// Entities calls yield with every entity in view, in no order. It must not call
// back into the client.
func (c *Client) Entities(yield func(Entity) bool) {
	c.view.mu.RLock()
	defer c.view.mu.RUnlock()
	for _, e := range c.view.entities {
		if e.shown != nil && !yield(e.public()) {
			return
		}
	}
}

// Cells gives the cells that are watched.
func (c *Client) Cells() []CellState {
	c.view.mu.RLock()
	defer c.view.mu.RUnlock()
	states := make([]CellState, 0, len(c.view.cells))
	for _, cell := range c.view.cells {
		states = append(states, CellState{cell.id, cell.place, cell.epoch, cell.sequence, cell.watchers, cell.based, cell.thinned})
	}
	return states
}

// PoseOf gives the pose in which to show an entity now: interpolated between
// its updates, Options.InterpolationDelay behind the present. nil if it is not
// in view.
func (c *Client) PoseOf(id uint64) *starlingv1.Pose {
	return c.PoseAt(id, time.Now().Add(-c.options.InterpolationDelay))
}

// PoseAt gives the pose at a time, by this machine's clock.
func (c *Client) PoseAt(id uint64, at time.Time) *starlingv1.Pose {
	c.view.mu.RLock()
	defer c.view.mu.RUnlock()
	if e := c.view.entities[id]; e != nil && e.shown != nil {
		return e.track.at(at)
	}
	return nil
}

func (e *entity) public() Entity {
	p := e.shown
	return Entity{
		ID: e.id, Cell: p.cell.id, Place: p.cell.place,
		Version: &starlingv1.Version{Handovers: p.version.handovers, Epoch: p.version.epoch, Sequence: p.version.sequence},
		Kind:    p.kind, Pose: p.pose, Holder: p.holder, Attributes: p.attributes, Frozen: p.frozen,
	}
}
