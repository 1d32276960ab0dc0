package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// scriptedOwner is an owner of everything, as small as the gateway's tests
// allow: one lock, no log, and moves, speech and leave alone. Hooks change what
// it does.
type scriptedOwner struct {
	bus    pubsub.Bus
	shards world.ShardMap

	mu            sync.Mutex
	sessions      map[uint64]*ownedSession
	registrations map[string]*clusterv1.Registration
	cells         map[world.Cell]*ownedCell
	sequence      uint64
	entities      uint64
	detached      atomic.Int64
	renewed       atomic.Int64

	// onAct, if set by intercept, may swallow an action (true).
	onAct func(from actions.Edge, act *clusterv1.RoutedAct) bool
	// onControl likewise.
	onControl func(from actions.Edge, control *clusterv1.Control) bool
}

type ownedSession struct {
	edge        actions.Edge
	participant string
	avatar      uint64
	pose        *starlingv1.Pose
	cell        world.Cell
	last        uint64
	remembered  map[uint64]*starlingv1.Outcome
}

type ownedCell struct {
	sequence uint64
	present  map[uint64]*starlingv1.Update
}

func newScriptedOwner(bus pubsub.Bus) *scriptedOwner {
	return &scriptedOwner{bus: bus, shards: world.DefaultShardMap(), sessions: map[uint64]*ownedSession{},
		registrations: map[string]*clusterv1.Registration{}, cells: map[world.Cell]*ownedCell{}}
}

func (o *scriptedOwner) cell(id world.Cell) *ownedCell {
	c := o.cells[id]
	if c == nil {
		c = &ownedCell{sequence: o.sequence, present: map[uint64]*starlingv1.Update{}}
		o.cells[id] = c
	}
	return c
}

func (o *scriptedOwner) fence(cell world.Cell) pubsub.Fence {
	return pubsub.Fence{Shard: o.shards.Shard(0, cell), Epoch: 1, Claim: 7}
}

// publish commits steps of one action, by cell.
func (o *scriptedOwner) publish(arrived time.Time, steps map[world.Cell][]*starlingv1.Step) {
	o.sequence++
	for id, list := range steps {
		c := o.cell(id)
		for _, step := range list {
			if u := step.GetUpdate(); u != nil {
				u.Version.Sequence, u.Version.Epoch = o.sequence, 1
				if u.Change == starlingv1.Change_LEFT || u.Change == starlingv1.Change_REMOVED {
					delete(c.present, u.Entity)
				} else {
					c.present[u.Entity] = u
				}
			}
		}
		encoded, _ := (&starlingv1.Steps{Steps: list}).MarshalVT()
		o.bus.Publish([]pubsub.Message{{Fence: o.fence(id), Cell: id, From: c.sequence, Sequence: o.sequence, Steps: encoded, Arrived: arrived}})
		c.sequence = o.sequence
	}
}

func updateStep(u *starlingv1.Update) *starlingv1.Step {
	return &starlingv1.Step{Is: &starlingv1.Step_Update{Update: u}}
}

// intercept sets onAct.
func (o *scriptedOwner) intercept(onAct func(from actions.Edge, act *clusterv1.RoutedAct) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onAct = onAct
}

func (o *scriptedOwner) Act(from actions.Edge, act *clusterv1.RoutedAct) {
	o.mu.Lock()
	onAct := o.onAct
	o.mu.Unlock()
	if onAct != nil && onAct(from, act) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.sessions[act.Session]
	if s == nil {
		from.NotMine(&clusterv1.NotMine{Shard: act.Shard, Session: act.Session, Number: act.Act.Number, Later: true})
		return
	}
	out := o.run(s, act)
	s.edge.Outcome(&clusterv1.RoutedOutcome{Session: act.Session, Outcome: out, Cell: uint64(s.cell)})
	if act.Act.GetLeave() != nil && out.Code == starlingv1.Code_APPLIED {
		o.end(act.Session, clusterv1.SessionClosed_LEFT)
	}
}

func (o *scriptedOwner) run(s *ownedSession, act *clusterv1.RoutedAct) *starlingv1.Outcome {
	n := act.Act.Number
	if before := s.remembered[n]; before != nil {
		return &starlingv1.Outcome{Number: n, Code: before.Code, Repeated: true}
	}
	if n != s.last+1 {
		return &starlingv1.Outcome{Number: n, Code: starlingv1.Code_OUT_OF_ORDER, Expected: s.last + 1}
	}
	out := &starlingv1.Outcome{Number: n, Code: starlingv1.Code_APPLIED}
	arrived := time.Now().Add(-time.Duration(act.AgeUs) * time.Microsecond)
	switch f := act.Act.Function.(type) {
	case *starlingv1.Act_Move:
		out.Code = o.move(s, f.Move.GetPose(), n, arrived)
	case *starlingv1.Act_Speak:
		o.publish(arrived, map[world.Cell][]*starlingv1.Step{s.cell: {{Is: &starlingv1.Step_Event{Event: &starlingv1.Event{
			Actor: s.avatar, Number: n, What: &starlingv1.Event_Text{Text: f.Speak.GetText()}}}}}})
	case *starlingv1.Act_Leave:
	default:
		out.Code = starlingv1.Code_INVALID
	}
	s.last = n
	s.remembered[n] = out
	return out
}

