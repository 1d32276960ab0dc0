package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// forward asks another shard to run the action. The session waits for the outcome.
func (s *Shard) forward(now time.Time, x *session, in *Act, to world.ShardID) {
	deadline := now.Add(s.limits.ForwardPatience)
	if in.Deadline.After(deadline) {
		deadline = in.Deadline
	}
	x.pending = &pending{number: in.Act.GetNumber(), target: to, arrived: in.Arrived}
	s.send(to, &clusterv1.Parcel{Is: &clusterv1.Parcel_Action{Action: &clusterv1.ForwardedAction{
		Session: uint64(x.id), Act: in.Act, Actor: x.avatar.record(), Participant: x.participant,
		Scopes: x.scopes, DeadlineUnixUs: deadline.UnixMicro(),
	}}})
}

// runForwarded runs an action on behalf of an actor that lives elsewhere, and
// sends back its outcome.
func (s *Shard) runForwarded(now time.Time, source world.ShardID, in *clusterv1.ForwardedAction) {
	c := s.begin(now, in.Act, time.Time{})
	c.actor = &entity{id: world.EntityID(in.GetActor().GetUpdate().GetEntity()), state: stateOf(in.GetActor())}
	c.participant, c.scopes = in.Participant, in.Scopes
	var result Result
	if in.DeadlineUnixUs != 0 && now.UnixMicro() > in.DeadlineUnixUs {
		result = Refuse(starlingv1.Code_LATE, "it reached the shard of its target too late")
	} else {
		result = s.execute(c, s.function(in.Act))
	}
	out := c.outcome(result)
	answer := &clusterv1.ForwardedOutcome{Session: in.Session, Outcome: &starlingv1.Outcome{
		Number: out.Number, Code: out.Code, Message: out.Message, Entity: out.Entity, Result: out.Result,
	}}
	grabbed := c.grabbed
	c.leave = false // only one's own shard ends a session
	if grabbed != nil {
		s.settleGrabbed(c, grabbed, answer)
	}
	s.settle(c)
	s.send(source, &clusterv1.Parcel{Is: &clusterv1.Parcel_Outcome{Outcome: answer}})
}

// settleGrabbed lets an entity go with the outcome of the action that took it.
func (s *Shard) settleGrabbed(c *Call, e *entity, answer *clusterv1.ForwardedOutcome) {
	for i := c.undoFrom; i < len(s.open.undo); i++ {
		u := &s.open.undo[i]
		if u.entity != e {
			continue
		}
		e.version = s.version(e.version.Handovers)
		if u.was.exists {
			s.sayUpdate(u.was.cell, e, &e.state, starlingv1.Change_LEFT, false, e.cell, cause{c.actor.id, c.act.GetNumber(), c.arrived})
		}
		s.disowned(&u.was)
	}
	record := s.depart(e)
	answer.Grabbed = &clusterv1.HandOver{Entities: []*clusterv1.EntityRecord{record}}
}

// forwardedOutcome ends the wait of a session for another shard.
func (s *Shard) forwardedOutcome(now time.Time, in *clusterv1.ForwardedOutcome) {
	x := s.sessions[world.SessionID(in.GetSession())]
	waited := x != nil && x.pending != nil && in.GetOutcome() != nil && x.pending.number == in.Outcome.Number
	s.begin(now, nil, time.Time{})
	for _, record := range in.GetGrabbed().GetEntities() {
		s.admitGrabbed(record, x)
	}
	s.bounce()
	if !waited {
		return
	}
	arrived := x.pending.arrived
	x.pending = nil
	s.finish(x, arrived, in.Outcome)
	s.runWaiting(now, x)
}

// admitGrabbed takes in what a participant of this shard grabbed in another one.
// If the avatar is gone by now, the thing lies where the avatar was.
func (s *Shard) admitGrabbed(record *clusterv1.EntityRecord, x *session) {
	id, st := readRecord(record)
	st.holder = 0
	if x != nil && x.avatar != nil {
		st.holder, st.cell, st.pose.Position = x.avatar.id, x.avatar.cell, x.avatar.pose.Position
	}
	s.admit(id, st)
}
