package actions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

func move(number uint64, pose *starlingv1.Pose) *starlingv1.Act {
	return &starlingv1.Act{Number: number, Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose}}}
}

// border gives two positions a few metres apart in two shards.
func border(t *testing.T) (a, b world.Geo) {
	t.Helper()
	here, _ := shardAt(t, taipei)
	for step := 0; step < 100_000; step++ {
		a = world.Geo{Lat: taipei.Lat + float64(step)*1e-5, Lng: taipei.Lng}
		b = world.Geo{Lat: a.Lat + 12e-5, Lng: taipei.Lng}
		if there, _ := shardAt(t, b); there != here {
			if at, _ := shardAt(t, a); at == here {
				return a, b
			}
		}
	}
	t.Fatal("no border found")
	return a, b
}

// Guards against a crossing that loses the session, what is held, or the count
// of actions; and against actions on targets beyond the border.
func TestCrossingAndActingAcrossABorder(t *testing.T) {
	b := newBench(t, func(o *actions.Options) { o.Limits = actions.Limits{Speed: 1000, SpeedBurst: 1000} })
	at, over := border(t)
	here, cell := shardAt(t, at)
	there, _ := shardAt(t, over)
	b.attach(t, here, 7, geoPose(at), "spawn:any")
	b.attach(t, there, 8, geoPose(over))
	spawned := b.act(t, here, 7, &starlingv1.Act{Number: 1, Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "stone", Pose: geoPose(at)}}})
	stone := &starlingv1.Target{Entity: spawned.Entity, Cell: uint64(cell)}
	grabbed := b.act(t, there, 8, &starlingv1.Act{Number: 1, Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: stone}}})
	if grabbed.Code != starlingv1.Code_APPLIED || grabbed.Entity != stone.Entity {
		t.Fatalf("grab across the border: %v", grabbed)
	}
	back := b.act(t, there, 8, move(2, geoPose(at)))
	if back.Code != starlingv1.Code_APPLIED {
		t.Fatalf("move across the border: %v", back)
	}
	b.edge.await(t, "the arrival", func() bool {
		for _, n := range b.edge.notices {
			if n.Session == 8 && n.Arrived && world.ShardOf(n.Shard) == here {
				return true
			}
		}
		return false
	})
	if out := b.act(t, here, 8, speak(3, "here")); out.Code != starlingv1.Code_APPLIED {
		t.Fatalf("after the crossing: %v", out)
	}
	if out := b.act(t, here, 8, &starlingv1.Act{Number: 4, Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: stone.Entity}}}); out.Code != starlingv1.Code_APPLIED {
		t.Errorf("what was held did not come along: %v", out)
	}
	// Whoever still asks the shard that it left is shown the way.
	b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(there), Session: 8, Act: speak(5, "lost")})
	b.edge.await(t, "the forwarding address", func() bool {
		for _, o := range b.edge.outcomes {
			if o.Outcome.Number == 5 && o.MovedTo != nil && world.ShardOf(o.MovedTo) == here {
				return true
			}
		}
		return false
	})
}

func localPose(east, north float32) *starlingv1.Pose {
	return &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{East: east, North: north}}}}
}

// Guards against places that leak into the map, take in too many, or outlive
// their end.
func TestPlacesAreMadeJoinedLimitedAndClosed(t *testing.T) {
	b := newBench(t, nil)
	home, _ := shardAt(t, taipei)
	b.attach(t, home, 7, geoPose(taipei), "place:create")
	place := &starlingv1.Place{Name: "arena", Anchor: &starlingv1.Geo{Latitude: 25, Longitude: 121}, Extent: 50, Capacity: 1, Access: "arena"}
	made := b.act(t, home, 7, &starlingv1.Act{Number: 1, Function: &starlingv1.Act_CreatePlace{CreatePlace: &starlingv1.CreatePlace{Place: place}}})
	if made.Code != starlingv1.Code_APPLIED || made.Entity == 0 {
		t.Fatalf("create: %v", made)
	}
	arena := world.ShardID{Place: world.PlaceID(made.Entity)}
	info := b.control(t, arena, &clusterv1.Control{Kind: &clusterv1.Control_PlaceInfo{PlaceInfo: &clusterv1.PlaceInfo{}}})
	if info.Place.GetName() != "arena" || info.Place.GetId() != made.Entity {
		t.Errorf("info: %v", info)
	}
	join := func(session uint64, pose *starlingv1.Pose, scopes ...string) *clusterv1.ControlReply {
		return b.control(t, arena, &clusterv1.Control{Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
			Session: session, Participant: "p", Gateway: b.edge.node, Pose: pose, Scopes: scopes}}})
	}
	for _, c := range []struct {
		what string
		got  *clusterv1.ControlReply
		want starlingv1.Code
	}{
		{"without the scope", join(20, localPose(0, 0)), starlingv1.Code_FORBIDDEN},
		{"outside", join(21, localPose(100, 0), "arena"), starlingv1.Code_OUTSIDE_PLACE},
		{"with a position of the map", join(22, geoPose(taipei), "arena"), starlingv1.Code_INVALID},
		{"rightly", join(23, localPose(1, 1), "arena"), starlingv1.Code_APPLIED},
		{"when it is full", join(24, localPose(0, 0), "arena"), starlingv1.Code_LIMIT},
	} {
		if c.got.Code != c.want {
			t.Errorf("joining %s: %v %s, want %v", c.what, c.got.Code, c.got.Message, c.want)
		}
	}
	if out := b.act(t, arena, 23, move(1, localPose(49, 49))); out.Code != starlingv1.Code_TOO_FAST && out.Code != starlingv1.Code_OUTSIDE_PLACE {
		t.Errorf("moving out of the place: %v", out)
	}
	closing := &starlingv1.Act{Number: 2, Function: &starlingv1.Act_ClosePlace{ClosePlace: &starlingv1.ClosePlace{Place: made.Entity}}}
	if out := b.act(t, home, 7, closing); out.Code != starlingv1.Code_APPLIED {
		t.Fatalf("close: %v", out)
	}
	b.edge.await(t, "the close of the place", func() bool {
		for _, n := range b.edge.notices {
			if n.Session == 23 && n.Ended && n.Why == clusterv1.SessionClosed_PLACE_CLOSED {
				return true
			}
		}
		return false
	})
	if r := join(25, localPose(0, 0), "arena"); r.Code != starlingv1.Code_NO_SUCH_PLACE {
		t.Errorf("joining a closed place: %v", r)
	}
}

