package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// swallowUntil makes an owner that says nothing until then.
func swallowUntil(then chan struct{}) func(actions.Edge, *clusterv1.RoutedAct) bool {
	return func(actions.Edge, *clusterv1.RoutedAct) bool {
		select {
		case <-then:
			return false
		default:
			return true
		}
	}
}

func TestResume(t *testing.T) {
	r := newRig(t, nil)
	c, welcome := r.join("ann")
	c.act(move(1, startLatitude, startLongitude))
	c.outcome(1)
	c.act(speak(2, "hi"))
	c.outcome(2)
	_ = c.ws.Close()
	eventually(t, "the owner hears of the break", func() bool { return r.owner.detached.Load() == 1 })

	again := r.dial(false)
	h := r.hello("ann")
	h.Resume, h.LastNumber = welcome.Session, 1
	second := again.greet(h)
	if !second.Resumed || second.Session != welcome.Session || second.Avatar != welcome.Avatar || second.NextNumber != 3 {
		t.Errorf("resumed: %v", second)
	}
	if o := again.outcome(2); !o.Repeated || o.Code != starlingv1.Code_APPLIED {
		t.Errorf("the outcome that was missed: %v", o)
	}
	again.act(move(3, startLatitude, startLongitude))
	if o := again.outcome(3); o.Code != starlingv1.Code_APPLIED {
		t.Errorf("after the resume: %v", o)
	}
}

// Resuming while the old connection still seems to be there takes its place.
func TestResumeOverHalfOpenConnection(t *testing.T) {
	r := newRig(t, nil)
	old, welcome := r.join("ann")
	again := r.dial(false)
	h := r.hello("ann")
	h.Resume = welcome.Session
	again.greet(h)
	old.wantClosed(starlingv1.CloseCode_FENCED)
	_ = old.ws.Close()
	eventually(t, "the old connection is gone", func() bool { return r.gateway.Connections() == 1 })
	again.act(move(1, startLatitude, startLongitude))
	again.outcome(1)
	if n := r.owner.detached.Load(); n != 0 {
		t.Errorf("the old connection detached the session %d times", n)
	}
}

func TestNewSessionFencesTheOld(t *testing.T) {
	r := newRig(t, nil)
	old, welcome := r.join("ann")
	_, second := r.join("ann")
	if second.Session == welcome.Session || second.Resumed {
		t.Errorf("second session: %v", second)
	}
	old.wantClosed(starlingv1.CloseCode_FENCED)
	late := r.dial(false)
	h := r.hello("ann")
	h.Resume = welcome.Session
	late.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: h}})
	late.wantClosed(starlingv1.CloseCode_FENCED)
}

func TestLeave(t *testing.T) {
	r := newRig(t, nil)
	c, _ := r.join("ann")
	c.act(&starlingv1.Act{Number: 1, Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}})
	if o := c.outcome(1); o.Code != starlingv1.Code_APPLIED {
		t.Errorf("leave: %v", o)
	}
	c.wantClosed(starlingv1.CloseCode_LEFT_WORLD)
	if n := r.owner.detached.Load(); n != 0 {
		t.Error("a session that left was detached")
	}
}

func TestPlaceClosed(t *testing.T) {
	r := newRig(t, nil)
	c, welcome := r.join("ann")
	r.gateway.Edge().SessionNotice(&clusterv1.SessionNotice{Session: welcome.Session, Ended: true, Why: clusterv1.SessionClosed_PLACE_CLOSED})
	c.wantClosed(starlingv1.CloseCode_PLACE_CLOSED)
}

// While a shard moves, its owner says "later": the client sees only the
// outcomes, in order.
func TestNotMineIsSentAgain(t *testing.T) {
	r := newRig(t, nil)
	c, _ := r.join("ann")
	var refused atomic.Int64
	r.owner.intercept(func(from actions.Edge, act *clusterv1.RoutedAct) bool {
		if refused.Add(1) > 20 {
			return false
		}
		from.NotMine(&clusterv1.NotMine{Shard: act.Shard, Session: act.Session, Number: act.Act.Number, Later: true})
		return true
	})
	for n := range uint64(5) {
		c.act(move(n+1, startLatitude, startLongitude))
	}
	for n := range uint64(5) {
		m := c.until(func(m *starlingv1.ServerMessage) bool { return m.GetOutcome() != nil })
		if o := m.GetOutcome(); o.Number != n+1 || o.Code != starlingv1.Code_APPLIED {
			t.Fatalf("outcome %v, want number %d applied", o, n+1)
		}
	}
}

