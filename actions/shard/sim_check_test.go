package shard_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// Guards against everything that crashes, losses, repeats and reorders could do
// to sessions, entities and views: see the promises in the design.
func TestShardsKeepTheirPromisesUnderFaults(t *testing.T) {
	crossed, crashed := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		m := newSimulation(rapid.Uint64().Draw(r, "seed"), r.Fatalf)
		for range 6 {
			m.addClient()
		}
		for range 1500 {
			m.step()
		}
		m.quiet()
		m.check()
		crossed += m.crossed
		crashed += m.crashes
	})
	t.Logf("%d hand-overs delivered, %d crashes", crossed, crashed)
	if crossed == 0 || crashed == 0 {
		t.Error("the simulation exercised nothing")
	}
}

func (m *simulation) check() {
	m.checkSessions()
	m.checkHomes()
	m.checkReplay()
	m.checkViews()
	m.checkEvents()
}

// checkSessions holds what clients were told against the logs.
func (m *simulation) checkSessions() {
	logged := make(map[uint64]map[uint64][]*starlingv1.Outcome)
	left := make(map[uint64]bool)
	for _, log := range m.logs {
		for _, entry := range log {
			b := new(clusterv1.Batch)
			if err := b.UnmarshalVT(entry.Data); err != nil {
				m.fatal("%v", err)
			}
			for _, closed := range b.SessionsClosed {
				left[closed.Session] = left[closed.Session] || closed.Why == clusterv1.SessionClosed_LEFT
			}
			for _, o := range b.Outcomes {
				if logged[o.Session] == nil {
					logged[o.Session] = make(map[uint64][]*starlingv1.Outcome)
				}
				logged[o.Session][o.Outcome.Number] = append(logged[o.Session][o.Outcome.Number], o.Outcome)
			}
		}
	}
	for _, c := range m.clients {
		if !c.over && len(c.asked) > 0 {
			m.fatal("%s still waits for the outcome of %v", c.name, c.asked[0])
		}
		for number, out := range c.final {
			if number == c.leaving && out.Repeated && out.Code == starlingv1.Code_APPLIED && left[c.session] && len(logged[c.session][number]) == 0 {
				continue // it asked to leave when it had been taken out as absent: that is told as done
			}
			if all := logged[c.session][number]; len(all) != 1 || all[0].Code != out.Code || all[0].Entity != out.Entity {
				m.fatal("%s was told %v of action %d, the logs say %v", c.name, out, number, all)
			}
		}
		for number := uint64(1); number <= uint64(len(logged[c.session])); number++ {
			if len(logged[c.session][number]) != 1 {
				m.fatal("the logs say of action %d of %s: %v", number, c.name, logged[c.session][number])
			}
		}
	}
}

// checkHomes finds every entity that should exist in exactly one shard.
func (m *simulation) checkHomes() {
	home := make(map[world.EntityID]world.ShardID)
	for _, id := range m.order {
		machine := m.owner(id).machine
		if n := machine.Statistics().Outbox; n != 0 {
			m.fatal("shard %v still has %d parcels", id, n)
		}
		for _, e := range machine.EntityIDs() {
			if other, twice := home[e]; twice {
				m.fatal("entity %x lives in %v and %v", e, other, id)
			}
			home[e] = id
			if cell, _ := machine.CellOf(e); world.DefaultShardMap().Shard(id.Place, cell) != id {
				m.fatal("entity %x lives in %v but its cell %x does not", e, id, cell)
			}
		}
	}
	should := m.shouldExist()
	for e := range should {
		if _, ok := home[e]; !ok {
			m.fatal("entity %x was lost", e)
		}
	}
	for e := range home {
		if !should[e] {
			m.fatal("entity %x should not exist", e)
		}
	}
}

func (m *simulation) shouldExist() map[world.EntityID]bool {
	should := make(map[world.EntityID]bool)
	for _, log := range m.logs {
		for _, entry := range log {
			b := new(clusterv1.Batch)
			_ = b.UnmarshalVT(entry.Data)
			for _, opened := range b.SessionsOpened {
				if !opened.Arrived && opened.Avatar != 0 {
					should[world.EntityID(opened.Avatar)] = true
				}
			}
			for _, o := range b.Outcomes {
				if o.Outcome.Code == starlingv1.Code_APPLIED && o.Outcome.Entity != 0 {
					should[world.EntityID(o.Outcome.Entity)] = true
				}
			}
		}
	}
	for _, log := range m.logs {
		for _, entry := range log {
			b := new(clusterv1.Batch)
			_ = b.UnmarshalVT(entry.Data)
			for _, delta := range b.Cells {
				steps := new(starlingv1.Steps)
				_ = steps.UnmarshalVT(delta.Steps)
				for _, step := range steps.Steps {
					if u := step.GetUpdate(); u.GetChange() == starlingv1.Change_REMOVED {
						delete(should, world.EntityID(u.Entity))
					}
				}
			}
		}
	}
	return should
}

// checkReplay loads each shard from its whole log, and from its snapshot.
func (m *simulation) checkReplay() {
	for _, id := range m.order {
		o := m.owner(id)
		log := m.logs[id]
		tail := o.machine.Tail()
		live := o.machine.State()
		for _, from := range []uint64{0, o.at} {
			snapshot := o.snapshot
			if from == 0 {
				snapshot = nil
			}
			again, err := shard.Load(m.config(id), tail, from, snapshot, log[from:], m.now)
			if err != nil {
				m.fatal("%v", err)
			}
			if got := again.State(); !proto.Equal(got, live) {
				m.fatal("shard %v from %d:\nreplayed %v\nlive     %v", id, from, got, live)
			}
		}
	}
}

// checkViews holds what watchers see against the world.
func (m *simulation) checkViews() {
	for _, id := range m.order {
		seen := 0
		machine := m.owner(id).machine
		for cell, v := range m.views[id] {
			for e := range v.known {
				seen++
				if in, ok := machine.CellOf(world.EntityID(e)); !ok || in != cell {
					m.fatal("watchers of %x see entity %x, which is in %x of %v (%v)", cell, e, in, id, ok)
				}
			}
		}
		if n := len(machine.EntityIDs()); seen != n {
			m.fatal("watchers of %v see %d entities of %d", id, seen, n)
		}
		for _, record := range machine.State().Entities {
			v := m.views[id][world.Cell(record.Cell)].known[record.Update.Entity]
			if !proto.Equal(v.GetPose(), record.Update.Pose) || v.GetHolder() != record.Update.Holder || v.GetKind() != record.Update.Kind ||
				len(v.GetAttributes().GetValues()) != len(record.Update.Attributes.GetValues()) {
				m.fatal("watchers see %v, the world has %v", v, record.Update)
			}
		}
	}
}

// checkEvents holds the count of events that watchers have against the logs.
func (m *simulation) checkEvents() {
	for _, id := range m.order {
		logged := make(map[world.Cell]uint64)
		for _, entry := range m.logs[id] {
			b := new(clusterv1.Batch)
			_ = b.UnmarshalVT(entry.Data)
			for _, delta := range b.Cells {
				steps := new(starlingv1.Steps)
				_ = steps.UnmarshalVT(delta.Steps)
				for _, step := range steps.Steps {
					if step.GetEvent() != nil {
						logged[world.Cell(delta.Cell)]++
					}
				}
			}
		}
		for cell, v := range m.views[id] {
			if v.events != logged[cell] {
				m.fatal("watchers of %x know of %d events, there were %d", cell, v.events, logged[cell])
			}
		}
	}
}
