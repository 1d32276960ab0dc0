package shard

import (
	"fmt"
	"slices"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// Act is an action on its way in.
type Act struct {
	Gateway  string // the node it came from
	Session  world.SessionID
	Act      *starlingv1.Act
	Arrived  time.Time // at a gateway
	Deadline time.Time // zero: none
}

type session struct {
	id          world.SessionID
	participant string
	scopes      []string
	avatar      *entity
	gateway     string
	generation  uint64
	moves       uint32
	attachment  uint64 // of the last Attach: one from a gateway that was overtaken is refused
	spawned     int    // entities here that it spawned
	last        uint64
	remembered  outcomes
	lastBatch   uint64    // the last batch that says something of it
	renewed     time.Time // when a gateway last said that it is present
	waiting     []waiting // actions beyond last, by number
	pending     *pending  // the action that another shard runs
}

// ended is what is known of a session that ended here.
type ended struct {
	renewed time.Time // zero: before this load
	why     clusterv1.SessionClosed_Why
}

type waiting struct {
	Act
	until time.Time
}

// pending is the action whose outcome another shard owes. Until it comes the
// session's number does not advance.
type pending struct {
	number  uint64
	target  world.ShardID
	arrived time.Time
}

// outcomes remembers the last 64 final outcomes of a session, whose numbers
// have no gaps.
type outcomes struct {
	kept  []remembered
	first uint64 // number of kept[0] when it was first filled
}

const remember = 64

type remembered struct {
	number uint64
	code   starlingv1.Code
	entity world.EntityID
	rest   *starlingv1.Outcome // whole, if there is more to it
}

func (o *outcomes) put(out *starlingv1.Outcome) {
	r := remembered{number: out.Number, code: out.Code, entity: world.EntityID(out.Entity)}
	if out.Message != "" || len(out.Result) > 0 {
		r.rest = out
	}
	if len(o.kept) == 0 {
		o.first = out.Number
	}
	if len(o.kept) < remember {
		o.kept = append(o.kept, r)
		return
	}
	o.kept[(out.Number-o.first)%remember] = r
}

func (o *outcomes) get(number uint64) *starlingv1.Outcome {
	if len(o.kept) == 0 || number < o.first {
		return nil
	}
	i := (number - o.first) % remember
	if i >= uint64(len(o.kept)) || o.kept[i].number != number {
		return nil
	}
	return o.kept[i].outcome()
}

func (r *remembered) outcome() *starlingv1.Outcome {
	if r.rest != nil {
		return &starlingv1.Outcome{Number: r.number, Code: r.code, Entity: uint64(r.entity), Message: r.rest.Message, Result: r.rest.Result}
	}
	return &starlingv1.Outcome{Number: r.number, Code: r.code, Entity: uint64(r.entity)}
}

// since gives the outcomes with numbers above number, in order.
func (o *outcomes) since(number uint64) []*starlingv1.Outcome {
	var all []*starlingv1.Outcome
	for i := range o.kept {
		if o.kept[i].number > number {
			all = append(all, o.kept[i].outcome())
		}
	}
	slices.SortFunc(all, func(a, b *starlingv1.Outcome) int { return compare(a.Number, b.Number) })
	return all
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (x *session) hasScope(scope string) bool { return hasScope(x.scopes, scope) }

func hasScope(scopes []string, scope string) bool {
	return scope == "" || slices.Contains(scopes, scope)
}

// Act takes an action. The Act itself is not kept, what it points to is.
func (s *Shard) Act(now time.Time, in *Act) {
	x := s.sessions[in.Session]
	if x == nil {
		s.strangerActs(now, in)
		return
	}
	n := in.Act.GetNumber()
	switch {
	case n == 0:
		s.refuse(x, in, &starlingv1.Outcome{Code: starlingv1.Code_INVALID, Message: "numbers start at 1"})
	case n <= x.last:
		s.repeat(x, in)
	case x.pending != nil && n == x.pending.number:
		// It is being run elsewhere; its outcome will come.
	case x.pending != nil || n > x.last+1:
		s.wait(now, x, in)
	default:
		s.run(now, x, in)
		s.runWaiting(now, x)
	}
}

// Refuse tells that an action was refused before it reached the shard, with a
// retryable code, after all earlier outcomes of its session.
func (s *Shard) Refuse(in *Act, code starlingv1.Code, retryAfter time.Duration, message string) {
	out := &starlingv1.Outcome{Code: code, Message: message, RetryAfterMs: uint32(retryAfter.Milliseconds())}
	if x := s.sessions[in.Session]; x != nil {
		s.refuse(x, in, out)
		return
	}
	out.Number = in.Act.GetNumber()
	s.soon(0, Tell{Gateway: in.Gateway, Arrived: in.Arrived, Outcome: &clusterv1.RoutedOutcome{Session: uint64(in.Session), Outcome: out}})
}

// refuse tells an outcome that changes nothing, after all earlier ones.
func (s *Shard) refuse(x *session, in *Act, out *starlingv1.Outcome) {
	out.Number = in.Act.GetNumber()
	s.soon(x.lastBatch, Tell{Gateway: s.gatewayOf(x, in), Arrived: in.Arrived, Outcome: &clusterv1.RoutedOutcome{Session: uint64(x.id), Outcome: out}})
}

func (s *Shard) gatewayOf(x *session, in *Act) string {
	if x.gateway != "" {
		return x.gateway
	}
	return in.Gateway
}

func (s *Shard) repeat(x *session, in *Act) {
	out := x.remembered.get(in.Act.GetNumber())
	if out == nil {
		out = &starlingv1.Outcome{Code: starlingv1.Code_INVALID, Message: fmt.Sprintf("number %d was used long ago; the next is %d", in.Act.GetNumber(), x.last+1)}
	}
	out.Repeated = true
	s.refuse(x, in, out)
}

// wait keeps an action whose turn has not come.
func (s *Shard) wait(now time.Time, x *session, in *Act) {
	n := in.Act.GetNumber()
	at, found := slices.BinarySearchFunc(x.waiting, n, func(w waiting, n uint64) int { return compare(w.Act.Act.GetNumber(), n) })
	if found {
		return
	}
	if len(x.waiting) >= s.limits.Held || n > x.last+uint64(2*s.limits.Held) {
		s.outOfOrder(x, in)
		return
	}
	until := now.Add(s.limits.HeldFor)
	if x.pending != nil {
		until = now.Add(s.limits.ForwardPatience)
		if f := s.function(in.Act); f != nil && f.Hard && !in.Deadline.IsZero() && in.Deadline.Before(until) {
			until = in.Deadline
		}
	}
	x.waiting = slices.Insert(x.waiting, at, waiting{*in, until})
	s.expiresAt(until)
}

func (s *Shard) outOfOrder(x *session, in *Act) {
	s.refuse(x, in, &starlingv1.Outcome{
		Code: starlingv1.Code_OUT_OF_ORDER, Expected: x.last + 1,
		Message: fmt.Sprintf("expected number %d", x.last+1),
	})
}

func (s *Shard) runWaiting(now time.Time, x *session) {
	for len(x.waiting) > 0 && x.pending == nil && s.sessions[x.id] == x {
		in := x.waiting[0].Act
		if in.Act.GetNumber() > x.last+1 {
			return
		}
		x.waiting[0] = waiting{}
		x.waiting = x.waiting[1:]
		if len(x.waiting) == 0 {
			x.waiting = nil
		}
		if in.Act.GetNumber() <= x.last {
			s.repeat(x, &in)
			continue
		}
		last := x.last
		s.run(now, x, &in)
		if x.last == last && x.pending == nil {
			return // refused for now: the later ones wait for it to be sent again
		}
	}
}

// expire refuses what has waited too long.
func (s *Shard) expire(now time.Time, x *session) {
	kept := x.waiting[:0]
	for i := range x.waiting {
		w := x.waiting[i]
		switch {
		case now.Before(w.until):
			kept = append(kept, w)
		case x.pending != nil:
			s.refuse(x, &w.Act, &starlingv1.Outcome{
				Code: starlingv1.Code_UNAVAILABLE, RetryAfterMs: 50,
				Message: fmt.Sprintf("number %d is still under way in another shard", x.pending.number),
			})
		default:
			s.outOfOrder(x, &w.Act)
		}
	}
	clear(x.waiting[len(kept):])
	x.waiting = kept
	if len(kept) == 0 {
		x.waiting = nil
	}
}

// finish makes an outcome final: committed, remembered, told.
func (s *Shard) finish(x *session, arrived time.Time, out *starlingv1.Outcome) {
	told := &struct {
		routed  clusterv1.RoutedOutcome
		outcome starlingv1.Outcome
	}{}
	o := &told.outcome
	o.Number, o.Code, o.Message, o.Entity, o.Result = out.Number, out.Code, out.Message, out.Entity, out.Result
	told.routed.Session, told.routed.Outcome = uint64(x.id), o
	if x.avatar != nil {
		told.routed.Cell = uint64(x.avatar.cell)
	}
	x.last = o.Number
	x.remembered.put(o)
	x.lastBatch = s.open.sequence
	s.actions++
	s.sayOutcome(x.id, o)
	s.open.tells = append(s.open.tells, Tell{Gateway: x.gateway, Arrived: arrived, Outcome: &told.routed})
}

// stranger is a session that is not here but may be on its way.
type stranger struct {
	acts  []Act
	until time.Time
}

func (s *Shard) strangerActs(now time.Time, in *Act) {
	if f, ok := s.forwarding[in.Session]; ok {
		s.movedTo(in, f)
		return
	}
	if was, ok := s.ended[in.Session]; ok && was.why == clusterv1.SessionClosed_LEFT && in.Act.GetLeave() != nil {
		s.leftAlready(in)
		return
	}
	g := s.strangers[in.Session]
	if g == nil {
		g = &stranger{until: now.Add(s.limits.HeldFor)}
	}
	if _, gone := s.ended[in.Session]; gone || len(g.acts) >= s.limits.Held || s.strangeActs >= s.limits.Strangers {
		s.notMine(in)
		return
	}
	g.acts = append(g.acts, *in)
	s.strangeActs++
	s.strangers[in.Session] = g
	s.expiresAt(g.until)
}

// leftAlready answers who asks again to leave because the answer was lost: the
// session, and what it remembered, ended with the first time.
func (s *Shard) leftAlready(in *Act) {
	s.soon(s.newest(), Tell{Gateway: in.Gateway, Arrived: in.Arrived, Outcome: &clusterv1.RoutedOutcome{
		Session: uint64(in.Session), Outcome: &starlingv1.Outcome{Number: in.Act.GetNumber(), Code: starlingv1.Code_APPLIED, Repeated: true},
	}})
	s.sayEnded(in.Session, in.Gateway, clusterv1.SessionClosed_LEFT)
}

func (s *Shard) movedTo(in *Act, f forwarding) {
	s.soon(f.batch, Tell{Gateway: in.Gateway, Arrived: in.Arrived, Outcome: &clusterv1.RoutedOutcome{
		Session: uint64(in.Session), MovedTo: world.ShardMessage(f.to),
		Outcome: &starlingv1.Outcome{Number: in.Act.GetNumber(), Code: starlingv1.Code_UNAVAILABLE, Message: "the session moved to another shard"},
	}})
}

func (s *Shard) notMine(in *Act) {
	s.soon(0, Tell{Gateway: in.Gateway, NotMine: &clusterv1.NotMine{
		Shard: world.ShardMessage(s.id), Session: uint64(in.Session), Number: in.Act.GetNumber(), Later: true, Owner: s.config.Node,
	}})
}

// arrivedSession runs what came before its session did.
func (s *Shard) arrivedSession(now time.Time, x *session) {
	g := s.strangers[x.id]
	if g == nil {
		return
	}
	delete(s.strangers, x.id)
	s.strangeActs -= len(g.acts)
	for i := range g.acts {
		s.Act(now, &g.acts[i])
	}
}

func (s *Shard) expireStrangers(now time.Time) {
	for id, g := range s.strangers {
		if now.Before(g.until) {
			continue
		}
		for i := range g.acts {
			s.notMine(&g.acts[i])
		}
		s.strangeActs -= len(g.acts)
		delete(s.strangers, id)
	}
}

func (s *Shard) expiresAt(t time.Time) {
	if s.nextExpiry.IsZero() || t.Before(s.nextExpiry) {
		s.nextExpiry = t
	}
}
