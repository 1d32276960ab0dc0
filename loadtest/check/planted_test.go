package check_test

import (
	"math/rand"
	"slices"
	"testing"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
)

// plants are faults put into valid histories, each with what must be found.
// plant says whether the history had a place for it.
var plants = []struct {
	name  string
	rule  check.Rule
	plant func(in *check.Input) bool
}{
	{"an entry is lost", check.LogBroken, func(in *check.Input) bool {
		s := &in.Shards[0]
		s.Entries = slices.Delete(s.Entries, len(s.Entries)/2, len(s.Entries)/2+1)
		return true
	}},
	{"an acknowledged outcome is lost", check.OutcomeNotInLog, eachBatch(func(b *clusterv1.Batch) bool {
		return drop(&b.Outcomes)
	})},
	{"a number is left out", check.SessionNumbers, eachBatch(func(b *clusterv1.Batch) bool { return drop(&b.Outcomes) })},
	{"an outcome is committed twice", check.SessionNumbers, eachBatch(func(b *clusterv1.Batch) bool {
		if len(b.Outcomes) == 0 {
			return false
		}
		b.Outcomes = append(b.Outcomes, b.Outcomes[0])
		return true
	})},
	{"outcomes change places", check.SessionNumbers, eachBatch(func(b *clusterv1.Batch) bool {
		if len(b.Outcomes) < 2 || b.Outcomes[0].Session != b.Outcomes[1].Session {
			return false
		}
		b.Outcomes[0], b.Outcomes[1] = b.Outcomes[1], b.Outcomes[0]
		return true
	})},
	{"an outcome is told otherwise", check.OutcomeDiffers, eachEvent(check.Told, func(e *check.Event) bool {
		out := *e.Outcome
		out.Code = starlingv1.Code_HELD
		e.Outcome = &out
		return true
	})},
	{"an outcome comes for what was never sent", check.OutcomeForged, func(in *check.Input) bool {
		h := &in.Clients[0]
		i := slices.IndexFunc(h.Events, func(e check.Event) bool { return e.Kind == check.Sent })
		if i < 0 {
			return false
		}
		h.Events = slices.Delete(h.Events, i, i+1)
		return true
	}},
	{"a client sends other content under a number", check.ActionDiffers, func(in *check.Input) bool {
		h := &in.Clients[0]
		i := slices.IndexFunc(h.Events, func(e check.Event) bool { return e.Kind == check.Sent })
		if i < 0 {
			return false
		}
		other := h.Events[i]
		action := *other.Action
		action.Content++
		other.Action = &action
		h.Events = append(h.Events, other)
		return true
	}},
	{"an applied action has no effect", check.EffectMissing, eachStepBatch(func(b *clusterv1.Batch, steps *starlingv1.Steps) bool {
		u := steps.Steps[0].GetUpdate()
		if len(b.Cells) > 1 || len(b.Outcomes) != 1 || u.GetEntity() != u.GetBy() || u.GetBy() == 0 || len(steps.Steps) > 1 {
			return false
		}
		steps.Steps = nil
		return true
	})},
	{"an action takes effect twice", check.EffectTwice, func(in *check.Input) bool {
		for i := range in.Shards {
			entries := in.Shards[i].Entries
			for k := range len(entries) - 1 {
				if b := entries[k].Batch; len(b.Outcomes) > 0 && len(b.Cells) > 0 {
					entries[k+1].Batch.Cells = append(entries[k+1].Batch.Cells, b.Cells[0])
					return true
				}
			}
		}
		return false
	}},
	{"a refused action takes effect", check.EffectRefused, eachStepBatch(func(b *clusterv1.Batch, steps *starlingv1.Steps) bool {
		for _, out := range b.Outcomes {
			if out.Outcome.Code == starlingv1.Code_APPLIED && steps.Steps[0].GetUpdate().GetNumber() == out.Outcome.Number && len(b.Outcomes) == 1 {
				out.Outcome.Code = starlingv1.Code_HELD
				return true
			}
		}
		return false
	})},
	{"a parcel is never accepted", check.ParcelLost, cutAcceptance},
	{"an entity never arrives", check.EntityLost, cutAcceptance},
	{"a session never arrives", check.SessionLost, cutAcceptance},
	{"a hand-over is accepted twice", check.ParcelOrder, func(in *check.Input) bool {
		for i := range in.Shards {
			entries := in.Shards[i].Entries
			for k := range len(entries) - 1 {
				if len(entries[k].Batch.Watermarks) > 0 {
					entries[k+1].Batch.Cells = append(entries[k+1].Batch.Cells, entries[k].Batch.Cells...)
					entries[k+1].Batch.Watermarks = append(entries[k+1].Batch.Watermarks, entries[k].Batch.Watermarks...)
					return true
				}
			}
		}
		return false
	}},
	{"a parcel comes from nowhere", check.ParcelForged, eachBatch(func(b *clusterv1.Batch) bool { return drop(&b.Outgoing) })},
	{"an outbox has a gap", check.ParcelNumbers, eachBatch(func(b *clusterv1.Batch) bool {
		if len(b.Outgoing) == 0 {
			return false
		}
		b.Outgoing[0].Number++
		return true
	})},
	{"a watermark falls", check.ParcelOrder, eachBatch(func(b *clusterv1.Batch) bool {
		if len(b.Watermarks) == 0 {
			return false
		}
		b.Watermarks = append(b.Watermarks, b.Watermarks[0])
		return true
	})},
	{"an outbox forgets before the acceptance", check.DeliveredEarly, lastBatch(func(b *clusterv1.Batch) bool {
		if len(b.Delivered) == 0 {
			return false
		}
		b.Delivered[0].Number++
		return true
	})},
	{"a hand-over does not count", check.HandoverCount, eachBatch(func(b *clusterv1.Batch) bool {
		if len(b.Outgoing) == 0 {
			return false
		}
		b.Outgoing[0].Parcel.GetHandOver().Entities[0].Update.Version.Handovers++
		return true
	})},
	{"an accepted entity is nowhere", check.EntityLost, eachBatch(func(b *clusterv1.Batch) bool {
		return len(b.Watermarks) > 0 && drop(&b.Cells)
	})},
	{"a departed entity stays", check.EntityTwoHomes, eachStepBatch(func(b *clusterv1.Batch, steps *starlingv1.Steps) bool {
		return len(b.Outgoing) > 0 && replace(steps, starlingv1.Change_LEFT, starlingv1.Change_CHANGED)
	})},
	{"an entity is created twice", check.EntityTwoHomes, func(in *check.Input) bool {
		if len(in.Shards) < 2 || len(in.Shards[1].Entries) == 0 {
			return false
		}
		last := in.Shards[1].Entries[len(in.Shards[1].Entries)-1].Batch
		for _, e := range in.Shards[0].Entries {
			if len(e.Batch.SessionsOpened) == 1 && !e.Batch.SessionsOpened[0].Arrived {
				last.Cells = append(last.Cells, e.Batch.Cells...)
				return true
			}
		}
		return false
	}},
	{"a created entity is created again", check.StepOrder, eachStepBatch(func(_ *clusterv1.Batch, steps *starlingv1.Steps) bool {
		return replace(steps, starlingv1.Change_CHANGED, starlingv1.Change_CREATED)
	})},
	{"a shard changes what is not its", check.EntityAway, eachStepBatch(func(_ *clusterv1.Batch, steps *starlingv1.Steps) bool {
		for _, s := range steps.Steps {
			if u := s.GetUpdate(); u.GetChange() == starlingv1.Change_CHANGED && u != nil {
				u.Entity = 99_999
				return true
			}
		}
		return false
	})},
	{"what is held is left behind", check.HolderMissing, eachBatch(func(b *clusterv1.Batch) bool {
		for _, out := range b.Outgoing {
			h := out.Parcel.GetHandOver()
			if len(h.Entities) > 1 {
				lost := h.Entities[1].Update.Entity
				h.Entities = h.Entities[:1]
				return keepHere(b, lost)
			}
		}
		return false
	})},
	{"a step bears another version", check.VersionWrong, eachStepBatch(func(_ *clusterv1.Batch, steps *starlingv1.Steps) bool {
		if u := steps.Steps[0].GetUpdate(); u != nil {
			u.Version.Sequence++
			return true
		}
		return false
	})},
	{"a session is opened twice", check.SessionTwoHomes, func(in *check.Input) bool {
		if len(in.Shards) < 2 {
			return false
		}
		opened := in.Shards[0].Entries[0].Batch.SessionsOpened
		last := in.Shards[1].Entries[len(in.Shards[1].Entries)-1].Batch
		last.SessionsOpened = append(last.SessionsOpened, opened...)
		return len(opened) > 0
	}},
	{"a session travels with a wrong number", check.SessionNumbers, eachBatch(func(b *clusterv1.Batch) bool {
		for _, opened := range b.SessionsOpened {
			if opened.Arrived {
				opened.Last++
				return true
			}
		}
		return false
	})},
	{"what travelled is not what was committed", check.OutcomeDiffers, eachBatch(func(b *clusterv1.Batch) bool {
		for _, opened := range b.SessionsOpened {
			if len(opened.Remembered) > 0 {
				out := opened.Remembered[0].Outcome
				opened.Remembered[0] = &clusterv1.SessionOutcome{Session: opened.Session, Outcome: &starlingv1.Outcome{Number: out.Number, Code: starlingv1.Code_FAILED}}
				return true
			}
		}
		return false
	})},
	{"a frame is lost on the way", check.FrameChain, eachHistory(func(h *check.History) bool {
		for i, e := range h.Events {
			if e.Kind == check.Saw && !e.Frame.Baseline && follows(h.Events[i+1:], e.Frame.Cell) {
				h.Events = slices.Delete(h.Events, i, i+1)
				return true
			}
		}
		return false
	})},
	{"the last message is lost", check.FinalStale, eachHistory(func(h *check.History) bool {
		for i, e := range slices.Backward(h.Events) {
			if e.Kind == check.Saw && !e.Frame.Baseline && !seen(h.Events[i+1:], e.Frame.Cell) && !ends(h) && changes(e.Frame) {
				h.Events = slices.Delete(h.Events, i, i+1)
				return true
			}
		}
		return false
	})},
	{"a frame comes twice", check.FrameChain, eachHistory(func(h *check.History) bool {
		for i, e := range h.Events {
			if e.Kind == check.Saw && !e.Frame.Baseline {
				h.Events = slices.Insert(h.Events, i, e)
				return true
			}
		}
		return false
	})},
	{"an event is told twice", check.EventTwice, eachHistory(func(h *check.History) bool {
		for i, e := range h.Events {
			if e.Kind == check.Saw && slices.ContainsFunc(e.Frame.Steps, func(s check.Step) bool { return s.Event }) {
				h.Events = slices.Insert(h.Events, i, e)
				return true
			}
		}
		return false
	})},
	{"a frame leaves a step out", check.FrameDiffers, eachFrame(func(f *check.Frame) bool { return !f.Baseline && drop(&f.Steps) })},
	{"a frame turns steps round", check.FrameDiffers, eachFrame(func(f *check.Frame) bool {
		if f.Baseline || len(f.Steps) < 2 || f.Steps[0] == f.Steps[1] {
			return false
		}
		f.Steps[0], f.Steps[1] = f.Steps[1], f.Steps[0]
		return true
	})},
	{"a frame tells what was never committed", check.SeenNotInLog, eachFrame(func(f *check.Frame) bool {
		if f.Baseline || len(f.Steps) == 0 {
			return false
		}
		f.Steps[0].Version.Sequence += 1000
		return true
	})},
	{"a baseline lacks an entity", check.BaselineStale, eachFrame(func(f *check.Frame) bool { return f.Baseline && drop(&f.Steps) })},
	{"a baseline is older than its sequence", check.BaselineStale, eachFrame(func(f *check.Frame) bool {
		if !f.Baseline || len(f.Steps) == 0 || f.Steps[0].Version.Sequence == f.Sequence {
			return false
		}
		f.Steps[0].Pose++
		return true
	})},
	{"a baseline shows a ghost", check.BaselineStale, eachFrame(func(f *check.Frame) bool {
		if !f.Baseline || len(f.Steps) == 0 {
			return false
		}
		ghost := f.Steps[0]
		ghost.Entity += 100_000
		f.Steps = append(f.Steps, ghost)
		return true
	})},
	{"a view shows a ghost", check.FinalGhost, eachFinal(func(v *check.View) bool {
		v.Shown = append(v.Shown, check.Shown{Entity: 424242, Cell: v.Shown[0].Cell})
		return true
	})},
	{"a view misses an entity", check.FinalMissing, eachFinal(func(v *check.View) bool { return drop(&v.Shown) })},
	{"a view is stale", check.FinalStale, eachFinal(func(v *check.View) bool {
		v.Shown[0].Version.Sequence--
		return true
	})},
	{"a view shows an entity where it was", check.FinalStale, eachFinal(func(v *check.View) bool {
		v.Shown[0].Cell++
		return true
	})},
	{"a view goes back", check.ViewWentBack, eachHistory(func(h *check.History) bool {
		h.Events = append(h.Events, check.Event{Kind: check.Showed, Entity: 1, From: world.Version{Sequence: 2}, To: world.Version{Sequence: 1}})
		return true
	})},
}