func (o *scriptedOwner) move(s *ownedSession, pose *starlingv1.Pose, number uint64, arrived time.Time) starlingv1.Code {
	at := pose.GetPosition().GetGeo()
	cell, err := hex.Cell(at.GetLatitude(), at.GetLongitude(), 10)
	if at == nil || err != nil {
		return starlingv1.Code_INVALID
	}
	update := func(change starlingv1.Change) *starlingv1.Update {
		return &starlingv1.Update{Entity: s.avatar, Version: &starlingv1.Version{}, Change: change, Pose: pose, By: s.avatar, Number: number}
	}
	s.pose = pose
	if cell == s.cell {
		o.publish(arrived, map[world.Cell][]*starlingv1.Step{cell: {updateStep(update(starlingv1.Change_CHANGED))}})
		return starlingv1.Code_APPLIED
	}
	left, entered := update(starlingv1.Change_LEFT), update(starlingv1.Change_ENTERED)
	left.To, entered.Kind = uint64(cell), "avatar"
	was := s.cell
	s.cell = cell
	o.publish(arrived, map[world.Cell][]*starlingv1.Step{was: {updateStep(left)}, cell: {updateStep(entered)}})
	return starlingv1.Code_APPLIED
}

func (o *scriptedOwner) end(id uint64, why clusterv1.SessionClosed_Why) {
	s := o.sessions[id]
	if s == nil {
		return
	}
	delete(o.sessions, id)
	o.publish(time.Now(), map[world.Cell][]*starlingv1.Step{s.cell: {updateStep(&starlingv1.Update{
		Entity: s.avatar, Version: &starlingv1.Version{}, Change: starlingv1.Change_REMOVED})}})
	o.registrations[s.participant].Gone = true
	s.edge.SessionNotice(&clusterv1.SessionNotice{Session: id, Ended: true, Why: why})
}

func (o *scriptedOwner) Control(from actions.Edge, in *clusterv1.Control) {
	if o.onControl != nil && o.onControl(from, in) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	reply := &clusterv1.ControlReply{Request: in.Request, Code: starlingv1.Code_APPLIED}
	switch kind := in.Kind.(type) {
	case *clusterv1.Control_Claim:
		o.claim(kind.Claim, reply)
	case *clusterv1.Control_Attach:
		o.attach(from, world.ShardOf(in.Shard), kind.Attach, reply)
	case *clusterv1.Control_Fence:
		o.end(kind.Fence.Session, clusterv1.SessionClosed_FENCED)
	case *clusterv1.Control_Detach:
		o.detached.Add(1)
	default:
		reply.Code = starlingv1.Code_NO_SUCH_PLACE
	}
	from.ControlReply(reply)
}

func (o *scriptedOwner) claim(in *clusterv1.Claim, reply *clusterv1.ControlReply) {
	was := o.registrations[in.Participant]
	reply.Registration = was
	if in.Resume {
		return
	}
	reply.Generation = was.GetGeneration() + 1
	o.registrations[in.Participant] = &clusterv1.Registration{Participant: in.Participant, Session: in.Session, Generation: reply.Generation}
}

func (o *scriptedOwner) attach(from actions.Edge, shard world.ShardID, in *clusterv1.Attach, reply *clusterv1.ControlReply) {
	s := o.sessions[in.Session]
	switch {
	case s == nil && in.Resume:
		reply.Code = starlingv1.Code_NO_SUCH_ENTITY
		return
	case s == nil:
		at := in.Pose.GetPosition().GetGeo()
		cell, _ := hex.Cell(at.GetLatitude(), at.GetLongitude(), 10)
		o.entities++
		s = &ownedSession{participant: in.Participant, avatar: o.entities, pose: in.Pose, cell: cell, remembered: map[uint64]*starlingv1.Outcome{}}
		o.sessions[in.Session] = s
		o.registrations[in.Participant].Shard = world.ShardMessage(shard)
		o.publish(time.Now(), map[world.Cell][]*starlingv1.Step{cell: {updateStep(&starlingv1.Update{Entity: s.avatar,
			Version: &starlingv1.Version{}, Change: starlingv1.Change_CREATED, Pose: in.Pose, Kind: "avatar", Attributes: in.Attributes})}})
	}
	s.edge = from
	reply.Attached = &clusterv1.Attached{Session: in.Session, Avatar: s.avatar, NextNumber: s.last + 1, Pose: s.pose, Cell: uint64(s.cell)}
	for n := in.LastNumber + 1; in.Resume && n <= s.last; n++ {
		reply.Attached.Remembered = append(reply.Attached.Remembered, s.remembered[n])
	}
}

func (o *scriptedOwner) Renew(_ actions.Edge, in *clusterv1.Renew) {
	o.renewed.Add(int64(len(in.Sessions)))
}

func (o *scriptedOwner) ReadCell(from actions.Edge, in *clusterv1.ReadCell) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := world.Cell(in.Cell)
	c := o.cell(id)
	steps := &starlingv1.Steps{}
	for _, u := range c.present {
		whole := &starlingv1.Update{Entity: u.Entity, Version: u.Version, Change: starlingv1.Change_PRESENT, Pose: u.Pose, Kind: "avatar", Attributes: u.Attributes}
		steps.Steps = append(steps.Steps, updateStep(whole))
	}
	encoded, _ := steps.MarshalVT()
	from.Baseline(pubsub.Message{Fence: o.fence(id), Cell: id, Sequence: c.sequence, Baseline: true, Steps: encoded, Request: in.Request})
}

func (o *scriptedOwner) Parcel(*clusterv1.ParcelEnvelope)         {}
func (o *scriptedOwner) ParcelAck(*clusterv1.ParcelAck)           {}
func (o *scriptedOwner) Release(_ world.ShardID, released func()) { released() }
