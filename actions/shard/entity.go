package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// state is what can be undone of an entity: a plain value, copied before the
// first change in an action.
type state struct {
	exists     bool
	cell       world.Cell
	version    world.Version
	pose       Pose
	holder     world.EntityID
	kind       string
	attributes *starlingv1.Attributes // never changed, only replaced
	owner      string                 // the participant who spawned it
	session    world.SessionID        // of an avatar
	budget     budget
}

// budget is the state of the speed limit. It is not in the log: a new owner
// begins with a full one.
type budget struct {
	metres    float64
	at        int64 // Unix microseconds
	relocated int64 // Unix microseconds
}

// left gives the metres that may be moved now.
func (b budget) left(l *Limits, now time.Time) float64 {
	if b.at == 0 {
		return l.SpeedBurst
	}
	return min(l.SpeedBurst, b.metres+l.Speed*max(0, float64(now.UnixMicro()-b.at)/1e6))
}

type entity struct {
	id world.EntityID
	state
	holds   []*entity
	in      *cell  // where it is listed; nil if nowhere here
	index   int    // in in.entities
	touched uint64 // the action that changed it last
	away    bool   // handed over
}

// cell is what the shard knows of a cell. It stays for as long as the shard is
// loaded: its sequence must not be forgotten.
type cell struct {
	id        world.Cell
	bounds    *hex.Bounds
	entities  []*entity
	sealed    uint64 // the last batch that touched it, committed or in flight
	committed uint64 // the last committed one
	events    uint64 // that it ever had, those of the open batch included
	told      uint64 // and those of the last committed batch
	digests   int    // digests in which it is still to be named
	steps     []byte // of the open batch
	arrived   time.Time
}

func (c *cell) add(e *entity) {
	e.in, e.index = c, len(c.entities)
	c.entities = append(c.entities, e)
}

func (e *entity) unlist() {
	c := e.in
	if c == nil {
		return
	}
	last := len(c.entities) - 1
	c.entities[e.index] = c.entities[last]
	c.entities[e.index].index = e.index
	c.entities[last] = nil
	c.entities = c.entities[:last]
	e.in = nil
}

// list puts e where its state says it is.
func (s *Shard) list(e *entity) {
	if e.in != nil && e.exists && e.in.id == e.cell {
		return
	}
	e.unlist()
	if e.exists && s.mine(e.cell) {
		s.cell(e.cell).add(e)
	}
}

// mine says whether a cell belongs to this shard.
func (s *Shard) mine(c world.Cell) bool {
	if s.id.IsPlace() {
		return true
	}
	return s.config.Map.Shard(0, c) == s.id
}

func (s *Shard) cell(id world.Cell) *cell {
	if c := s.cells[id]; c != nil {
		return c
	}
	c := &cell{id: id, sealed: s.base, committed: s.base}
	if b, err := hex.NewBounds(id); err == nil {
		c.bounds = b
	}
	s.cells[id] = c
	return c
}

// locate finds the cell of a position for an entity that is listed in was (nil
// if in none). Near the border of its shard it stays where it was.
func (s *Shard) locate(at Position, was *cell) (world.Cell, error) {
	geo := at.Geo
	if at.Place {
		geo = ground(s.anchor(), at.Local)
	}
	var bounds *hex.Bounds
	if was != nil {
		bounds = was.bounds
	}
	found, err := hex.Locate(geo.Lat, geo.Lng, s.config.Map.CellResolution, bounds)
	if err != nil {
		return 0, err
	}
	if bounds != nil && !s.mine(found) && bounds.MetresOutside(geo.Lat, geo.Lng) <= s.limits.Hysteresis {
		return was.id, nil
	}
	return found, nil
}

func (s *Shard) anchor() world.Geo {
	a := s.place.GetPlace().GetAnchor()
	return world.Geo{Lat: a.GetLatitude(), Lng: a.GetLongitude()}
}

// touch notes the state of e before the running action changes it.
func (s *Shard) touch(e *entity) {
	if e.touched == s.action {
		return
	}
	e.touched = s.action
	s.open.undo = append(s.open.undo, undo{entity: e, was: e.state})
}

// undo is the state of an entity before an action of a batch.
type undo struct {
	entity *entity
	was    state
}

// rollBack restores what the running action changed.
func (s *Shard) rollBack(from int) {
	for i := len(s.open.undo) - 1; i >= from; i-- {
		u := &s.open.undo[i]
		e := u.entity
		if e.holder != u.was.holder {
			s.dropFromHolder(e)
		}
		wasHolder := e.holder
		e.state = u.was
		if e.holder != wasHolder {
			s.giveToHolder(e)
		}
		e.touched = 0
		s.list(e)
		if !e.exists {
			delete(s.entities, e.id)
		} else {
			s.entities[e.id] = e
		}
		*u = undo{}
	}
	s.open.undo = s.open.undo[:from]
}

func (s *Shard) dropFromHolder(e *entity) {
	holder := s.entities[e.holder]
	if holder == nil {
		return
	}
	for i, held := range holder.holds {
		if held == e {
			holder.holds = append(holder.holds[:i], holder.holds[i+1:]...)
			return
		}
	}
}

func (s *Shard) giveToHolder(e *entity) {
	if holder := s.entities[e.holder]; holder != nil {
		holder.holds = append(holder.holds, e)
	}
}

// record makes all that is known of e, for a parcel or a snapshot.
func (e *entity) record() *clusterv1.EntityRecord {
	return e.state.record(e.id)
}

func (st *state) record(id world.EntityID) *clusterv1.EntityRecord {
	return &clusterv1.EntityRecord{
		Update: &starlingv1.Update{
			Entity:     uint64(id),
			Version:    &starlingv1.Version{Handovers: st.version.Handovers, Epoch: st.version.Epoch, Sequence: st.version.Sequence},
			Change:     starlingv1.Change_PRESENT,
			Pose:       st.pose.Message(),
			Holder:     uint64(st.holder),
			Kind:       st.kind,
			Attributes: st.attributes,
		},
		Cell:      uint64(st.cell),
		Ownership: &clusterv1.Ownership{Entity: uint64(id), Participant: st.owner, Session: uint64(st.session)},
		Budget:    &clusterv1.MoveBudget{Metres: st.budget.metres, AtUnixUs: st.budget.at, RelocatedUnixUs: st.budget.relocated},
	}
}

// stateOf reads a record. Whatever the record holds, it does not panic.
func stateOf(r *clusterv1.EntityRecord) state {
	st := updateState(r.GetUpdate())
	st.cell = world.Cell(r.GetCell())
	st.owner, st.session = r.GetOwnership().GetParticipant(), world.SessionID(r.GetOwnership().GetSession())
	b := r.GetBudget()
	st.budget = budget{b.GetMetres(), b.GetAtUnixUs(), b.GetRelocatedUnixUs()}
	return st
}

func updateState(u *starlingv1.Update) state {
	pose, _ := ReadPose(u.GetPose())
	v := u.GetVersion()
	attributes := u.GetAttributes()
	if attributes == nil {
		attributes = noAttributes
	}
	return state{
		exists:  true,
		version: world.Version{Handovers: v.GetHandovers(), Epoch: v.GetEpoch(), Sequence: v.GetSequence()},
		pose:    pose, holder: world.EntityID(u.GetHolder()), kind: u.GetKind(), attributes: attributes,
	}
}

// noAttributes is shared by all entities without any; nobody changes it.
var noAttributes = &starlingv1.Attributes{}
