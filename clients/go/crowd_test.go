package starling

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// crowd is one cell as a gateway tells it to a participant over its budget:
// partial frames ahead, and a chain of thinned frames.
type crowd struct {
	sequence, told uint64
	at             map[uint64]uint64 // entity: sequence of its last change
	dirty          map[uint64]bool
	removed        []*starlingv1.Step
	events         []*starlingv1.Step
}

func crowdVersion(sequence uint64) *starlingv1.Version {
	return &starlingv1.Version{Epoch: 1, Sequence: sequence}
}

func crowdUpdate(entity, sequence uint64, change starlingv1.Change) *starlingv1.Step {
	return &starlingv1.Step{Is: &starlingv1.Step_Update{Update: &starlingv1.Update{
		Entity: entity, Version: crowdVersion(sequence), Change: change, Pose: pose(sequence),
	}}}
}

// act commits one change and gives its step.
func (w *crowd) act(t *rapid.T) *starlingv1.Step {
	w.sequence++
	entity := rapid.Uint64Range(1, 6).Draw(t, "entity")
	_, there := w.at[entity]
	switch kind := rapid.IntRange(0, 9).Draw(t, "act"); {
	case kind == 0 && there:
		step := crowdUpdate(entity, w.sequence, starlingv1.Change_REMOVED)
		delete(w.at, entity)
		delete(w.dirty, entity)
		w.removed = append(w.removed, step)
		return step
	case kind <= 3:
		step := &starlingv1.Step{Is: &starlingv1.Step_Event{Event: &starlingv1.Event{
			Actor: entity, Number: w.sequence / 2, Version: crowdVersion(w.sequence),
			What: &starlingv1.Event_Text{Text: fmt.Sprint(w.sequence)},
		}}}
		w.events = append(w.events, step)
		return step
	default:
		change := starlingv1.Change_CHANGED
		if !there {
			change = starlingv1.Change_CREATED
		}
		w.at[entity] = w.sequence
		w.dirty[entity] = true
		return crowdUpdate(entity, w.sequence, change)
	}
}

// thin is the chain's next frame: all that left, some states, events.
func (w *crowd) thin(keep func(entity uint64) bool) *starlingv1.CellFrame {
	steps := slices.Concat(w.removed, w.events)
	w.removed, w.events = nil, nil
	for _, entity := range slices.Sorted(maps.Keys(w.dirty)) {
		if !keep(entity) {
			delete(w.dirty, entity)
			steps = append(steps, crowdUpdate(entity, w.at[entity], starlingv1.Change_PRESENT))
		}
	}
	f := &starlingv1.CellFrame{Cell: 1, Epoch: 1, From: w.told, Sequence: w.sequence, Conflated: true, Thinned: len(w.dirty) > 0,
		Commits: []*starlingv1.Steps{{Steps: steps}}}
	w.told = w.sequence
	return f
}

// TestCrowd: with steps told ahead by partial frames and a chain that lags, no
// entity goes back, each event is told once, and after quiet the view is the
// world.
func TestCrowd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &crowd{at: map[uint64]uint64{}, dirty: map[uint64]bool{}}
		v := newView()
		shown := map[uint64]uint64{}
		told := map[string]int{}
		apply := func(f *starlingv1.CellFrame) {
			result, err := v.apply(f, time.Unix(int64(w.sequence), 0), true)
			if err != nil {
				t.Fatal(err)
			}
			for _, event := range result.events {
				told[event.GetText()]++
			}
			for _, change := range result.changes {
				if change.Kind == Vanished {
					continue
				}
				at := change.Entity.Version.Sequence
				if at < shown[change.Entity.ID] {
					t.Fatalf("entity %d went back from %d to %d", change.Entity.ID, shown[change.Entity.ID], at)
				}
				shown[change.Entity.ID] = at
			}
		}
		partial := func(steps ...*starlingv1.Step) *starlingv1.CellFrame {
			return &starlingv1.CellFrame{Cell: 1, Epoch: 1, Sequence: w.sequence, Partial: true, Commits: []*starlingv1.Steps{{Steps: steps}}}
		}
		apply(partial(crowdUpdate(3, 1, starlingv1.Change_CHANGED))) // nothing to build on: skipped
		apply(&starlingv1.CellFrame{Cell: 1, Epoch: 1, Baseline: true})
		var events []string
		var near []*starlingv1.Step
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "") {
			case 0, 1, 2:
				step := w.act(t)
				if e := step.GetEvent(); e != nil {
					events = append(events, e.GetText())
				}
				if rapid.Bool().Draw(t, "near") {
					near = append(near, step)
				}
			case 3:
				apply(partial(near...))
				near = nil
			case 4: // near frames go first
				apply(partial(near...))
				near = nil
				apply(w.thin(func(uint64) bool { return rapid.Bool().Draw(t, "later") }))
				if got := v.cells[1]; got.sequence != w.sequence || got.thinned != (len(w.dirty) > 0) {
					t.Fatalf("cell at %d, thinned %v", got.sequence, got.thinned)
				}
			}
		}
		apply(partial(near...))
		f := w.thin(func(uint64) bool { return false })
		apply(f)
		got := map[uint64]uint64{}
		for id, p := range v.cells[1].present {
			if e := v.entities[id]; e.shown != p {
				t.Fatalf("entity %d is in the cell and not shown", id)
			}
			got[id] = p.version.sequence
		}
		if !maps.Equal(got, w.at) {
			t.Fatalf("the view has %v, the world %v", got, w.at)
		}
		for _, text := range events {
			if told[text] != 1 {
				t.Fatalf("event %s told %d times", text, told[text])
			}
		}
	})
}

func TestPartialFramesOfAnotherEpochAreSkipped(t *testing.T) {
	v := newView()
	for _, f := range []*starlingv1.CellFrame{
		{Cell: 1, Epoch: 2, Sequence: 5, Baseline: true},
		{Cell: 1, Epoch: 3, Sequence: 9, Partial: true, Commits: []*starlingv1.Steps{{Steps: []*starlingv1.Step{crowdUpdate(1, 9, starlingv1.Change_CREATED)}}}},
		{Cell: 1, Epoch: 1, Sequence: 9, Partial: true, Commits: []*starlingv1.Steps{{Steps: []*starlingv1.Step{crowdUpdate(2, 9, starlingv1.Change_CREATED)}}}},
	} {
		if _, err := v.apply(f, time.Unix(1, 0), false); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.entities) != 0 || v.cells[1].sequence != 5 || v.cells[1].epoch != 2 {
		t.Errorf("taken: %v", v.entities)
	}
}

// What the chain never tells again is forgotten in time, and nothing else.
func TestEventsAheadAreBounded(t *testing.T) {
	var a aheadEvents
	for n := range uint64(5 * maxAhead) {
		a.take(&starlingv1.Event{Actor: 1, Number: n}, true)
	}
	if len(a.told) != maxAhead || len(a.order) > 2*maxAhead {
		t.Errorf("%d remembered, %d in order", len(a.told), len(a.order))
	}
	if a.take(&starlingv1.Event{Actor: 1, Number: 5*maxAhead - 1}, false) {
		t.Error("the last is told again")
	}
	if !a.take(&starlingv1.Event{Actor: 1, Number: 5*maxAhead - 1}, false) {
		t.Error("a second event of that action is swallowed")
	}
}
