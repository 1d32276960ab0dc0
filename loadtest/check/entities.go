package check

import (
	"cmp"
	"slices"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// stay is the time that an entity is at home in one shard.
type stay struct {
	entity    world.EntityID
	shard     world.ShardID
	handovers uint32
	from      uint64  // sequence of its beginning
	arrival   *parcel // that brought it; nil: created
	snapshot  bool    // it began before the log that is left
	ended     bool
	until     uint64
	departure *parcel // that took it away; nil: removed
}

func (c *checker) stay(s *shard, id world.EntityID, handovers uint32, at uint64, arrival *parcel) *stay {
	one := &stay{entity: id, shard: s.ID, handovers: handovers, from: at, arrival: arrival}
	c.stays[id] = append(c.stays[id], one)
	return one
}

// change is all that a batch says of one entity.
type change struct {
	entity  world.EntityID
	cells   map[world.Cell][]Step // in the order of each cell
	order   []world.Cell
	arrives *arrival
	departs *departure
}

type arrival struct {
	shown  Shown
	parcel *parcel
}

type departure struct {
	shown  Shown
	target world.ShardID
	number uint64
}

// gather sorts what a batch says by entity.
func gather(e *Entry, parcels []*parcel) []*change {
	var all []*change
	index := make(map[world.EntityID]*change)
	of := func(id world.EntityID) *change {
		one := index[id]
		if one == nil {
			one = &change{entity: id, cells: make(map[world.Cell][]Step)}
			index[id] = one
			all = append(all, one)
		}
		return one
	}
	for _, p := range parcels {
		for _, record := range handedOver(p.Parcel) {
			shown := shownOf(record)
			of(shown.Entity).arrives = &arrival{shown, p}
		}
	}
	for _, delta := range e.Batch.Cells {
		steps := new(starlingv1.Steps)
		if steps.UnmarshalVT(delta.Steps) != nil {
			continue // reported already
		}
		cell := world.Cell(delta.Cell)
		for _, step := range stepsOf(steps) {
			if step.Event {
				continue
			}
			one := of(step.Entity)
			if _, again := one.cells[cell]; !again {
				one.order = append(one.order, cell)
			}
			one.cells[cell] = append(one.cells[cell], step)
		}
	}
	for _, out := range e.Batch.Outgoing {
		for _, record := range handedOver(out.Parcel) {
			shown := shownOf(record)
			of(shown.Entity).departs = &departure{shown, shardID(out.Target), out.Number}
		}
	}
	return all
}

// change applies what a batch says of one entity.
func (c *checker) change(s *shard, e *Entry, ch *change) {
	at := Violation{Shard: s.ID, Sequence: e.Sequence, Entity: ch.entity}
	r := s.home[ch.entity]
	was := world.Cell(0)
	if r != nil {
		was = r.Cell
	}
	if ch.arrives != nil {
		if r != nil {
			at.Rule = EntityTwoHomes
			c.report(at, "it arrives from %v and is at home here", ch.arrives.parcel.source)
			return
		}
		r = &resident{Shown: ch.arrives.shown}
		r.stay = c.stay(s, ch.entity, r.Version.Handovers, e.Sequence, ch.arrives.parcel)
	}
	if r == nil {
		if r = c.appear(s, e, ch); r == nil {
			return
		}
	}
	now, removed := c.walk(s, e, ch, r, was)
	c.settle(s, e, ch, r, now, removed)
}

// appear gives an entity its first home, or says why it cannot have one here.
func (c *checker) appear(s *shard, e *Entry, ch *change) *resident {
	at := Violation{Shard: s.ID, Sequence: e.Sequence, Entity: ch.entity}
	for _, steps := range ch.cells {
		for _, step := range steps {
			if step.Change == starlingv1.Change_CREATED {
				r := &resident{Shown: Shown{Entity: ch.entity, Version: step.Version, Attributes: noAttributes}}
				r.stay = c.stay(s, ch.entity, step.Version.Handovers, e.Sequence, nil)
				return r
			}
		}
	}
	if len(ch.cells) == 0 && ch.departs != nil {
		// Created so that it belongs elsewhere at once: nobody here was told.
		shown := ch.departs.shown
		shown.Version.Handovers--
		r := &resident{Shown: shown}
		r.stay = c.stay(s, ch.entity, shown.Version.Handovers, e.Sequence, nil)
		return r
	}
	if c.farewell(s, ch) {
		return nil
	}
	at.Rule = EntityAway
	c.report(at, "it is not at home here, and this batch says something of it")
	return nil
}

// farewell says whether all steps are a last LEFT to those who were shown a
// departed entity frozen.
func (c *checker) farewell(s *shard, ch *change) bool {
	handovers, was := s.departed[ch.entity]
	if !was || ch.departs != nil {
		return false
	}
	for _, steps := range ch.cells {
		for _, step := range steps {
			if step.Change != starlingv1.Change_LEFT || step.Version.Handovers != handovers {
				return false
			}
		}
	}
	for cell, steps := range ch.cells {
		for _, step := range steps {
			c.logFarewell(s, cell, step)
		}
	}
	return true
}

// logFarewell notes that watchers may be told of it.
func (c *checker) logFarewell(s *shard, cell world.Cell, step Step) {
	key := entityVersion{step.Entity, step.Version}
	c.versions[key] = append(c.versions[key], loggedState{s.ID, cell, step.Change, step.Holder, step.Pose, noAttributes})
}

// walk applies the steps of one entity, cell by cell. It gives the cells where
// it is after them.
func (c *checker) walk(s *shard, e *Entry, ch *change, r *resident, was world.Cell) (now []world.Cell, removed bool) {
	if was != 0 && ch.cells[was] == nil {
		now = append(now, was)
	}
	handovers := r.Version.Handovers
	for _, cell := range ch.order {
		here := cell == was
		for _, step := range ch.cells[cell] {
			if departed, before := s.departed[ch.entity]; !here && before && step.Change == starlingv1.Change_LEFT && step.Version.Handovers == departed && departed < handovers {
				c.logFarewell(s, cell, step)
				continue // of an earlier stay
			}
			c.checkStep(s, e, cell, step, here, handovers)
			here = !gone(step.Change)
			removed = removed || step.Change == starlingv1.Change_REMOVED
			c.take(s, r, cell, step)
		}
		if here {
			now = append(now, cell)
		}
	}
	return now, removed
}

func (c *checker) checkStep(s *shard, e *Entry, cell world.Cell, step Step, here bool, handovers uint32) {
	at := Violation{Shard: s.ID, Sequence: e.Sequence, Entity: step.Entity, Cell: cell}
	if step.Version.Handovers != handovers {
		at.Rule = HandoverCount
		c.report(at, "%v bears hand-over count %d, it is here with %d", step.Change, step.Version.Handovers, handovers)
	}
	enters := step.Change == starlingv1.Change_CREATED || step.Change == starlingv1.Change_ENTERED
	if enters == here || step.Change == starlingv1.Change_PRESENT {
		at.Rule = StepOrder
		c.report(at, "%v of an entity that is in the cell: %v", step.Change, here)
	}
}

// take brings a resident's state up to a step, and logs it.
func (c *checker) take(s *shard, r *resident, cell world.Cell, step Step) {
	attributes := r.Attributes
	if whole(step.Change) && step.Attributes == 0 {
		attributes = noAttributes
	}
	if step.Attributes != 0 {
		attributes = step.Attributes
	}
	key := entityVersion{step.Entity, step.Version}
	c.versions[key] = append(c.versions[key], loggedState{s.ID, cell, step.Change, step.Holder, step.Pose, attributes})
	r.Version = step.Version
	if !gone(step.Change) {
		r.Pose, r.Attributes = step.Pose, attributes
		s.hold(r, step.Holder)
	}
}

// settle ends or continues the stay.
func (c *checker) settle(s *shard, e *Entry, ch *change, r *resident, now []world.Cell, removed bool) {
	at := Violation{Shard: s.ID, Sequence: e.Sequence, Entity: ch.entity}
	if ch.departs != nil {
		if got, want := ch.departs.shown.Version.Handovers, r.Version.Handovers+1; got != want {
			at.Rule = HandoverCount
			c.report(at, "handed over to %v with count %d, want %d", ch.departs.target, got, want)
		}
		if len(now) > 0 && len(ch.cells) > 0 {
			at.Rule, at.Cell = EntityTwoHomes, now[0]
			c.report(at, "handed over to %v, and still in a cell here", ch.departs.target)
		}
		r.stay.ended, r.stay.until = true, e.Sequence
		r.stay.departure = c.outbox(route{s.ID, ch.departs.target}).sent[ch.departs.number]
		s.leave(r)
		return
	}
	switch {
	case removed && len(now) == 0:
		r.stay.ended, r.stay.until = true, e.Sequence
		s.leave(r)
	case len(now) == 0:
		at.Rule = EntityLost
		what := "it left its cell, and is nowhere"
		if ch.arrives != nil {
			what = "its hand-over was accepted, and it is nowhere"
		}
		c.report(at, "%s", what)
		r.stay.ended, r.stay.until = true, e.Sequence
		s.leave(r)
	default:
		if len(now) > 1 {
			at.Rule = EntityTwoHomes
			c.report(at, "it is in cells %x and %x", now[0], now[1])
		}
		c.hereAfter(s, ch, r, now[0])
	}
}

// hereAfter places an entity where a batch left it: with what that cell said
// last.
func (c *checker) hereAfter(s *shard, ch *change, r *resident, cell world.Cell) {
	if steps := ch.cells[cell]; len(steps) > 0 {
		last := steps[len(steps)-1]
		r.Pose, r.Version = last.Pose, last.Version
		s.hold(r, last.Holder)
		states := c.versions[entityVersion{r.Entity, last.Version}]
		for _, state := range states {
			if state.cell == cell && !gone(state.change) {
				r.Attributes = state.attributes
			}
		}
	}
	s.place(r, cell)
}

// checkHolders looks whether what is held is where its holder is.
func (c *checker) checkHolders(s *shard, e *Entry, id world.EntityID) {
	at := Violation{Rule: HolderMissing, Shard: s.ID, Sequence: e.Sequence, Entity: id}
	if r := s.home[id]; r != nil {
		if r.Holder != 0 && s.home[r.Holder] == nil {
			c.report(at, "its holder %x is not here", uint64(r.Holder))
		}
		return
	}
	for held := range s.holding[id] {
		at.Entity = held
		c.report(at, "its holder %x went without it", uint64(id))
	}
}

// checkStays holds the stays of each entity against each other: one home at any
// time, counting parcels under way.
func (c *checker) checkStays() {
	for id, stays := range c.stays {
		slices.SortStableFunc(stays, func(a, b *stay) int { return cmp.Compare(a.handovers, b.handovers) })
		for i, one := range stays {
			c.checkStay(id, one, stays[:i], stays[i+1:])
		}
	}
}

func (c *checker) checkStay(id world.EntityID, one *stay, before, after []*stay) {
	at := Violation{Shard: one.shard, Sequence: one.from, Entity: id}
	if len(before) > 0 {
		last := before[len(before)-1]
		switch {
		case last.handovers == one.handovers || one.arrival == nil && !one.snapshot:
			at.Rule = EntityTwoHomes
			c.report(at, "at home with count %d, and in %v with count %d", one.handovers, last.shard, last.handovers)
		case last.handovers+1 != one.handovers && !one.snapshot:
			at.Rule = HandoverCount
			c.report(at, "count %d follows %d in %v", one.handovers, last.handovers, last.shard)
		case !last.ended || last.departure == nil:
			at.Rule = EntityTwoHomes
			c.report(at, "at home here with count %d, and never left %v", one.handovers, last.shard)
		}
	}
	if len(after) == 0 && one.departure != nil && c.Quiet {
		at.Rule, at.Sequence = EntityLost, one.until
		c.report(at, "handed over to %v as parcel %d, and nowhere since", one.departure.target, one.departure.number)
	}
}
