package shard

import (
	"fmt"
	"runtime/debug"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// run runs the action that is next in its session.
func (s *Shard) run(now time.Time, x *session, in *Act) {
	fn := s.function(in.Act)
	if fn != nil && fn.Hard && !in.Deadline.IsZero() && now.After(in.Deadline) {
		s.refuse(x, in, &starlingv1.Outcome{Code: starlingv1.Code_TOO_LATE_TO_START, Message: "its deadline passed before it could start"})
		return
	}
	if fn != nil && x.hasScope(fn.Scope) {
		if to, elsewhere := s.elsewhere(in.Act); elsewhere {
			s.runElsewhere(now, x, in, fn, to)
			return
		}
	}
	c := s.begin(now, in.Act, in.Arrived)
	c.actor, c.session, c.participant, c.scopes = x.avatar, x, x.participant, x.scopes
	result := s.execute(c, fn)
	s.finish(x, in.Arrived, c.outcome(result))
	s.settle(c)
}

// runElsewhere forwards an action, unless a check at home ends it.
func (s *Shard) runElsewhere(now time.Time, x *session, in *Act, fn *Function, to world.ShardID) {
	if fn.Check != nil {
		c := s.begin(now, in.Act, in.Arrived)
		c.actor, c.session, c.participant, c.scopes = x.avatar, x, x.participant, x.scopes
		result := s.execute(c, &Function{Name: fn.Name, Run: fn.Check})
		if result.Code != starlingv1.Code_APPLIED {
			s.finish(x, in.Arrived, c.outcome(result))
			return
		}
		s.rollBack(c.undoFrom)
	}
	s.forward(now, x, in, to)
}

// elsewhere says whether another shard must run the action.
func (s *Shard) elsewhere(act *starlingv1.Act) (world.ShardID, bool) {
	switch f := act.GetFunction().(type) {
	case *starlingv1.Act_CreatePlace:
		if f.CreatePlace.GetPlace() == nil {
			return world.ShardID{}, false
		}
		if f.CreatePlace.Place.Id == 0 {
			f.CreatePlace.Place.Id = s.config.NewID()
		}
		return s.otherPlace(f.CreatePlace.Place.Id)
	case *starlingv1.Act_ClosePlace:
		return s.otherPlace(f.ClosePlace.GetPlace())
	}
	t := target(act)
	if t.GetEntity() == 0 || s.id.IsPlace() {
		return world.ShardID{}, false
	}
	id := world.EntityID(t.Entity)
	if s.entities[id] != nil || s.transits[id] != nil {
		return world.ShardID{}, false
	}
	at := world.Cell(t.Cell)
	if at == 0 || !hex.Valid(at) || hex.Resolution(at) != s.config.Map.CellResolution {
		return world.ShardID{}, false
	}
	to := s.config.Map.Shard(0, at)
	return to, to != s.id
}

func (s *Shard) otherPlace(id uint64) (world.ShardID, bool) {
	to := world.ShardID{Place: world.PlaceID(id)}
	return to, id != 0 && to != s.id
}

// begin starts a run: what changes from now on can be undone.
func (s *Shard) begin(now time.Time, act *starlingv1.Act, arrived time.Time) *Call {
	s.action++
	c := &s.call
	*c = Call{shard: s, now: now, act: act, arrived: arrived, undoFrom: len(s.open.undo), events: c.events[:0]}
	return c
}

// execute runs the function and undoes what it did unless it was applied.
func (s *Shard) execute(c *Call, fn *Function) (result Result) {
	switch {
	case fn == nil && Name(c.act) == "":
		result = Refuse(starlingv1.Code_INVALID, "the action names no function that this server knows")
	case fn == nil:
		result = Refuse(starlingv1.Code_UNKNOWN_FUNCTION, "no function %q", truncate(Name(c.act), 64))
	case !hasScope(c.scopes, fn.Scope):
		result = Refuse(starlingv1.Code_FORBIDDEN, "it needs the scope %q", fn.Scope)
	default:
		result = s.guarded(c, fn)
	}
	if result.Code < 1 || result.Code >= 200 {
		result = Refuse(starlingv1.Code_FAILED, "the function gave no final code")
	}
	if len(result.Bytes) > s.limits.PayloadBytes {
		result = Refuse(starlingv1.Code_FAILED, "the function's result is over %d bytes", s.limits.PayloadBytes)
	}
	if result.Code >= 100 {
		s.rollBack(c.undoFrom)
		c.forget()
	}
	return result
}

// guarded turns a panic of the function into FAILED.
func (s *Shard) guarded(c *Call, fn *Function) (result Result) {
	defer func() {
		if why := recover(); why != nil {
			c.failure = fmt.Sprintf("function %s: %v\n%s", fn.Name, why, debug.Stack())
			s.failures = append(s.failures, c.failure)
			result = Refuse(starlingv1.Code_FAILED, "the function failed; nothing was changed")
		}
	}()
	return fn.Run(c)
}

// Failures gives the panics of functions since it was last asked, for the log
// of the process.
func (s *Shard) Failures() []string {
	f := s.failures
	s.failures = nil
	return f
}

func truncate(text string, bytes int) string {
	if len(text) > bytes {
		return text[:bytes] + "..."
	}
	return text
}

func (c *Call) outcome(r Result) *starlingv1.Outcome {
	out := &c.result
	out.Number, out.Code, out.Message, out.Entity, out.Result = c.act.GetNumber(), r.Code, r.Message, uint64(r.Entity), r.Bytes
	return out
}

// settle says what the run changed: to the log, the watchers and other shards.
func (s *Shard) settle(c *Call) {
	by := cause{number: c.act.GetNumber(), arrived: c.arrived}
	if c.actor != nil {
		by.avatar = c.actor.id
	}
	s.settleEntities(c.undoFrom, by)
	for i := range c.events {
		e := &c.events[i]
		s.sayEvent(e.cell, &e.event, e.handovers, c.arrived)
		e.event.What = nil
	}
	if c.place != nil {
		s.setPlace(c.place)
		if c.place.Closed {
			s.emptyPlace(by)
		}
	}
	if c.leave && c.session != nil && s.sessions[c.session.id] == c.session {
		s.end(c.session, clusterv1.SessionClosed_LEFT, by)
	}
}

// settleEntities says what became of the entities in the undo list from an index on.
func (s *Shard) settleEntities(from int, by cause) {
	var leaving []*entity
	for i := from; i < len(s.open.undo); i++ {
		u := &s.open.undo[i]
		e, was := u.entity, &u.was
		handovers := e.version.Handovers
		switch {
		case e.away:
		case !was.exists && !e.exists:
			delete(s.entities, e.id)
		case !e.exists:
			gone := *was
			gone.version = s.version(handovers)
			e.version = gone.version
			s.sayUpdate(was.cell, e, &gone, starlingv1.Change_REMOVED, false, 0, by)
			delete(s.entities, e.id)
			s.disowned(was)
		case !s.mine(e.cell):
			e.version = s.version(handovers)
			if was.exists {
				s.sayUpdate(was.cell, e, &e.state, starlingv1.Change_LEFT, false, e.cell, by)
			}
			leaving = append(leaving, e)
		case !was.exists:
			e.version = s.version(handovers)
			s.sayUpdate(e.cell, e, &e.state, starlingv1.Change_CREATED, true, 0, by)
			s.sayOwnership(e)
			if x := s.sessions[e.session]; x != nil && e.kind != AvatarKind {
				x.spawned++
			}
		case was.cell != e.cell:
			e.version = s.version(handovers)
			s.sayUpdate(was.cell, e, &e.state, starlingv1.Change_LEFT, false, e.cell, by)
			s.sayUpdate(e.cell, e, &e.state, starlingv1.Change_ENTERED, true, 0, by)
		default:
			e.version = s.version(handovers)
			s.sayUpdate(e.cell, e, &e.state, starlingv1.Change_CHANGED, e.attributes != was.attributes, 0, by)
		}
	}
	if leaving != nil {
		s.handOver(leaving)
	}
}

func (s *Shard) sayOwnership(e *entity) {
	if e.owner == "" && e.session == 0 {
		return
	}
	s.open.record.Ownership = append(s.open.record.Ownership, &clusterv1.Ownership{Entity: uint64(e.id), Participant: e.owner, Session: uint64(e.session)})
}

// disowned gives a session back its allowance to spawn.
func (s *Shard) disowned(was *state) {
	if x := s.sessions[was.session]; x != nil && x.spawned > 0 && was.kind != AvatarKind {
		x.spawned--
	}
}
