package check

import (
	"fmt"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// effect is what the logs show of one action.
type effect struct {
	shard    world.ShardID
	sequence uint64
	own      bool // the avatar itself changed
	events   int
	again    bool // it took effect in another batch too
	other    world.ShardID
	later    uint64
}

func (f *effect) note(shard world.ShardID, sequence uint64, step Step) {
	if f.shard != shard || f.sequence != sequence {
		f.again, f.other, f.later = true, shard, sequence
	}
	if step.Event {
		f.events++
	} else if step.Entity == step.By {
		f.own = true
	}
}

// follower goes through one client's history.
type follower struct {
	*checker
	name    string
	session world.SessionID
	avatar  world.EntityID
	place   world.PlaceID
	ring    int
	chains  map[placeCell]*chain // of this connection
	events  map[eventKey]int
	ahead   map[eventKey]int // of events: those that partial frames told and the chain did not
	done    map[*Frame]bool
	view    *viewer
	ended   bool
}

type chain struct {
	epoch    uint32
	sequence uint64
}

func (c *checker) checkClient(h *History) {
	if c.compared == nil {
		c.compared = make(map[*Frame]bool)
	}
	f := &follower{checker: c, name: h.Name, chains: make(map[placeCell]*chain), events: make(map[eventKey]int), ahead: make(map[eventKey]int), done: c.compared}
	if h.Final == nil {
		f.view = newViewer()
	}
	for i := range h.Events {
		f.event(&h.Events[i])
	}
	if !c.Quiet || c.Disk == nil || f.ended {
		return
	}
	final := h.Final
	if final == nil {
		final = f.view.final(f)
	}
	c.checkFinal(h.Name, final)
}

func (f *follower) event(e *Event) {
	switch e.Kind {
	case Welcomed:
		f.session, f.avatar, f.place, f.ring, f.ended = e.Session, e.Avatar, e.Place, e.Ring, false
		f.whole[e.Session] = true
		clear(f.chains)
		if f.view != nil {
			f.view.reset()
		}
	case Ringed:
		f.ring = e.Ring
	case Ended:
		f.ended = true
	case Sent:
		f.sends(e)
	case Told:
		f.told(e)
	case Saw:
		f.saw(e.Frame)
	case Showed:
		f.report(Violation{Rule: ViewWentBack, Client: f.name, Entity: e.Entity}, "it showed %v after %v", e.To, e.From)
	}
}

func (f *follower) sends(e *Event) {
	key := actionKey{uint64(e.Session), e.Action.Number}
	before := f.sent[key]
	if before == nil {
		f.sent[key] = e.Action
		return
	}
	if before.Function != e.Action.Function || before.Content != e.Action.Content {
		f.report(Violation{Rule: ActionDiffers, Client: f.name, Session: e.Session, Number: e.Action.Number},
			"%s, and before that %s", e.Action.Function, before.Function)
	}
}

// told holds an outcome against the log.
func (f *follower) told(e *Event) {
	out := e.Outcome
	if !final(out.Code) {
		return
	}
	at := Violation{Client: f.name, Session: e.Session, Number: out.Number}
	if f.sent[actionKey{uint64(e.Session), out.Number}] == nil {
		at.Rule = OutcomeForged
		f.report(at, "told %v of an action that it never sent", out.Code)
		return
	}
	logged := f.outcomes[actionKey{uint64(e.Session), out.Number}]
	if logged == nil {
		if out.Repeated && out.Code == starlingv1.Code_INVALID || f.cut {
			return // too old to be remembered: the log is not asked
		}
		at.Rule = OutcomeNotInLog
		f.report(at, "told %v", out.Code)
		return
	}
	if logged.Code != out.Code || logged.Entity != out.Entity || logged.Content != out.Content {
		if out.Repeated && out.Code == starlingv1.Code_INVALID {
			return
		}
		at.Rule, at.Shard, at.Sequence = OutcomeDiffers, logged.shard, logged.sequence
		f.report(at, "told %v (entity %x), committed %v (entity %x)", out.Code, uint64(out.Entity), logged.Code, uint64(logged.Entity))
	}
}

// saw holds a frame against what the client had, and against the log.
func (f *follower) saw(frame *Frame) {
	key := placeCell{frame.Place, frame.Cell}
	at := Violation{Client: f.name, Shard: f.shardOf(frame.Place, frame.Cell), Sequence: frame.Sequence, Cell: frame.Cell}
	have := f.chains[key]
	if f.view != nil {
		f.view.apply(frame)
	}
	switch {
	case frame.Unwatched:
		delete(f.chains, key)
		return
	case frame.Baseline:
		if have != nil && (frame.Epoch < have.epoch || frame.Epoch == have.epoch && frame.Sequence < have.sequence) {
			at.Rule = ViewWentBack
			f.report(at, "a baseline of epoch %d, the client had %d of epoch %d", frame.Epoch, have.sequence, have.epoch)
		}
	case frame.Partial: // it is no part of the chain
		if have != nil && frame.Epoch == have.epoch {
			f.compareFrame(f.name, frame, f.done)
			f.hear(at, frame)
		}
		return
	case have == nil:
		at.Rule = FrameChain
		f.report(at, "a frame before any baseline")
	case frame.Epoch != have.epoch || frame.From != have.sequence || frame.Sequence < have.sequence:
		at.Rule = FrameChain
		f.report(at, "epoch %d from %d, the client had %d of epoch %d", frame.Epoch, frame.From, have.sequence, have.epoch)
	}
	f.chains[key] = &chain{frame.Epoch, frame.Sequence}
	f.compareFrame(f.name, frame, f.done)
	f.hear(at, frame)
}

// hear looks for events that are told twice. What a partial frame told the chain
// tells again, which clients take once.
func (f *follower) hear(at Violation, frame *Frame) {
	for _, step := range frame.Steps {
		if !step.Event {
			continue
		}
		key := eventKey{step.Entity, step.Number, step.Version, step.Content}
		if frame.Partial {
			f.ahead[key]++
		} else if f.ahead[key] > 0 {
			f.ahead[key]--
			continue
		}
		f.events[key]++
		if logged := f.checker.events[key]; logged > 0 && f.events[key] > logged {
			at.Rule, at.Entity = EventTwice, step.Entity
			f.report(at, "number %d was told %d times, it is in the log %d times", step.Number, f.events[key], logged)
		}
	}
}

// checkEffects holds outcomes against what was done.
func (c *checker) checkEffects() {
	for key, out := range c.outcomes {
		id := world.SessionID(key.of)
		at := Violation{Shard: out.shard, Sequence: out.sequence, Session: id, Number: key.number}
		sent := c.sent[key]
		if sent == nil && c.whole[id] {
			at.Rule = OutcomeForged
			c.report(at, "committed for an action that the client never sent")
		}
		c.checkEffect(at, out, sent, c.actions[actionKey{uint64(c.avatars[id]), key.number}])
	}
}

func (c *checker) checkEffect(at Violation, out *loggedOutcome, sent *Action, f *effect) {
	if f != nil && f.again {
		at.Rule = EffectTwice
		c.report(at, "in %v at %d and in %v at %d", f.shard, f.sequence, f.other, f.later)
	}
	if f != nil && out.Code >= 100 {
		at.Rule = EffectRefused
		c.report(at, "refused as %v, and it changed something in %v at %d", out.Code, f.shard, f.sequence)
	}
	if sent == nil || out.Code != starlingv1.Code_APPLIED || c.cut {
		return
	}
	at.Rule = EffectMissing
	switch {
	case sent.Function == "move" && !sent.Other && (f == nil || !f.own):
		c.report(at, "a move was applied, and no step shows it")
	case sent.Function == "speak" && (f == nil || f.events == 0):
		c.report(at, "a speech was applied, and no event shows it")
	}
}

func stepsText(i int, got, want Step) string {
	return fmt.Sprintf("; step %d: %+v, the log has %+v", i, got, want)
}
