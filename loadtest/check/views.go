package check

import (
	"cmp"
	"slices"

	"github.com/starling-vr/starling/world"
)

// wantBaselines notes which cells are to be compared at which sequences.
func (c *checker) wantBaselines() {
	seen := make(map[*Frame]bool)
	for _, h := range c.Clients {
		for _, e := range h.Events {
			f := e.Frame
			if f == nil || !f.Baseline || seen[f] {
				continue
			}
			seen[f] = true
			id := c.shardOf(f.Place, f.Cell)
			if c.baseline[id] == nil {
				c.baseline[id] = make(map[uint64][]*Frame)
			}
			c.baseline[id][f.Sequence] = append(c.baseline[id][f.Sequence], f)
		}
	}
}

// compareBaselines holds the baselines of a shard's present sequence against
// its cells.
func (c *checker) compareBaselines(s *shard) {
	for _, f := range c.baseline[s.ID][s.sequence] {
		c.compareBaseline(s, f)
	}
}

func (c *checker) compareBaseline(s *shard, f *Frame) {
	at := Violation{Rule: BaselineStale, Shard: s.ID, Sequence: f.Sequence, Cell: f.Cell}
	image := s.images[f.Cell]
	named := make(map[world.EntityID]bool, len(f.Steps))
	for _, step := range f.Steps {
		if step.Event || step.Frozen {
			continue
		}
		at.Entity = step.Entity
		named[step.Entity] = true
		r := image[step.Entity]
		switch {
		case r == nil:
			c.report(at, "it shows an entity that is not there")
		case r.Version != step.Version:
			c.report(at, "it shows version %v, the log has %v", step.Version, r.Version)
		case r.Pose != step.Pose || r.Holder != step.Holder || r.Attributes != orNone(step.Attributes):
			c.report(at, "it shows version %v with other content", step.Version)
		}
	}
	for id := range image {
		if !named[id] {
			at.Entity = id
			c.report(at, "it lacks an entity that is there")
		}
	}
}

func orNone(attributes uint64) uint64 {
	if attributes == 0 {
		return noAttributes
	}
	return attributes
}

// expected gives the steps that the log has for a cell between two sequences.
func (c *checker) expected(key placeCell, from, to uint64) []Step {
	entries := c.cells[key]
	first, _ := slices.BinarySearchFunc(entries, from+1, func(e cellEntry, want uint64) int { return cmp.Compare(e.sequence, want) })
	var steps []Step
	for _, e := range entries[first:] {
		if e.sequence > to {
			break
		}
		steps = append(steps, e.steps...)
	}
	return steps
}

// compareFrame holds a frame against the log. Frames that many clients saw are
// compared once.
func (c *checker) compareFrame(client string, f *Frame, done map[*Frame]bool) {
	if done[f] || f.Unwatched {
		return
	}
	done[f] = true
	at := Violation{Client: client, Shard: c.shardOf(f.Place, f.Cell), Sequence: f.Sequence, Cell: f.Cell}
	for _, step := range f.Steps {
		c.compareSeen(at, f, step)
	}
	s := c.shards[at.Shard]
	if s == nil && len(f.Steps) > 0 {
		at.Rule = SeenNotInLog
		c.report(at, "there is no log of the shard")
	}
	if s == nil || f.Baseline || f.Conflated || f.Partial || f.From < s.At {
		return
	}
	want := c.expected(placeCell{f.Place, f.Cell}, f.From, f.Sequence)
	if !slices.Equal(want, f.Steps) {
		at.Rule = FrameDiffers
		c.report(at, "from %d: %d steps, the log has %d%s", f.From, len(f.Steps), len(want), firstDifference(f.Steps, want))
	}
}

func firstDifference(got, want []Step) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return stepsText(i, got[i], want[i])
		}
	}
	return ""
}

// compareSeen looks whether what a client was told of was ever committed.
func (c *checker) compareSeen(at Violation, f *Frame, step Step) {
	at.Rule, at.Entity = SeenNotInLog, step.Entity
	if s := c.shards[at.Shard]; c.cut && (s == nil || step.Version.Sequence <= s.At || step.Version.Handovers > 0) {
		return // it may be from before the log that is left
	}
	if step.Event {
		if c.events[eventKey{step.Entity, step.Number, step.Version, step.Content}] == 0 {
			c.report(at, "an event of version %v, number %d", step.Version, step.Number)
		}
		return
	}
	states := c.versions[entityVersion{step.Entity, step.Version}]
	if len(states) == 0 {
		c.report(at, "%v of version %v", step.Change, step.Version)
		return
	}
	if f.Baseline && !slices.ContainsFunc(states, func(s loggedState) bool {
		return s.pose == step.Pose && s.holder == step.Holder && s.attributes == orNone(step.Attributes)
	}) {
		c.report(at, "version %v with other content", step.Version)
	}
}