func TestPlantedFaults(t *testing.T) {
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			planted := 0
			for seed := int64(1); seed <= 40 && planted < 5; seed++ {
				in := history(seed)
				if !p.plant(&in) {
					continue
				}
				planted++
				found := check.Run(in)
				if !slices.ContainsFunc(found, func(v check.Violation) bool { return v.Rule == p.rule }) {
					t.Errorf("seed %d: %q was not found; found %d others: %v", seed, p.rule, len(found), firstOf(found))
				}
			}
			if planted == 0 {
				t.Fatal("no history had a place for it")
			}
		})
	}
}

// TestEachRuleIsPlanted: a rule without a planted fault may as well not be there.
func TestEachRuleIsPlanted(t *testing.T) {
	for _, rule := range check.Rules {
		if !slices.ContainsFunc(plants[:], func(p struct {
			name  string
			rule  check.Rule
			plant func(in *check.Input) bool
		}) bool {
			return p.rule == rule
		}) {
			t.Errorf("nothing is planted for %q", rule)
		}
	}
}

func firstOf(found []check.Violation) any {
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// history is a valid one, the same for the same seed.
func history(seed int64) check.Input {
	random := rand.New(rand.NewSource(seed))
	m := newModel(random.Intn, 3, 3)
	for range 150 {
		m.step()
	}
	m.rest()
	return m.input(true)
}

func drop[T any](list *[]T) bool {
	if len(*list) == 0 {
		return false
	}
	*list = (*list)[1:]
	return true
}

// eachBatch plants in the first batch with a place for it.
func eachBatch(plant func(*clusterv1.Batch) bool) func(*check.Input) bool {
	return func(in *check.Input) bool {
		for i := range in.Shards {
			for _, e := range in.Shards[i].Entries {
				if plant(e.Batch) {
					return true
				}
			}
		}
		return false
	}
}

// lastBatch plants in the last one.
func lastBatch(plant func(*clusterv1.Batch) bool) func(*check.Input) bool {
	return func(in *check.Input) bool {
		for i := range in.Shards {
			for _, e := range slices.Backward(in.Shards[i].Entries) {
				if plant(e.Batch) {
					return true
				}
			}
		}
		return false
	}
}

// eachStepBatch plants in the steps of a cell.
func eachStepBatch(plant func(*clusterv1.Batch, *starlingv1.Steps) bool) func(*check.Input) bool {
	return eachBatch(func(b *clusterv1.Batch) bool {
		for _, delta := range b.Cells {
			steps := new(starlingv1.Steps)
			if err := steps.UnmarshalVT(delta.Steps); err != nil {
				panic(err)
			}
			if len(steps.Steps) > 0 && plant(b, steps) {
				delta.Steps, _ = steps.MarshalVT()
				return true
			}
		}
		return false
	})
}

func replace(steps *starlingv1.Steps, old, by starlingv1.Change) bool {
	for _, s := range steps.Steps {
		if u := s.GetUpdate(); u != nil && u.Change == old {
			u.Change = by
			return true
		}
	}
	return false
}

// keepHere turns an entity's last LEFT of a batch into a change.
func keepHere(b *clusterv1.Batch, entity uint64) bool {
	for _, delta := range b.Cells {
		steps := new(starlingv1.Steps)
		if err := steps.UnmarshalVT(delta.Steps); err != nil {
			panic(err)
		}
		for _, s := range slices.Backward(steps.Steps) {
			if u := s.GetUpdate(); u.GetEntity() == entity && u.Change == starlingv1.Change_LEFT {
				u.Change = starlingv1.Change_CHANGED
				delta.Steps, _ = steps.MarshalVT()
				return true
			}
		}
	}
	return false
}

// cutAcceptance ends a log before an acceptance that is its last entry.
func cutAcceptance(in *check.Input) bool {
	for i := range in.Shards {
		s := &in.Shards[i]
		last := len(s.Entries) - 1
		if last >= 0 && len(s.Entries[last].Batch.Watermarks) > 0 {
			s.Entries = s.Entries[:last]
			return true
		}
	}
	return false
}

func eachHistory(plant func(*check.History) bool) func(*check.Input) bool {
	return func(in *check.Input) bool {
		for i := range in.Clients {
			if plant(&in.Clients[i]) {
				return true
			}
		}
		return false
	}
}

func eachEvent(kind check.EventKind, plant func(*check.Event) bool) func(*check.Input) bool {
	return eachHistory(func(h *check.History) bool {
		for i := range h.Events {
			if h.Events[i].Kind == kind && plant(&h.Events[i]) {
				return true
			}
		}
		return false
	})
}

// eachFrame plants in a copy of a frame that one client saw.
func eachFrame(plant func(*check.Frame) bool) func(*check.Input) bool {
	return eachEvent(check.Saw, func(e *check.Event) bool {
		f := *e.Frame
		f.Steps = slices.Clone(f.Steps)
		if !plant(&f) {
			return false
		}
		e.Frame = &f
		return true
	})
}

// eachFinal plants in the final view of a client: the true one is that of the
// checker's own rule, made by another client that shows nothing but the world.
func eachFinal(plant func(*check.View) bool) func(*check.Input) bool {
	return func(in *check.Input) bool {
		for i := range in.Clients {
			h := &in.Clients[i]
			if ends(h) {
				continue
			}
			h.Final = check.FinalOf(h)
			if len(h.Final.Shown) > 0 && plant(h.Final) {
				return true
			}
		}
		return false
	}
}

func ends(h *check.History) bool {
	return slices.ContainsFunc(h.Events, func(e check.Event) bool { return e.Kind == check.Ended })
}

// follows says whether more of a cell comes on the same connection.
func follows(events []check.Event, cell world.Cell) bool {
	for _, e := range events {
		switch {
		case e.Kind == check.Welcomed:
			return false
		case e.Kind == check.Saw && e.Frame.Cell == cell:
			return !e.Frame.Baseline
		}
	}
	return false
}

// seen says whether more of a cell comes at all.
func seen(events []check.Event, cell world.Cell) bool {
	return slices.ContainsFunc(events, func(e check.Event) bool { return e.Kind == check.Saw && e.Frame.Cell == cell })
}

// changes says whether a frame does nothing but change an entity.
func changes(f *check.Frame) bool {
	return len(f.Steps) == 1 && !f.Steps[0].Event && f.Steps[0].Change == starlingv1.Change_CHANGED
}
