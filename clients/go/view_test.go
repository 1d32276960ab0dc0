package starling

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// truth is a world of a few cells and entities. Each commit changes one entity;
// its steps are told to each cell in order, and cells are late at will.
type truth struct {
	at       map[uint64]uint64 // entity: cell, 0 for gone for good
	version  map[uint64]*starlingv1.Version
	sequence uint64
	chains   map[uint64][]*starlingv1.CellFrame // not yet told
	told     map[uint64]uint64
}

func (w *truth) commit(entity, to uint64) {
	w.sequence++
	v := &starlingv1.Version{Epoch: 1, Sequence: w.sequence}
	from, exists := w.at[entity]
	if exists && from == 0 {
		return
	}
	say := func(cell uint64, change starlingv1.Change) {
		f := &starlingv1.CellFrame{Cell: cell, Epoch: 1, From: w.told[cell], Sequence: w.sequence, Commits: []*starlingv1.Steps{{
			Steps: []*starlingv1.Step{{Is: &starlingv1.Step_Update{Update: &starlingv1.Update{Entity: entity, Version: v, Change: change, To: to, Pose: pose(w.sequence)}}}},
		}}}
		w.chains[cell] = append(w.chains[cell], f)
		w.told[cell] = w.sequence
	}
	switch {
	case !exists && to == 0:
		return
	case !exists:
		say(to, starlingv1.Change_CREATED)
	case to == 0:
		say(from, starlingv1.Change_REMOVED)
	case from == to:
		say(to, starlingv1.Change_CHANGED)
	default:
		say(from, starlingv1.Change_LEFT)
		say(to, starlingv1.Change_ENTERED)
	}
	w.at[entity], w.version[entity] = to, v
}

func pose(n uint64) *starlingv1.Pose {
	return &starlingv1.Pose{Position: LocalPosition(float32(n), 0, 0)}
}

// baseline drops what is pending of a cell and tells the whole of it.
func (w *truth) baseline(cell uint64) *starlingv1.CellFrame {
	w.chains[cell] = nil
	w.told[cell] = w.sequence
	steps := new(starlingv1.Steps)
	for entity, at := range w.at {
		if at == cell {
			steps.Steps = append(steps.Steps, &starlingv1.Step{Is: &starlingv1.Step_Update{Update: &starlingv1.Update{
				Entity: entity, Version: w.version[entity], Change: starlingv1.Change_PRESENT, Pose: pose(w.version[entity].Sequence),
			}}})
		}
	}
	return &starlingv1.CellFrame{Cell: cell, Epoch: 1, Sequence: w.sequence, Baseline: true, Commits: []*starlingv1.Steps{steps}}
}

// TestViewFollowsOneHistory: whatever the order of cells, an entity's version in
// the view never falls, what was removed stays away, and after quiet the view
// is the world.
func TestViewFollowsOneHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const cells, entities = 3, 4
		w := &truth{at: make(map[uint64]uint64), version: make(map[uint64]*starlingv1.Version), chains: make(map[uint64][]*starlingv1.CellFrame), told: make(map[uint64]uint64)}
		v := newView()
		now := time.Unix(0, 0)
		shown := make(map[uint64]version)
		apply := func(f *starlingv1.CellFrame) {
			now = now.Add(10 * time.Millisecond)
			result, err := v.apply(f, now, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, change := range result.changes {
				if change.Kind == Vanished {
					continue
				}
				is := versionOf(change.Entity.Version)
				if is.less(shown[change.Entity.ID]) {
					t.Fatalf("entity %d went back from %v to %v", change.Entity.ID, shown[change.Entity.ID], is)
				}
				shown[change.Entity.ID] = is
			}
		}
		for c := uint64(1); c <= cells; c++ {
			apply(w.baseline(c))
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			cell := rapid.Uint64Range(1, cells).Draw(t, "cell")
			switch rapid.IntRange(0, 6).Draw(t, "") {
			case 0, 1, 2:
				to := cell
				if rapid.IntRange(0, 5).Draw(t, "remove") == 0 {
					to = 0
				}
				w.commit(rapid.Uint64Range(1, entities).Draw(t, "entity"), to)
			case 3, 4:
				if chain := w.chains[cell]; len(chain) > 0 {
					w.chains[cell] = chain[1:]
					apply(chain[0])
				}
			case 5:
				apply(w.baseline(cell))
			case 6:
				v.renew(now)
				for c := uint64(1); c <= cells; c++ {
					apply(w.baseline(c))
				}
				v.tidy(now.Add(2*graceTime), false)
			}
		}
		for c := uint64(1); c <= cells; c++ {
			for _, f := range w.chains[c] {
				apply(f)
			}
		}
		got := make(map[uint64]uint64)
		for id, e := range v.entities {
			if e.shown != nil {
				got[id] = e.shown.cell.id
			}
		}
		maps.DeleteFunc(w.at, func(_, cell uint64) bool { return cell == 0 })
		if !maps.Equal(got, w.at) {
			t.Fatalf("the view has %v, the world %v", got, w.at)
		}
	})
}

func TestTombstonesAreForgottenInTime(t *testing.T) {
	w := &truth{at: make(map[uint64]uint64), version: make(map[uint64]*starlingv1.Version), chains: make(map[uint64][]*starlingv1.CellFrame), told: make(map[uint64]uint64)}
	v := newView()
	now := time.Unix(0, 0)
	for _, step := range []func() *starlingv1.CellFrame{
		func() *starlingv1.CellFrame { return w.baseline(1) },
		func() *starlingv1.CellFrame { w.commit(7, 1); return w.chains[1][0] },
		func() *starlingv1.CellFrame { w.commit(7, 0); return w.chains[1][1] },
	} {
		if _, err := v.apply(step(), now, false); err != nil {
			t.Fatal(err)
		}
	}
	v.tidy(now.Add(tombstoneTime/2), false)
	if len(v.entities) != 1 {
		t.Error("the tombstone was forgotten too soon")
	}
	v.tidy(now.Add(2*tombstoneTime), false)
	if len(v.entities) != 0 {
		t.Error("the tombstone is kept for ever")
	}
}

// FuzzFrames: no frame that can be decoded makes the view fail.
func FuzzFrames(f *testing.F) {
	seed := func(m *starlingv1.CellFrame) {
		data, err := m.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	seed(&starlingv1.CellFrame{Cell: 1, Sequence: 1, Baseline: true, Commits: []*starlingv1.Steps{{Steps: []*starlingv1.Step{
		{Is: &starlingv1.Step_Update{Update: &starlingv1.Update{Entity: 1, Pose: pose(1)}}}, {Is: &starlingv1.Step_Event{Event: &starlingv1.Event{}}}, {},
	}}}})
	seed(&starlingv1.CellFrame{Cell: 1, From: 1, Sequence: 2, Unwatched: true})
	f.Fuzz(func(t *testing.T, data []byte) {
		v := newView()
		now := time.Unix(1000, 0)
		if _, err := v.apply(&starlingv1.CellFrame{Cell: 1, Sequence: 1, Baseline: true}, now, true); err != nil {
			t.Fatal(err)
		}
		var frame starlingv1.CellFrame
		if frame.UnmarshalVT(data) != nil {
			return
		}
		for range 2 {
			_, _ = v.apply(&frame, now, true) // a gap is an answer too
			now = now.Add(50 * time.Millisecond)
		}
		for _, e := range v.entities {
			e.track.at(now)
		}
		v.tidy(now.Add(time.Hour), true)
	})
}
