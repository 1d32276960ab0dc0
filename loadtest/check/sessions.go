package check

import (
	"cmp"
	"slices"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// period is the time that a session lives in one shard.
type period struct {
	session    world.SessionID
	shard      world.ShardID
	from       uint64
	moves      uint32
	arrived    bool
	snapshot   bool
	first      uint64 // last number when it began
	last       uint64
	closed     bool
	until      uint64
	why        clusterv1.SessionClosed_Why
	to         world.ShardID
	remembered []*clusterv1.SessionOutcome
}

// loggedOutcome is a final outcome as committed.
type loggedOutcome struct {
	Outcome
	shard    world.ShardID
	sequence uint64
}

func (c *checker) openPeriod(s *shard, at uint64, opened *clusterv1.SessionOpened) *period {
	id := world.SessionID(opened.Session)
	p := &period{
		session: id, shard: s.ID, from: at, moves: opened.Moves, arrived: opened.Arrived,
		first: opened.Last, last: opened.Last, remembered: opened.Remembered,
	}
	if opened.Avatar != 0 {
		c.avatars[id] = world.EntityID(opened.Avatar)
	}
	s.open[id] = p
	c.periods[id] = append(c.periods[id], p)
	return p
}

// sessionBatch applies what a batch says of sessions: openings, outcomes,
// endings, in this order.
func (c *checker) sessionBatch(s *shard, e *Entry, parcels []*parcel) {
	for _, opened := range e.Batch.SessionsOpened {
		c.opened(s, e, opened, parcels)
	}
	for _, out := range e.Batch.Outcomes {
		c.outcome(s, e, out)
	}
	for _, closed := range e.Batch.SessionsClosed {
		c.closed(s, e, closed)
	}
}

func (c *checker) opened(s *shard, e *Entry, opened *clusterv1.SessionOpened, parcels []*parcel) {
	id := world.SessionID(opened.Session)
	at := Violation{Shard: s.ID, Sequence: e.Sequence, Session: id}
	p := s.open[id]
	if opened.Participant == "" { // bound to another gateway
		if p == nil {
			at.Rule = SessionTwoHomes
			c.report(at, "bound to a gateway where it is not")
		}
		return
	}
	if p != nil {
		at.Rule = SessionTwoHomes
		c.report(at, "opened where it is open already")
	}
	if opened.Arrived && !slices.ContainsFunc(parcels, func(p *parcel) bool { return sessionIn(p.Parcel).GetSession() == opened.Session }) {
		at.Rule = SessionTwoHomes
		c.report(at, "arrived, and no parcel of this batch brought it")
	}
	c.openPeriod(s, e.Sequence, opened)
}

func (c *checker) outcome(s *shard, e *Entry, in *clusterv1.SessionOutcome) {
	id := world.SessionID(in.Session)
	out := OutcomeOf(in.GetOutcome())
	at := Violation{Shard: s.ID, Sequence: e.Sequence, Session: id, Number: out.Number}
	p := s.open[id]
	switch {
	case p == nil:
		at.Rule = SessionTwoHomes
		c.report(at, "an outcome where the session is not")
	case out.Number != p.last+1:
		at.Rule = SessionNumbers
		c.report(at, "final after %d", p.last)
	case !final(out.Code) || out.Code == starlingv1.Code_CODE_UNSPECIFIED:
		at.Rule = SessionNumbers
		c.report(at, "committed with code %v", out.Code)
	}
	if p != nil {
		p.last = max(p.last, out.Number)
	}
	key := actionKey{in.Session, out.Number}
	if before := c.outcomes[key]; before != nil {
		at.Rule = SessionNumbers
		c.report(at, "final twice: %v, and %v in %v at %d", out.Code, before.Code, before.shard, before.sequence)
		return
	}
	c.outcomes[key] = &loggedOutcome{Outcome: *out, shard: s.ID, sequence: e.Sequence}
}

func (c *checker) closed(s *shard, e *Entry, closed *clusterv1.SessionClosed) {
	id := world.SessionID(closed.Session)
	p := s.open[id]
	if p == nil {
		c.report(Violation{Rule: SessionTwoHomes, Shard: s.ID, Sequence: e.Sequence, Session: id}, "closed where it is not open")
		return
	}
	p.closed, p.until, p.why, p.to = true, e.Sequence, closed.Why, shardID(closed.ForwardTo)
	delete(s.open, id)
}

// checkSessions holds the periods of each session against each other: one
// serial history.
func (c *checker) checkSessions() {
	for id, periods := range c.periods {
		slices.SortStableFunc(periods, func(a, b *period) int { return cmp.Compare(a.moves, b.moves) })
		for i, p := range periods {
			if i == 0 {
				c.checkFirst(id, p)
			} else {
				c.checkNext(id, periods[i-1], p)
			}
			c.checkRemembered(id, p)
		}
		if p := periods[len(periods)-1]; c.Quiet && p.closed && p.why == clusterv1.SessionClosed_MOVED {
			c.report(Violation{Rule: SessionLost, Shard: p.shard, Sequence: p.until, Session: id}, "handed over to %v, and nowhere since", p.to)
		}
	}
}

func (c *checker) checkFirst(id world.SessionID, p *period) {
	at := Violation{Shard: p.shard, Sequence: p.from, Session: id}
	if p.snapshot || c.cut {
		return
	}
	if p.arrived {
		at.Rule = SessionTwoHomes
		c.report(at, "arrived from nowhere")
	} else if p.first != 0 {
		at.Rule = SessionNumbers
		c.report(at, "a new session whose last number is %d", p.first)
	}
}

func (c *checker) checkNext(id world.SessionID, before, p *period) {
	at := Violation{Shard: p.shard, Sequence: p.from, Session: id}
	switch {
	case !before.closed:
		at.Rule = SessionTwoHomes
		c.report(at, "still open in %v", before.shard)
	case before.why != clusterv1.SessionClosed_MOVED || before.to != p.shard || !p.arrived && !p.snapshot:
		at.Rule = SessionTwoHomes
		c.report(at, "it ended in %v (%v, to %v) and is open here", before.shard, before.why, before.to)
	case before.moves+1 != p.moves && !c.cut:
		at.Rule = HandoverCount
		c.report(at, "%d hand-overs follow %d", p.moves, before.moves)
	}
	if before.last != p.first && !p.snapshot {
		at.Rule, at.Number = SessionNumbers, p.first
		c.report(at, "handed over with last number %d, and %v had got to %d", p.first, before.shard, before.last)
	}
}

// checkRemembered looks whether what travelled with a session is what was
// committed.
func (c *checker) checkRemembered(id world.SessionID, p *period) {
	for _, in := range p.remembered {
		out := OutcomeOf(in.GetOutcome())
		logged := c.outcomes[actionKey{uint64(id), out.Number}]
		if logged == nil {
			if !c.cut {
				c.report(Violation{Rule: OutcomeDiffers, Shard: p.shard, Sequence: p.from, Session: id, Number: out.Number}, "remembered, and in no log")
			}
			continue
		}
		if logged.Code != out.Code || logged.Entity != out.Entity {
			c.report(Violation{Rule: OutcomeDiffers, Shard: p.shard, Sequence: p.from, Session: id, Number: out.Number},
				"remembered as %v, committed as %v", out.Code, logged.Code)
		}
	}
}
