package shard

import (
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// ReadCell answers with the last committed image of a cell.
func (s *Shard) ReadCell(gateway string, in *clusterv1.ReadCell) {
	id := world.Cell(in.GetCell())
	if s.id.IsRegister() || !s.mine(id) {
		s.soon(0, Tell{Gateway: gateway, NotMine: &clusterv1.NotMine{Shard: in.GetShard(), Request: in.GetRequest()}})
		return
	}
	baseline := &pubsub.Message{
		Fence: s.fence(), Cell: id, Sequence: s.base, Baseline: true, Request: in.GetRequest(), Steps: s.image(id),
	}
	if c := s.cells[id]; c != nil {
		baseline.Sequence, baseline.Events = c.committed, c.told
	}
	s.soon(0, Tell{Gateway: gateway, Baseline: baseline})
}

// image encodes the committed content of a cell.
func (s *Shard) image(id world.Cell) []byte {
	var steps []byte
	add := func(entity world.EntityID, st *state, frozen bool) {
		u := s.fillUpdate(entity, st, starlingv1.Change_PRESENT, true)
		u.Frozen = frozen
		steps = appendMessage(steps, 1, &s.scratch.step)
	}
	before := s.uncommitted()
	if c := s.cells[id]; c != nil {
		for _, e := range c.entities {
			if _, changed := before[e.id]; !changed {
				add(e.id, &e.state, false)
			}
		}
	}
	for entity, was := range before {
		if was.exists && was.cell == id {
			add(entity, was, false)
		}
	}
	for entity, t := range s.transits {
		if t.from == id && t.batch <= s.tail.Sequence {
			t.shown = true
			add(entity, &t.state, true)
		}
	}
	return steps
}

// uncommitted gives the committed state of the entities that changed since.
func (s *Shard) uncommitted() map[world.EntityID]*state {
	var before map[world.EntityID]*state
	for _, b := range [...]*batch{s.flight, s.open} {
		if b == nil {
			continue
		}
		for i := range b.undo {
			u := &b.undo[i]
			if before == nil {
				before = make(map[world.EntityID]*state)
			}
			if _, older := before[u.entity.id]; !older {
				before[u.entity.id] = &u.was
			}
		}
	}
	return before
}