func (b *bench) claim(t *testing.T, participant string, session uint64, resume bool) *clusterv1.ControlReply {
	t.Helper()
	return b.control(t, world.RegisterOf(participant), &clusterv1.Control{Kind: &clusterv1.Control_Claim{Claim: &clusterv1.Claim{
		Participant: participant, Session: session, Resume: resume}}})
}

// Guards against two sessions of one participant, and against resuming what has
// ended.
func TestANewSessionOfAParticipantFencesTheOld(t *testing.T) {
	b := newBench(t, nil)
	id, _ := shardAt(t, taipei)
	open := func(session uint64) {
		claim := b.claim(t, "ann", session, false)
		r := b.control(t, id, &clusterv1.Control{Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
			Session: session, Participant: "ann", Gateway: b.edge.node, Pose: geoPose(taipei), Generation: claim.Generation}}})
		if r.Code != starlingv1.Code_APPLIED {
			t.Fatalf("attach: %v", r)
		}
	}
	lives := func(session uint64) func() bool {
		return func() bool {
			r := b.claim(t, "ann", session, true)
			return r.Code == starlingv1.Code_APPLIED && r.Registration.Shard != nil && world.ShardOf(r.Registration.Shard) == id
		}
	}
	open(31)
	waitFor(t, "the registration", lives(31))
	open(32) // the register alone sees to it that the old one ends
	b.edge.await(t, "the end of the old session", func() bool {
		for _, n := range b.edge.notices {
			if n.Session == 31 && n.Ended && n.Why == clusterv1.SessionClosed_FENCED {
				return true
			}
		}
		return false
	})
	waitFor(t, "the new registration", lives(32))
	if r := b.claim(t, "ann", 31, true); r.Code != starlingv1.Code_FORBIDDEN || r.Registration.Session != 32 {
		t.Errorf("resuming the old session: %v", r)
	}
	b.act(t, id, 32, &starlingv1.Act{Number: 1, Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}})
	waitFor(t, "the session to be gone", func() bool {
		return b.claim(t, "ann", 32, true).Code == starlingv1.Code_NO_SUCH_ENTITY
	})
}

// Guards against avatars that stay behind when nobody renews their sessions.
func TestSessionsThatNobodyRenewsLeave(t *testing.T) {
	b := newBench(t, func(o *actions.Options) { o.Limits = actions.Limits{Resume: 50 * time.Millisecond} })
	id, cell := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei))
	b.edge.await(t, "the end of the session", func() bool {
		return len(b.edge.notices) == 1 && b.edge.notices[0].Why == clusterv1.SessionClosed_ABSENT
	})
	if steps := b.read(t, id, cell); len(steps.Steps) != 0 {
		t.Errorf("the avatar is still there: %v", steps)
	}
}

// Guards against numbers that run twice, out of order, or hang.
func TestNumbers(t *testing.T) {
	b := newBench(t, nil)
	id, _ := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei))
	b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: 7, Act: speak(3, "three")})
	b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: 7, Act: speak(2, "two")})
	b.act(t, id, 7, speak(1, "one"))
	b.edge.await(t, "all three", func() bool { return len(b.edge.outcomes) == 3 })
	for i, o := range b.edge.outcomes {
		if o.Outcome.Number != uint64(i+1) || o.Outcome.Code != starlingv1.Code_APPLIED {
			t.Errorf("outcome %d is %v", i, o.Outcome)
		}
	}
	if out := b.act(t, id, 7, speak(9, "nine")); out.Code != starlingv1.Code_OUT_OF_ORDER || out.Expected != 4 {
		t.Errorf("a number ahead: %v", out)
	}
}