// A session that moved is followed; new actions go to its new home.
func TestMovedTo(t *testing.T) {
	r := newRig(t, nil)
	c, _ := r.join("ann")
	next := world.ShardID{Cell: 0x8700000000000ff}
	var followed atomic.Int64
	r.owner.intercept(func(from actions.Edge, act *clusterv1.RoutedAct) bool {
		if world.ShardOf(act.Shard) == next {
			followed.Add(1)
			return false
		}
		from.Outcome(&clusterv1.RoutedOutcome{Session: act.Session, MovedTo: world.ShardMessage(next),
			Outcome: &starlingv1.Outcome{Number: act.Act.Number, Code: starlingv1.Code_UNAVAILABLE}})
		return true
	})
	for n := range uint64(3) {
		c.act(move(n+1, startLatitude, startLongitude))
	}
	for n := range uint64(3) {
		m := c.until(func(m *starlingv1.ServerMessage) bool { return m.GetOutcome() != nil })
		if o := m.GetOutcome(); o.Number != n+1 || o.Code != starlingv1.Code_APPLIED {
			t.Fatalf("outcome %v", o)
		}
	}
	if followed.Load() < 3 {
		t.Errorf("%d actions reached the new home", followed.Load())
	}
}

func TestUnavailableAfterTheBound(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RouteTime, c.ResendAfter = 300*time.Millisecond, 100*time.Millisecond })
	c, _ := r.join("ann")
	back := make(chan struct{})
	r.owner.intercept(swallowUntil(back))
	c.act(move(1, startLatitude, startLongitude))
	if o := c.outcome(1); o.Code != starlingv1.Code_UNAVAILABLE || o.RetryAfterMs == 0 {
		t.Errorf("outcome %v", o)
	}
	close(back)
	for { // a loaded machine may take longer than the bound again
		c.act(move(1, startLatitude, startLongitude))
		switch o := c.outcome(1); o.Code {
		case starlingv1.Code_UNAVAILABLE:
			continue
		case starlingv1.Code_APPLIED:
		default:
			t.Errorf("sent again: %v", o)
		}
		return
	}
}

// RoutesChanged sends again at once what the lost owner never answered.
func TestRoutesChanged(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RouteTime, c.ResendAfter = 30*time.Second, 20*time.Second })
	c, _ := r.join("ann")
	back := make(chan struct{})
	r.owner.intercept(swallowUntil(back))
	c.act(move(1, startLatitude, startLongitude))
	c.act(move(2, startLatitude, startLongitude))
	eventually(t, "both are under way", func() bool {
		n := 0
		r.gateway.sessions.each(func(s *session) { s.mu.Lock(); n = len(s.flights); s.mu.Unlock() })
		return n == 2
	})
	close(back)
	r.gateway.RoutesChanged(nil)
	c.outcome(1)
	c.outcome(2)
}

// An owner that cannot be reached closes a Hello as UNREACHABLE.
func TestUnreachable(t *testing.T) {
	r := newRig(t, func(c *Config) { c.OpenTime = 200 * time.Millisecond })
	r.owner.onControl = func(from actions.Edge, in *clusterv1.Control) bool {
		from.NotMine(&clusterv1.NotMine{Shard: in.Shard, Request: in.Request, Later: true})
		return true
	}
	c := r.dial(false)
	c.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: r.hello("ann")}})
	c.wantClosed(starlingv1.CloseCode_UNREACHABLE)
}

func TestRenew(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RenewEvery = 20 * time.Millisecond })
	r.join("ann")
	r.join("bob")
	eventually(t, "sessions are renewed", func() bool { return r.owner.renewed.Load() >= 6 })
}

// Walking far: cells that come into interest begin with a baseline, those that
// leave it are told.
func TestInterestFollowsTheAvatar(t *testing.T) {
	r := newRig(t, nil)
	far, farWelcome := r.join("far")
	far.act(move(1, startLatitude+0.05, startLongitude))
	far.outcome(1)
	walker, welcome := r.join("walker")
	before := map[uint64]bool{}
	walker.until(func(m *starlingv1.ServerMessage) bool {
		if f := m.GetFrame(); f.GetBaseline() {
			before[f.Cell] = true
		}
		return len(before) == 7
	})
	walker.act(move(1, startLatitude+0.05, startLongitude))
	after, unwatched, seen := map[uint64]bool{}, map[uint64]bool{}, false
	walker.until(func(m *starlingv1.ServerMessage) bool {
		f := m.GetFrame()
		switch {
		case f.GetUnwatched():
			unwatched[f.Cell] = true
		case f.GetBaseline() && !before[f.Cell]:
			after[f.Cell] = true
			seen = seen || updateOf(m, farWelcome.Avatar) != nil
		}
		return len(unwatched) == 7 && len(after) == 7
	})
	if !seen {
		t.Error("the one who stood there was not in the baseline")
	}
	far.until(func(m *starlingv1.ServerMessage) bool { return updateOf(m, welcome.Avatar) != nil })
	walker.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Interest{Interest: &starlingv1.Interest{Ring: 0}}})
	gone := 0
	walker.until(func(m *starlingv1.ServerMessage) bool {
		if m.GetFrame().GetUnwatched() {
			gone++
		}
		return gone == 6
	})
}

