package shard

import (
	"fmt"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// Control takes a change of sessions. It is answered by one reply, once
// everything that the reply depends on is committed.
func (s *Shard) Control(now time.Time, gateway string, in *clusterv1.Control) {
	var reply *clusterv1.ControlReply
	switch kind := in.GetKind().(type) {
	case *clusterv1.Control_Claim:
		reply = s.claim(now, kind.Claim)
	case *clusterv1.Control_Attach:
		reply = s.attach(now, kind.Attach)
	case *clusterv1.Control_Fence:
		reply = s.fenceSession(kind.Fence)
	case *clusterv1.Control_Detach:
		reply = s.detach(now, gateway, kind.Detach)
	case *clusterv1.Control_PlaceInfo:
		reply = s.placeInfo()
	default:
		reply = refusal(starlingv1.Code_INVALID, "the control names no kind")
	}
	reply.Request = in.GetRequest()
	told := Tell{Gateway: gateway, Reply: reply}
	if s.open.dirty {
		s.open.tells = append(s.open.tells, told) // before what the session's actions bring
		return
	}
	s.soon(s.newest(), told)
}

func refusal(code starlingv1.Code, format string, args ...any) *clusterv1.ControlReply {
	return &clusterv1.ControlReply{Code: code, Message: fmt.Sprintf(format, args...)}
}

// attach opens a session, or binds one to a gateway.
func (s *Shard) attach(now time.Time, in *clusterv1.Attach) *clusterv1.ControlReply {
	id := world.SessionID(in.GetSession())
	if x := s.sessions[id]; x != nil {
		if x.participant != in.Participant {
			return refusal(starlingv1.Code_FORBIDDEN, "the session is another participant's")
		}
		if in.Attachment < x.attachment {
			return refusal(starlingv1.Code_FORBIDDEN, "the session was resumed elsewhere since")
		}
		s.bind(now, x, in)
		return s.attached(x, in.LastNumber)
	}
	if f, ok := s.forwarding[id]; ok {
		return &clusterv1.ControlReply{Code: starlingv1.Code_UNAVAILABLE, Message: "the session moved to another shard", MovedTo: world.ShardMessage(f.to)}
	}
	if in.Resume && s.mayArrive(now, id) {
		return refusal(starlingv1.Code_UNAVAILABLE, "the session is not here yet")
	}
	if _, gone := s.ended[id]; gone || in.Resume || id == 0 {
		return refusal(starlingv1.Code_NO_SUCH_ENTITY, "the session is not here (any longer)")
	}
	pose, cell, no := s.mayOpen(in)
	if no != nil {
		return no
	}
	return s.attached(s.openSession(now, in, pose, cell), in.LastNumber)
}

// bind makes in's gateway the session's.
func (s *Shard) bind(now time.Time, x *session, in *clusterv1.Attach) {
	x.renewed = now
	if x.gateway == in.Gateway && x.attachment == in.Attachment {
		return
	}
	x.gateway, x.attachment = in.Gateway, in.Attachment
	x.lastBatch = s.open.sequence
	s.open.record.SessionsOpened = append(s.open.record.SessionsOpened, &clusterv1.SessionOpened{Session: uint64(x.id), Gateway: x.gateway, Attachment: x.attachment})
	s.open.dirty = true
}

func (s *Shard) mayOpen(in *clusterv1.Attach) (Pose, world.Cell, *clusterv1.ControlReply) {
	if s.id.IsRegister() {
		return Pose{}, 0, refusal(starlingv1.Code_INVALID, "the register has no room for avatars")
	}
	if len(s.sessions) >= s.limits.Sessions {
		return Pose{}, 0, refusal(starlingv1.Code_LIMIT, "this part of the world is full")
	}
	if s.id.IsPlace() {
		if no := s.mayJoin(in); no != nil {
			return Pose{}, 0, no
		}
		if in.GetPose().GetPosition() == nil {
			in.Pose = &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{}}}}
		}
	}
	pose, err := ReadPose(in.GetPose())
	if err == nil {
		err = CheckAttributes(in.GetAttributes())
	}
	if err != nil {
		return Pose{}, 0, refusal(starlingv1.Code_INVALID, "%v", err)
	}
	cell, err := s.checked(pose.Position, nil)
	switch {
	case err == ErrOutside:
		return Pose{}, 0, refusal(starlingv1.Code_OUTSIDE_PLACE, "the start lies outside of the place's extent of %g m", s.place.GetPlace().GetExtent())
	case err != nil:
		return Pose{}, 0, refusal(starlingv1.Code_INVALID, "%v", err)
	case !s.mine(cell):
		return Pose{}, 0, &clusterv1.ControlReply{
			Code: starlingv1.Code_UNAVAILABLE, Message: "the start lies in another shard",
			MovedTo: world.ShardMessage(s.config.Map.Shard(0, cell)),
		}
	}
	return pose, cell, nil
}

