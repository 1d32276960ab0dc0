package starling

import (
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// updating is one frame being taken into the view.
type updating struct {
	view     *view
	received time.Time
	want     bool // changes are asked for
	events   []*starlingv1.Event
	touched  map[*entity]bool // shown before
}

// commits takes the steps of a frame in their order.
func (u *updating) commits(c *cell, f *starlingv1.CellFrame) {
	for _, commit := range f.Commits {
		at := u.received.Add(-time.Duration(commit.AgeUs) * time.Microsecond)
		for _, step := range commit.Steps {
			if event := step.GetEvent(); event != nil {
				if c.ahead.take(event, f.Partial) {
					u.events = append(u.events, event)
				}
			} else if update := step.GetUpdate(); update != nil {
				u.step(c, update, at)
			}
		}
	}
}

// replace makes a baseline the whole image of the cell.
func (u *updating) replace(c *cell, f *starlingv1.CellFrame) {
	before := c.present
	c.present = make(map[uint64]*presence, len(before))
	named := make(map[uint64]bool, len(before))
	for _, commit := range f.Commits {
		for _, step := range commit.Steps {
			if update := step.GetUpdate(); update != nil {
				named[update.Entity] = true
			}
		}
	}
	for id, p := range before {
		if named[id] {
			c.present[id] = p // so that its attributes and its track go on
			continue
		}
		u.absent(u.view.entities[id], p)
	}
	u.commits(c, f)
}

func (u *updating) forget(c *cell) {
	for id, p := range c.present {
		u.absent(u.view.entities[id], p)
	}
	delete(u.view.cells, c.id)
}

// step takes one update of an entity into the image of a cell.
func (u *updating) step(c *cell, update *starlingv1.Update, at time.Time) {
	e := u.view.entities[update.Entity]
	if e == nil {
		e = &entity{id: update.Entity, gone: u.received}
		u.view.entities[update.Entity] = e
	}
	v := versionOf(update.Version)
	p := c.present[update.Entity]
	if p != nil && v.less(p.version) {
		return
	}
	u.note(e)
	if e.highest.less(v) {
		e.highest = v
	}
	if update.Change == starlingv1.Change_LEFT || update.Change == starlingv1.Change_REMOVED {
		if p != nil {
			delete(c.present, e.id)
			e.remove(p)
		}
		e.choose(u.received)
		return
	}
	if p == nil {
		p = &presence{cell: c}
		e.inherit(p)
		c.present[e.id] = p
		e.in = append(e.in, p)
	}
	p.take(update, v)
	e.choose(u.received)
	if e.shown == p {
		e.track.add(trackSample{at, update.Pose})
	}
}

// take brings a presence up to date. What creates or baselines an entity is
// whole; what changes it leaves kind and absent attributes as they were.
func (p *presence) take(update *starlingv1.Update, v version) {
	p.version, p.pose, p.holder, p.frozen = v, update.Pose, update.Holder, update.Frozen
	whole := update.Change == starlingv1.Change_CREATED || update.Change == starlingv1.Change_ENTERED || update.Change == starlingv1.Change_PRESENT
	if whole || update.Attributes != nil {
		p.attributes = update.Attributes
	}
	if update.Kind != "" {
		p.kind = update.Kind
	}
}

// inherit gives a new presence what is known from another cell.
func (e *entity) inherit(p *presence) {
	if e.shown != nil {
		p.kind, p.attributes = e.shown.kind, e.shown.attributes
	}
}

// absent takes an entity out of a cell's image without a word of where it went.
func (u *updating) absent(e *entity, p *presence) {
	u.note(e)
	e.remove(p)
	e.choose(u.received)
}

func (e *entity) remove(p *presence) {
	for i, other := range e.in {
		if other == p {
			e.in = append(e.in[:i], e.in[i+1:]...)
			return
		}
	}
}

// choose finds the presence that shows the entity: the one with the highest
// version, the later one of equals, and none below the highest ever heard.
func (e *entity) choose(now time.Time) {
	was := e.shown
	e.shown = nil
	for _, p := range e.in {
		if !p.version.less(e.highest) && (e.shown == nil || !p.version.less(e.shown.version)) {
			e.shown = p
		}
	}
	if e.shown == nil && was != nil {
		e.gone = now
		e.track = track{}
	}
}

// note remembers whether an entity was shown before the frame.
func (u *updating) note(e *entity) {
	if !u.want {
		return
	}
	if u.touched == nil {
		u.touched = make(map[*entity]bool)
	}
	if _, noted := u.touched[e]; !noted {
		u.touched[e] = e.shown != nil
	}
}

func (u *updating) finish() frameResult {
	result := frameResult{events: u.events}
	for e, before := range u.touched {
		after := e.shown != nil
		switch {
		case after && !before:
			result.changes = append(result.changes, Change{Appeared, e.public()})
		case after:
			result.changes = append(result.changes, Change{Changed, e.public()})
		case before:
			result.changes = append(result.changes, Change{Vanished, Entity{ID: e.id}})
		}
	}
	return result
}
