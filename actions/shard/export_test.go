package shard

import (
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// State is the whole state for comparisons: without what the log does not keep.
func (s *Shard) State() *clusterv1.Snapshot {
	m := s.snapshot()
	for _, e := range m.Entities {
		e.Budget = nil
	}
	return m
}

// EntityIDs are those that have their home here.
func (s *Shard) EntityIDs() []world.EntityID {
	var ids []world.EntityID
	for id := range s.entities {
		ids = append(ids, id)
	}
	return ids
}

// CellOf is the cell of an entity that lives here.
func (s *Shard) CellOf(id world.EntityID) (world.Cell, bool) {
	if e := s.entities[id]; e != nil {
		return e.cell, true
	}
	return 0, false
}

// Invariants panics if the image contradicts itself.
func (s *Shard) Invariants() {
	listed := 0
	for id, c := range s.cells {
		for i, e := range c.entities {
			listed++
			if e.in != c || e.index != i || e.cell != id || s.entities[e.id] != e || !e.exists {
				panic("an entity is listed wrongly")
			}
		}
	}
	if listed != len(s.entities) {
		panic("an entity is in no cell")
	}
	for _, e := range s.entities {
		for _, held := range e.holds {
			if held.holder != e.id || held.cell != e.cell || held.pose.Position != e.pose.Position {
				panic("a held entity is not with its holder")
			}
		}
		if e.holder != 0 && s.entities[e.holder] == nil {
			panic("a holder is missing")
		}
	}
	for _, x := range s.sessions {
		if x.avatar == nil || s.entities[x.avatar.id] != x.avatar {
			panic("a session without its avatar")
		}
	}
}
