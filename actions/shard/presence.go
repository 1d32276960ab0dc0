package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

const (
	// stall is how late a look at who is present may be before it counts as the
	// process having stood still.
	stall            = 2 * time.Second
	digestEvery      = 250 * time.Millisecond
	digestsPerChange = 3 // a lost digest is made good by the next
	presenceEvery    = time.Second
)

// Renew keeps sessions present.
func (s *Shard) Renew(now time.Time, in *clusterv1.Renew) {
	for _, raw := range in.GetSessions() {
		id := world.SessionID(raw)
		x := s.sessions[id]
		switch {
		case x != nil && x.gateway == in.Gateway:
			x.renewed = now
		case x != nil:
		default:
			s.renewUnknown(now, id, in.Gateway)
		}
	}
}

func (s *Shard) renewUnknown(now time.Time, id world.SessionID, gateway string) {
	if f, ok := s.forwarding[id]; ok {
		s.soon(f.batch, Tell{Gateway: gateway, Notice: &clusterv1.SessionNotice{Session: uint64(id), Shard: world.ShardMessage(f.to), Arrived: true, Moves: f.moves}})
		return
	}
	if was, ok := s.ended[id]; ok {
		s.sayEnded(id, gateway, was.why)
		return
	}
	if !s.mayArrive(now, id) {
		delete(s.unknown, id)
		s.sayEnded(id, gateway, clusterv1.SessionClosed_ABSENT)
	}
}

// mayArrive says whether a session that is not here may be on its way: it did
// not end here, and was not asked for in vain for long.
func (s *Shard) mayArrive(now time.Time, id world.SessionID) bool {
	if _, gone := s.ended[id]; gone {
		return false
	}
	since, asked := s.unknown[id]
	if !asked && len(s.unknown) < s.limits.Sessions {
		s.unknown[id] = now
	}
	return !asked || now.Sub(since) < s.limits.Resume/2
}

func (s *Shard) sayEnded(id world.SessionID, gateway string, why clusterv1.SessionClosed_Why) {
	s.soon(s.newest(), Tell{Gateway: gateway, Notice: &clusterv1.SessionNotice{
		Session: uint64(id), Shard: world.ShardMessage(s.id), Ended: true, Why: why,
	}})
}

// TickDue says whether Tick has something to do.
func (s *Shard) TickDue(now time.Time) bool {
	return !s.nextExpiry.IsZero() && !now.Before(s.nextExpiry) || !now.Before(s.nextPresence) || s.owing && !now.Before(s.nextResend) ||
		len(s.changed) > 0 && !now.Before(s.nextDigest) || !s.open.lazy.IsZero() && now.Sub(s.open.lazy) >= lazyFor
}

// Tick lets time pass. The digest is to be published if it is due.
func (s *Shard) Tick(now time.Time) (digest pubsub.Digest, due bool) {
	if !s.nextExpiry.IsZero() && !now.Before(s.nextExpiry) {
		s.expireAll(now)
	}
	if !now.Before(s.nextPresence) {
		if late := now.Sub(s.nextPresence); late > stall {
			s.forgive(now, late)
		}
		s.nextPresence = now.Add(presenceEvery)
		s.absent(now)
		s.forget(now)
	}
	if s.owing && !now.Before(s.nextResend) {
		s.resend(now)
	}
	if !now.Before(s.nextDigest) && len(s.changed) > 0 {
		s.nextDigest = now.Add(digestEvery)
		return s.digest(now), true
	}
	return pubsub.Digest{}, false
}

func (s *Shard) expireAll(now time.Time) {
	s.nextExpiry = time.Time{}
	s.expireStrangers(now)
	for _, g := range s.strangers {
		s.expiresAt(g.until)
	}
	for _, x := range s.sessions {
		if len(x.waiting) == 0 {
			continue
		}
		s.expire(now, x)
		for i := range x.waiting {
			s.expiresAt(x.waiting[i].until)
		}
	}
}

// forgive leaves a time in which this process stood still out of the account of
// who was renewed when: renewals may wait behind this very tick.
func (s *Shard) forgive(now time.Time, late time.Duration) {
	for _, x := range s.sessions {
		if x.renewed = x.renewed.Add(late); x.renewed.After(now) {
			x.renewed = now
		}
	}
	for id, since := range s.unknown {
		s.unknown[id] = since.Add(late)
	}
}

// absent ends the sessions that no gateway renewed for the resume time.
func (s *Shard) absent(now time.Time) {
	for _, x := range s.sessions {
		if now.Sub(x.renewed) > s.limits.Resume {
			s.begin(now, nil, time.Time{})
			s.end(x, clusterv1.SessionClosed_ABSENT, cause{})
		}
	}
}

// forget drops what is kept only for stragglers.
func (s *Shard) forget(now time.Time) {
	keep := 2 * s.limits.Resume
	for id, f := range s.forwarding {
		if f.since.IsZero() {
			f.since = now
			s.forwarding[id] = f
		} else if now.Sub(f.since) > keep {
			delete(s.forwarding, id)
			s.open.record.ReleasedForwarding = append(s.open.record.ReleasedForwarding, uint64(id))
			s.later(now)
		}
	}
	for id, was := range s.ended {
		if was.renewed.IsZero() { // before this load
			was.renewed = now
			s.ended[id] = was
		} else if now.Sub(was.renewed) > keep {
			delete(s.ended, id)
		}
	}
	for id, since := range s.unknown {
		if now.Sub(since) > keep {
			delete(s.unknown, id)
		}
	}
	s.forgetParticipants(now)
}

// later says that the open batch has something that can wait a while.
func (s *Shard) later(now time.Time) {
	if s.open.lazy.IsZero() {
		s.open.lazy = now
	}
}

// digest names the cells that changed lately.
func (s *Shard) digest(now time.Time) pubsub.Digest {
	d := pubsub.Digest{Fence: s.fence(), Sent: now, Cells: make([]pubsub.CellSequence, 0, len(s.changed))}
	kept := s.changed[:0]
	for _, c := range s.changed {
		d.Cells = append(d.Cells, pubsub.CellSequence{Cell: c.id, Sequence: c.committed})
		if c.digests--; c.digests > 0 {
			kept = append(kept, c)
		}
	}
	clear(s.changed[len(kept):])
	s.changed = kept
	return d
}

// WholeDigest names all cells with something in them: for the first moments of
// a new epoch.
func (s *Shard) WholeDigest(now time.Time) pubsub.Digest {
	d := pubsub.Digest{Fence: s.fence(), Sent: now}
	for _, c := range s.cells {
		d.Cells = append(d.Cells, pubsub.CellSequence{Cell: c.id, Sequence: c.committed})
	}
	return d
}
