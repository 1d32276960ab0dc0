package check

import (
	"github.com/starling-vr/starling/world"
)

// checkFinal holds what a client shows after quiet against the world.
func (c *checker) checkFinal(client string, v *View) {
	avatar := c.residentOf(v.Avatar)
	if avatar == nil {
		return // its session has ended
	}
	at := Violation{Client: client, Session: v.Session}
	want := make(map[world.EntityID]*resident)
	for _, cell := range c.Disk(avatar.Cell, v.Ring) {
		if s := c.shards[c.shardOf(v.Place, cell)]; s != nil {
			for id, r := range s.images[cell] {
				want[id] = r
			}
		}
	}
	for _, shown := range v.Shown {
		r := want[shown.Entity]
		at.Entity, at.Cell = shown.Entity, shown.Cell
		delete(want, shown.Entity)
		c.compareShown(at, shown, r)
	}
	for id, r := range want {
		at.Rule, at.Entity, at.Cell, at.Shard, at.Sequence = FinalMissing, id, r.Cell, r.stay.shard, r.Version.Sequence
		c.report(at, "version %v is there", r.Version)
	}
}

func (c *checker) compareShown(at Violation, shown Shown, r *resident) {
	switch {
	case r == nil:
		at.Rule = FinalGhost
		c.report(at, "version %v is shown, and not there", shown.Version)
	case r.Version != shown.Version || r.Cell != shown.Cell:
		at.Rule, at.Shard, at.Sequence = FinalStale, r.stay.shard, r.Version.Sequence
		c.report(at, "version %v in cell %x is shown, %v in cell %x is there", shown.Version, uint64(shown.Cell), r.Version, uint64(r.Cell))
	case r.Pose != shown.Pose || r.Holder != shown.Holder || r.Attributes != orNone(shown.Attributes):
		at.Rule, at.Shard, at.Sequence = FinalStale, r.stay.shard, r.Version.Sequence
		c.report(at, "version %v is shown with other content", shown.Version)
	}
}

// residentOf finds where an entity is at the end.
func (c *checker) residentOf(id world.EntityID) *resident {
	stays := c.stays[id]
	if len(stays) == 0 {
		return nil
	}
	if s := c.shards[stays[len(stays)-1].shard]; s != nil {
		return s.home[id]
	}
	return nil
}

// viewer is the rule of views written down once more, in the plainest way: for
// clients that keep none of their own.
type viewer struct {
	images  map[placeCell]map[world.EntityID]Shown
	highest map[world.EntityID]world.Version
}

func newViewer() *viewer {
	return &viewer{images: make(map[placeCell]map[world.EntityID]Shown), highest: make(map[world.EntityID]world.Version)}
}

// reset begins a new connection.
func (v *viewer) reset() { clear(v.images) }

func (v *viewer) apply(f *Frame) {
	key := placeCell{f.Place, f.Cell}
	if f.Unwatched {
		delete(v.images, key)
		return
	}
	if f.Partial && v.images[key] == nil {
		return
	}
	if f.Baseline || v.images[key] == nil {
		v.images[key] = make(map[world.EntityID]Shown)
	}
	image := v.images[key]
	for _, step := range f.Steps {
		if step.Event {
			continue
		}
		if v.highest[step.Entity].Less(step.Version) {
			v.highest[step.Entity] = step.Version
		}
		if was, there := image[step.Entity]; there && step.Version.Less(was.Version) {
			continue // a partial frame was ahead of the cell's chain
		}
		if gone(step.Change) {
			delete(image, step.Entity)
			continue
		}
		attributes := image[step.Entity].Attributes
		if whole(step.Change) || step.Attributes != 0 {
			attributes = orNone(step.Attributes)
		}
		image[step.Entity] = Shown{step.Entity, f.Cell, step.Version, step.Holder, step.Pose, attributes}
	}
}

// final gives what is shown: of each entity the highest version, if no image
// told of a higher one.
func (v *viewer) final(f *follower) *View {
	view := &View{Session: f.session, Avatar: f.avatar, Place: f.place, Ring: f.ring}
	best := make(map[world.EntityID]Shown)
	for _, image := range v.images {
		for id, shown := range image {
			if was, ok := best[id]; (!ok || was.Version.Less(shown.Version)) && !shown.Version.Less(v.highest[id]) {
				best[id] = shown
			}
		}
	}
	for _, shown := range best {
		view.Shown = append(view.Shown, shown)
	}
	return view
}