func (s *Shard) openSession(now time.Time, in *clusterv1.Attach, pose Pose, cell world.Cell) *session {
	x := &session{
		id: world.SessionID(in.Session), participant: in.Participant, scopes: in.Scopes, gateway: in.Gateway,
		generation: in.Generation, attachment: in.Attachment, moves: 1, renewed: now, lastBatch: s.open.sequence,
	}
	c := s.begin(now, nil, time.Time{})
	attributes := in.Attributes
	if attributes == nil {
		attributes = noAttributes
	}
	x.avatar = s.create(s.newEntityID(), state{
		exists: true, cell: cell, pose: pose, kind: AvatarKind, attributes: attributes, owner: in.Participant, session: x.id,
	})
	s.sessions[x.id] = x
	s.settleEntities(c.undoFrom, cause{})
	s.open.record.SessionsOpened = append(s.open.record.SessionsOpened, x.record())
	delete(s.unknown, x.id)
	s.register(x, false)
	s.arrivedSession(now, x)
	return x
}

func (s *Shard) attached(x *session, last uint64) *clusterv1.ControlReply {
	return &clusterv1.ControlReply{Code: starlingv1.Code_APPLIED, Attached: &clusterv1.Attached{
		Session: uint64(x.id), Avatar: uint64(x.avatar.id), NextNumber: x.last + 1,
		Pose: x.avatar.pose.Message(), Cell: uint64(x.avatar.cell), Remembered: x.remembered.since(last),
	}}
}

func (s *Shard) fenceSession(in *clusterv1.Fence) *clusterv1.ControlReply {
	id := world.SessionID(in.GetSession())
	x := s.sessions[id]
	switch {
	case x == nil:
		if f, ok := s.forwarding[id]; ok {
			return &clusterv1.ControlReply{Code: starlingv1.Code_UNAVAILABLE, Message: "the session moved to another shard", MovedTo: world.ShardMessage(f.to)}
		}
		return refusal(starlingv1.Code_NO_SUCH_ENTITY, "the session is not here (any longer)")
	case x.participant != in.Participant:
		return refusal(starlingv1.Code_FORBIDDEN, "the session is another participant's")
	}
	s.begin(time.Time{}, nil, time.Time{})
	s.end(x, clusterv1.SessionClosed_FENCED, cause{})
	return &clusterv1.ControlReply{Code: starlingv1.Code_APPLIED}
}

func (s *Shard) detach(now time.Time, gateway string, in *clusterv1.Detach) *clusterv1.ControlReply {
	id := world.SessionID(in.GetSession())
	x := s.sessions[id]
	if x == nil {
		if f, ok := s.forwarding[id]; ok {
			return &clusterv1.ControlReply{Code: starlingv1.Code_UNAVAILABLE, Message: "the session moved to another shard", MovedTo: world.ShardMessage(f.to)}
		}
		return refusal(starlingv1.Code_NO_SUCH_ENTITY, "the session is not here (any longer)")
	}
	if x.gateway == gateway {
		x.renewed = now
	}
	return &clusterv1.ControlReply{Code: starlingv1.Code_APPLIED}
}

// end closes a session: what it holds is dropped, its avatar despawns. It is
// called inside a run.
func (s *Shard) end(x *session, why clusterv1.SessionClosed_Why, by cause) {
	delete(s.sessions, x.id)
	s.ended[x.id] = ended{x.renewed, why}
	from := len(s.open.undo)
	s.action++
	if x.avatar != nil {
		s.despawn(x.avatar)
	}
	s.settleEntities(from, by)
	s.open.record.SessionsClosed = append(s.open.record.SessionsClosed, &clusterv1.SessionClosed{Session: uint64(x.id), Why: why})
	s.open.dirty = true
	for i := range x.waiting {
		s.refuse(x, &x.waiting[i].Act, &starlingv1.Outcome{Code: starlingv1.Code_UNAVAILABLE, Message: "the session ended"})
	}
	x.waiting = nil
	s.register(x, true)
	s.open.tells = append(s.open.tells, Tell{Gateway: x.gateway, Notice: &clusterv1.SessionNotice{
		Session: uint64(x.id), Shard: world.ShardMessage(s.id), Epoch: s.tail.Epoch, Ended: true, Why: why,
	}})
}
