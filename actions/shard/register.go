package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// registration is where the current session of a participant lives.
type registration struct {
	message *clusterv1.Registration // never changed, only replaced
	before  *clusterv1.Registration // that it replaced, for a claim that is sent again
	since   time.Time               // when it became what it is; zero right after a load
}

// claim makes a session the current one of its participant, or (resume) tells
// whether it is.
func (s *Shard) claim(now time.Time, in *clusterv1.Claim) *clusterv1.ControlReply {
	if world.RegisterOf(in.GetParticipant()) != s.id {
		return refusal(starlingv1.Code_INVALID, "the participant is in another part of the register")
	}
	s.attachments = max(s.attachments+1, uint64(now.UnixMicro())) // grows even if another owner gave the one before
	if in.Resume {
		return s.resumeClaim(now, in)
	}
	r := s.registrations[in.Participant]
	if r != nil && r.message.Session == in.Session && !r.message.Gone {
		return s.claimed(r.message.Generation, r.before)
	}
	var was *clusterv1.Registration
	if r != nil {
		was = r.message
	}
	next := &clusterv1.Registration{
		Participant: in.Participant, Session: in.Session,
		// Grows even if the participant was forgotten meanwhile.
		Generation: max(was.GetGeneration()+1, uint64(now.UnixMicro())),
	}
	s.setRegistration(now, next)
	s.registrations[in.Participant].before = was
	if was != nil && !was.Gone && was.Shard != nil {
		s.supersede(was, next)
	}
	return s.claimed(next.Generation, was)
}

// claimed answers a claim. The registration tells what was before; one that is
// gone says that nothing was.
func (s *Shard) claimed(generation uint64, was *clusterv1.Registration) *clusterv1.ControlReply {
	before := &clusterv1.Registration{Participant: was.GetParticipant(), Gone: true}
	if was != nil {
		before.Session, before.Moves, before.Shard, before.Gone = was.Session, was.Moves, was.Shard, was.Gone
	}
	before.Generation = generation
	return &clusterv1.ControlReply{Code: starlingv1.Code_APPLIED, Registration: before, Generation: generation, Attachment: s.attachments}
}

func (s *Shard) resumeClaim(now time.Time, in *clusterv1.Claim) *clusterv1.ControlReply {
	r := s.registrations[in.Participant]
	switch {
	case r == nil || r.message.Session == in.Session && r.message.Gone:
		reply := refusal(starlingv1.Code_NO_SUCH_ENTITY, "the session ended")
		if r != nil {
			reply.Registration = r.message
		}
		return reply
	case r.message.Session != in.Session:
		reply := refusal(starlingv1.Code_FORBIDDEN, "a newer session of the participant took over")
		reply.Registration = r.message
		return reply
	case r.message.Shard == nil && (r.since.IsZero() || now.Sub(r.since) < s.limits.Resume):
		return refusal(starlingv1.Code_UNAVAILABLE, "the session is being opened")
	case r.message.Shard == nil:
		return refusal(starlingv1.Code_NO_SUCH_ENTITY, "the session was never opened")
	}
	return &clusterv1.ControlReply{
		Code: starlingv1.Code_APPLIED, Registration: r.message, Generation: r.message.Generation, Attachment: s.attachments,
	}
}

func (s *Shard) setRegistration(now time.Time, m *clusterv1.Registration) {
	s.open.record.Registrations = append(s.open.record.Registrations, m)
	s.open.dirty = true
	s.keepRegistration(now, m)
}

// keepRegistration applies a registration; one without a session means: forget.
func (s *Shard) keepRegistration(now time.Time, m *clusterv1.Registration) {
	if m.Session == 0 {
		delete(s.registrations, m.Participant)
		return
	}
	s.registrations[m.Participant] = &registration{message: m, since: now}
}

// register tells the register where a session of this shard lives.
func (s *Shard) register(x *session, gone bool) {
	if x.generation == 0 {
		return // opened without a claim
	}
	s.send(world.RegisterOf(x.participant), &clusterv1.Parcel{Is: &clusterv1.Parcel_Registration{Registration: &clusterv1.Registration{
		Participant: x.participant, Session: uint64(x.id), Generation: x.generation, Moves: x.moves, Shard: world.ShardMessage(s.id), Gone: gone,
	}}})
}

// registrationArrives takes news of where a session lives (at the register), or
// that a newer session of a participant exists (at other shards).
func (s *Shard) registrationArrives(now time.Time, in *clusterv1.Registration) {
	if !s.id.IsRegister() {
		s.superseded(now, in)
		return
	}
	r := s.registrations[in.GetParticipant()]
	if r != nil {
		was := r.message
		switch {
		case in.Generation < was.Generation:
			if !in.Gone && in.Shard != nil {
				s.supersede(in, was)
			}
			return
		case in.Generation == was.Generation && (in.Moves < was.Moves || was.Gone):
			return
		}
	}
	s.setRegistration(now, in)
}

// supersede tells the shard of an old session that a newer one took over.
func (s *Shard) supersede(old, current *clusterv1.Registration) {
	s.send(world.ShardOf(old.Shard), &clusterv1.Parcel{Is: &clusterv1.Parcel_Registration{Registration: &clusterv1.Registration{
		Participant: current.Participant, Session: current.Session, Generation: current.Generation,
	}}})
}

func (s *Shard) superseded(now time.Time, in *clusterv1.Registration) {
	for _, x := range s.sessions {
		if x.participant == in.GetParticipant() && x.generation != 0 && x.generation < in.Generation {
			s.begin(now, nil, time.Time{})
			s.end(x, clusterv1.SessionClosed_FENCED, cause{})
		}
	}
}

// forgetParticipants drops those who are gone for long, and claims that no
// session followed.
func (s *Shard) forgetParticipants(now time.Time) {
	for participant, r := range s.registrations {
		if r.since.IsZero() {
			r.since = now
			continue
		}
		if (r.message.Gone || r.message.Shard == nil) && now.Sub(r.since) > s.limits.ForgetParticipants {
			delete(s.registrations, participant)
			s.open.record.Registrations = append(s.open.record.Registrations, &clusterv1.Registration{Participant: participant, Gone: true})
			s.later(now)
		}
	}
}
