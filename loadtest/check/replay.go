package check

import (
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// shard is the state of a shard while its log is replayed.
type shard struct {
	*Shard
	home     map[world.EntityID]*resident
	holding  map[world.EntityID]map[world.EntityID]bool // by holder
	images   map[world.Cell]map[world.EntityID]*resident
	departed map[world.EntityID]uint32 // hand-over count with which it was last here
	open     map[world.SessionID]*period
	epoch    uint32
	sequence uint64
}

// resident is an entity at home in a shard.
type resident struct {
	Shown
	stay *stay
}

// loggedState is a state of an entity that a log shows.
type loggedState struct {
	shard      world.ShardID
	cell       world.Cell
	change     starlingv1.Change
	holder     world.EntityID
	pose       uint64
	attributes uint64
}

// cellEntry is what one commit did to one cell.
type cellEntry struct {
	sequence uint64
	steps    []Step
}

// replay goes through a shard's log, batch by batch.
func (c *checker) replay(in *Shard) {
	s := &shard{
		Shard: in, home: make(map[world.EntityID]*resident), holding: make(map[world.EntityID]map[world.EntityID]bool),
		images: make(map[world.Cell]map[world.EntityID]*resident), departed: make(map[world.EntityID]uint32),
		open: make(map[world.SessionID]*period), sequence: in.At,
	}
	c.shards[in.ID] = s
	if in.Snapshot != nil {
		c.begin(s)
	}
	for i := range in.Entries {
		e := &in.Entries[i]
		if e.Sequence != s.sequence+1 || e.Epoch < s.epoch {
			c.report(Violation{Rule: LogBroken, Shard: in.ID, Sequence: e.Sequence}, "epoch %d follows %d of epoch %d", e.Epoch, s.sequence, s.epoch)
		}
		s.epoch, s.sequence = e.Epoch, e.Sequence
		c.batch(s, e)
		c.compareBaselines(s)
	}
}

// begin takes a snapshot as the start.
func (c *checker) begin(s *shard) {
	for _, record := range s.Snapshot.Entities {
		u := record.GetUpdate()
		r := &resident{Shown: shownOf(record), stay: c.stay(s, world.EntityID(u.GetEntity()), u.GetVersion().GetHandovers(), s.At, nil)}
		r.stay.snapshot = true
		s.place(r, world.Cell(record.Cell))
		c.log(s, r, starlingv1.Change_PRESENT)
	}
	for _, opened := range s.Snapshot.Sessions {
		c.openPeriod(s, s.At, opened).snapshot = true
	}
	for _, mark := range s.Snapshot.Watermarks {
		c.outbox(route{shardID(mark.Source), s.ID}).accepted = mark.Number
	}
	for _, d := range s.Snapshot.Delivered {
		c.outbox(route{s.ID, shardID(d.Target)}).delivered = d.Number
	}
	for _, out := range s.Snapshot.Outgoing {
		for _, record := range handedOver(out.Parcel) {
			s.departed[world.EntityID(record.GetUpdate().GetEntity())] = record.GetUpdate().GetVersion().GetHandovers() - 1
		}
	}
	c.compareBaselines(s)
}

func shownOf(record *clusterv1.EntityRecord) Shown {
	u := record.GetUpdate()
	attributes := attributesDigest(u.GetAttributes())
	if attributes == 0 {
		attributes = noAttributes
	}
	return Shown{
		Entity: world.EntityID(u.GetEntity()), Cell: world.Cell(record.GetCell()), Version: versionOf(u.GetVersion()),
		Holder: world.EntityID(u.GetHolder()), Pose: poseDigest(u.GetPose()), Attributes: attributes,
	}
}

// batch applies one batch.
func (c *checker) batch(s *shard, e *Entry) {
	parcels := c.accept(s, e)
	changes := gather(e, parcels)
	c.logCells(s, e)
	for _, change := range changes {
		c.change(s, e, change)
	}
	for _, change := range changes {
		c.checkHolders(s, e, change.entity)
	}
	c.sessionBatch(s, e, parcels)
	for _, d := range e.Batch.Delivered {
		o := c.outbox(route{s.ID, shardID(d.Target)})
		if d.Number > o.delivered {
			o.delivered, o.deliveredAt = d.Number, e.Sequence
		}
	}
}

// logCells keeps what the batch did to each cell, and its events and effects.
func (c *checker) logCells(s *shard, e *Entry) {
	for _, delta := range e.Batch.Cells {
		steps := new(starlingv1.Steps)
		if err := steps.UnmarshalVT(delta.Steps); err != nil {
			c.report(Violation{Rule: LogBroken, Shard: s.ID, Sequence: e.Sequence, Cell: world.Cell(delta.Cell)}, "undecodable steps: %v", err)
			continue
		}
		key := placeCell{s.ID.Place, world.Cell(delta.Cell)}
		reduced := stepsOf(steps)
		c.cells[key] = append(c.cells[key], cellEntry{e.Sequence, reduced})
		if owner := c.shardOf(s.ID.Place, key.cell); owner != s.ID {
			c.report(Violation{Rule: EntityAway, Shard: s.ID, Sequence: e.Sequence, Cell: key.cell}, "the cell belongs to %v", owner)
		}
		for _, step := range reduced {
			c.logStep(s, e, key.cell, step)
		}
	}
}

func (c *checker) logStep(s *shard, e *Entry, cell world.Cell, step Step) {
	by := step.By
	if step.Event {
		by = step.Entity
		c.events[eventKey{step.Entity, step.Number, step.Version, step.Content}]++
	}
	if step.Version.Sequence != e.Sequence || step.Version.Epoch > e.Epoch {
		c.report(Violation{Rule: VersionWrong, Shard: s.ID, Sequence: e.Sequence, Entity: step.Entity, Cell: cell},
			"a step of epoch %d bears version %v", e.Epoch, step.Version)
	}
	if by == 0 || step.Number == 0 {
		return
	}
	key := actionKey{uint64(by), step.Number}
	f := c.actions[key]
	if f == nil {
		f = &effect{shard: s.ID, sequence: e.Sequence}
		c.actions[key] = f
	}
	f.note(s.ID, e.Sequence, step)
}

// place puts an entity into a cell's image.
func (s *shard) place(r *resident, cell world.Cell) {
	s.home[r.Entity] = r
	s.unplace(r)
	r.Cell = cell
	if s.images[cell] == nil {
		s.images[cell] = make(map[world.EntityID]*resident)
	}
	s.images[cell][r.Entity] = r
	s.hold(r, r.Holder)
}

func (s *shard) unplace(r *resident) { delete(s.images[r.Cell], r.Entity) }

// hold notes who holds an entity.
func (s *shard) hold(r *resident, holder world.EntityID) {
	delete(s.holding[r.Holder], r.Entity)
	r.Holder = holder
	if holder == 0 {
		return
	}
	if s.holding[holder] == nil {
		s.holding[holder] = make(map[world.EntityID]bool)
	}
	s.holding[holder][r.Entity] = true
}

// leave ends an entity's stay in the shard.
func (s *shard) leave(r *resident) {
	s.unplace(r)
	s.hold(r, 0)
	delete(s.home, r.Entity)
	s.departed[r.Entity] = r.Version.Handovers
}

func (c *checker) log(s *shard, r *resident, change starlingv1.Change) {
	key := entityVersion{r.Entity, r.Version}
	c.versions[key] = append(c.versions[key], loggedState{s.ID, r.Cell, change, r.Holder, r.Pose, r.Attributes})
}