// Guards against a function of a game's own that fails, or breaks the rules.
func TestAGamesOwnFunctions(t *testing.T) {
	registry := actions.NewRegistry()
	for _, f := range []actions.Function{
		{Name: "fail", Run: func(c *actions.Call) actions.Result {
			_ = c.SetInteger(c.Actor(), "health", 0)
			panic("on purpose")
		}},
		{Name: "mark", Scope: "game", Run: func(c *actions.Call) actions.Result {
			n := int64(0)
			for e := range c.Near(c.Actor().Pose().Position, 30) {
				n++
				if err := c.SetInteger(e, "marked", 1); err != nil {
					return shard.Refuse(starlingv1.Code_REJECTED, "%v", err)
				}
			}
			_ = c.Emit(c.Actor(), "marked", c.Arguments())
			return actions.Result{Code: starlingv1.Code_APPLIED, Bytes: []byte(strings.Repeat("x", int(n)))}
		}},
	} {
		if err := registry.Register(f); err != nil {
			t.Fatal(err)
		}
	}
	if registry.Register(actions.Function{Name: "move", Run: func(*actions.Call) actions.Result { return shard.Applied() }}) == nil {
		t.Error("a built-in function was replaced")
	}
	b := newBench(t, func(o *actions.Options) { o.Registry = registry })
	id, cell := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei), "game")
	b.attach(t, id, 8, geoPose(taipei))
	call := func(session, number uint64, name string) *starlingv1.Outcome {
		return b.act(t, id, session, &starlingv1.Act{Number: number, Function: &starlingv1.Act_Call{Call: &starlingv1.Call{Function: name, Arguments: []byte("a")}}})
	}
	if out := call(7, 1, "fail"); out.Code != starlingv1.Code_FAILED {
		t.Errorf("a panic ended as %v", out)
	}
	if out := call(7, 2, "mark"); out.Code != starlingv1.Code_APPLIED || len(out.Result) != 2 {
		t.Errorf("mark: %v", out)
	}
	if out := call(8, 1, "mark"); out.Code != starlingv1.Code_FORBIDDEN {
		t.Errorf("without the scope: %v", out)
	}
	if out := call(8, 2, "nothing"); out.Code != starlingv1.Code_UNKNOWN_FUNCTION {
		t.Errorf("an unknown function: %v", out)
	}
	for _, step := range b.read(t, id, cell).Steps {
		if values := step.GetUpdate().Attributes.GetValues(); values["health"] != nil || values["marked"].GetInteger() != 1 {
			t.Errorf("attributes are %v", values)
		}
	}
}

// Guards against places that are in the store because somebody asked for them.
func TestAskingForAPlaceThatWasNeverMadeLeavesNothing(t *testing.T) {
	b := newBench(t, nil)
	nowhere := world.ShardID{Place: 12345}
	r := b.control(t, nowhere, &clusterv1.Control{Kind: &clusterv1.Control_PlaceInfo{PlaceInfo: &clusterv1.PlaceInfo{}}})
	if r.Code != starlingv1.Code_NO_SUCH_PLACE {
		t.Errorf("info: %v", r)
	}
	waitFor(t, "the shard to be gone", func() bool { return len(b.Shards()) == 0 })
	r = b.control(t, nowhere, &clusterv1.Control{Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{Session: 5, Participant: "p"}}})
	if r.Code != starlingv1.Code_NO_SUCH_PLACE {
		t.Errorf("attach: %v", r)
	}
	if holder, err := b.log.Tail(t.Context(), nowhere); err != nil || holder.Epoch != 0 {
		t.Errorf("the store has %v (%v)", holder, err)
	}
}

// Guards against metres that the cells of a place do not know.
func TestPlacePositionsFindTheirCells(t *testing.T) {
	b := newBench(t, func(o *actions.Options) { o.Limits = actions.Limits{SpeedBurst: 1e6} })
	home, _ := shardAt(t, taipei)
	b.attach(t, home, 7, geoPose(taipei), "place:create")
	place := &starlingv1.Place{Id: 5, Name: "antimeridian", Anchor: &starlingv1.Geo{Latitude: 60, Longitude: 180}, Extent: 5000, Capacity: 9}
	b.act(t, home, 7, &starlingv1.Act{Number: 1, Function: &starlingv1.Act_CreatePlace{CreatePlace: &starlingv1.CreatePlace{Place: place}}})
	attached := b.attach(t, world.ShardID{Place: 5}, 9, localPose(3000, 0))
	want, err := hex.Cell(60, -180+3000/(111195.08*0.5), 10)
	if err != nil || attached.Cell != uint64(want) {
		t.Errorf("the cell is %x, want %x (%v)", attached.Cell, want, err)
	}
}