func TestDrain(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTime = 500 * time.Millisecond })
	one, _ := r.join("one")
	two, _ := r.join("two")
	done := make(chan error, 1)
	go func() { done <- r.gateway.Drain(context.Background()) }()
	one.until(func(m *starlingv1.ServerMessage) bool {
		n := m.GetNotice()
		return n.GetKind() == starlingv1.Notice_DRAINING && n.ReconnectMs <= 500
	})
	if ok, why := r.gateway.Ready(); ok || why == "" {
		t.Error("a draining gateway says that it is ready")
	}
	r.dial(false).wantClosed(starlingv1.CloseCode_GOING_AWAY)
	one.wantClosed(starlingv1.CloseCode_GOING_AWAY)
	two.wantClosed(starlingv1.CloseCode_GOING_AWAY)
	_ = one.ws.Close()
	_ = two.ws.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDrainCalledOff(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTime = time.Minute })
	c, _ := r.join("ann")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.gateway.Drain(ctx) }()
	c.until(func(m *starlingv1.ServerMessage) bool { return m.GetNotice().GetKind() == starlingv1.Notice_DRAINING })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.until(func(m *starlingv1.ServerMessage) bool { return m.GetNotice().GetKind() == starlingv1.Notice_RECOVERED })
	c.act(move(1, startLatitude, startLongitude))
	c.outcome(1)
	r.join("bob")
}

// Two owners' words may overtake each other: where the avatar is is what the
// later hand-over and the higher number say.
func TestLateWordOfAnEarlierShard(t *testing.T) {
	r := newRig(t, nil)
	_, welcome := r.join("ann")
	s := r.gateway.sessions.get(world.SessionID(welcome.Session))
	first, second := cellAt(startLatitude+0.1), cellAt(startLatitude+0.2)
	edge := r.gateway.Edge()
	told := func(number uint64, cell world.Cell) {
		edge.Outcome(&clusterv1.RoutedOutcome{Session: welcome.Session, Cell: uint64(cell),
			Outcome: &starlingv1.Outcome{Number: number, Code: starlingv1.Code_APPLIED}})
	}
	arrived := func(moves uint32, cell world.Cell) {
		edge.SessionNotice(&clusterv1.SessionNotice{Session: welcome.Session, Arrived: true, Moves: moves, Cell: uint64(cell),
			Shard: world.ShardMessage(r.owner.shards.Shard(0, cell))})
	}
	is := func(when string, want world.Cell) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cell != want {
			t.Errorf("after %s it is in %x, want %x", when, uint64(s.cell), uint64(want))
		}
	}
	told(2, second)
	told(1, first)
	is("a late outcome", second)
	arrived(3, second)
	arrived(2, first)
	is("a late arrival", second)
	if home := s.home(); home != r.owner.shards.Shard(0, second) {
		t.Errorf("it lives in %v", home)
	}
}

func cellAt(latitude float64) world.Cell {
	cell, err := hex.Cell(latitude, startLongitude, world.DefaultShardMap().CellResolution)
	if err != nil {
		panic(err)
	}
	return cell
}

// A session that ends while its connection is being opened: what was said before
// that is told, then why it ends.
func TestEndsWhileOpening(t *testing.T) {
	r := newRig(t, nil)
	r.owner.onControl = func(from actions.Edge, in *clusterv1.Control) bool {
		attach, ok := in.Kind.(*clusterv1.Control_Attach)
		if !ok {
			return false
		}
		r.owner.mu.Lock()
		defer r.owner.mu.Unlock()
		reply := &clusterv1.ControlReply{Request: in.Request, Code: starlingv1.Code_APPLIED}
		r.owner.attach(from, world.ShardOf(in.Shard), attach.Attach, reply)
		from.ControlReply(reply)
		session := attach.Attach.Session
		from.Outcome(&clusterv1.RoutedOutcome{Session: session, Outcome: &starlingv1.Outcome{Number: 1, Code: starlingv1.Code_APPLIED}})
		r.owner.end(session, clusterv1.SessionClosed_LEFT)
		return true
	}
	c := r.dial(false)
	c.greet(r.hello("ann"))
	if o := c.outcome(1); o.Code != starlingv1.Code_APPLIED {
		t.Errorf("outcome: %v", o)
	}
	c.wantClosed(starlingv1.CloseCode_LEFT_WORLD)
}
