package shard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

var middle = world.Geo{Lat: 25.0330, Lng: 121.5654}

func homeOf(t testing.TB, at world.Geo) world.ShardID {
	t.Helper()
	cell, err := hex.Cell(at.Lat, at.Lng, 10)
	if err != nil {
		t.Fatal(err)
	}
	return world.DefaultShardMap().Shard(0, cell)
}

// newShard makes an empty shard whose ids are 1000, 1001, ...
func newShard(id world.ShardID, limits shard.Limits) *shard.Shard {
	next := uint64(999)
	return shard.New(shard.Config{Shard: id, Map: world.DefaultShardMap(), Node: "owner", Limits: limits, Functions: functions(),
		NewID: func() uint64 { next++; return next }}, world.Tail{Epoch: 1, Claim: 1})
}

// settled commits what ran, if anything did, and gives all that is told.
func settled(s *shard.Shard, now time.Time) []shard.Tell {
	var tells []shard.Tell
	if _, ok := s.Seal(now); ok {
		tells = append(tells, s.Committed().Tells...)
		s.Told()
	}
	return s.Immediate(tells)
}

func open(s *shard.Shard, now time.Time, session uint64, name string, generation uint64) {
	s.Control(now, "gateway", &clusterv1.Control{Request: session, Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
		Session: session, Participant: name, Gateway: "gateway", Pose: pose(middle), Generation: generation}}})
}

// A parcel that got lost makes the target leave aside all that were sent after
// it. Guards against a backlog that only shrinks by one round of repeats a
// second, and so grows for good where more than that is sent.
func TestABusyOutboxRecoversFromOneLostParcel(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	source, register := newShard(homeOf(t, middle), shard.Limits{}), newShard(world.ShardID{Cell: 3}, shard.Limits{})
	lost := false
	deliver := func(tells []shard.Tell) {
		for len(tells) > 0 {
			var next []shard.Tell
			for _, tell := range tells {
				switch {
				case tell.Parcel != nil && !lost:
					lost = true
				case tell.Parcel != nil:
					register.Parcel(now, tell.Parcel)
				case tell.Ack != nil:
					source.ParcelAck(now, tell.Ack)
				}
			}
			next = append(next, settled(register, now)...)
			tells = append(next, settled(source, now)...)
		}
	}
	session := uint64(0)
	for n := 0; session < 2000; n++ {
		name := fmt.Sprint("participant ", n)
		if world.RegisterOf(name) != register.ID() {
			continue
		}
		session++
		open(source, now, session, name, 1)
		deliver(settled(source, now))
		if session%200 == 0 { // 200 a second
			now = now.Add(time.Second)
			source.Tick(now)
			deliver(settled(source, now))
		}
	}
	for range 2 {
		now = now.Add(time.Second)
		source.Tick(now)
		deliver(settled(source, now))
	}
	if left := source.Statistics().Outbox; left != 0 {
		t.Errorf("%d of %d parcels were not taken", left, session)
	}
}

func attach(s *shard.Shard, now time.Time, gateway string, session, attachment uint64, resume bool) *clusterv1.ControlReply {
	s.Control(now, gateway, &clusterv1.Control{Request: 77, Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
		Session: session, Participant: "ann", Gateway: gateway, Pose: pose(middle), Resume: resume, Attachment: attachment}}})
	for _, tell := range settled(s, now) {
		if tell.Reply.GetRequest() == 77 {
			return tell.Reply
		}
	}
	return nil
}

// A gateway that stood still asks once more, after the client resumed elsewhere.
// Guards against binding the session back to it: the outcomes would go there,
// and the session would end for want of renewals though its client is there.
func TestALateAttachDoesNotTakeTheSessionBack(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	id := homeOf(t, middle)
	s := newShard(id, shard.Limits{})
	var entries []world.Entry
	keep := func() {
		if b, ok := s.Seal(now); ok {
			entries = append(entries, world.Entry{Epoch: 1, Sequence: b.Sequence, Data: b.Data})
			s.Committed()
			s.Told()
		}
	}
	for _, a := range []struct {
		gateway    string
		attachment uint64
	}{{"first", 10}, {"second", 20}} {
		s.Control(now, a.gateway, &clusterv1.Control{Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
			Session: 7, Participant: "ann", Gateway: a.gateway, Pose: pose(middle), Attachment: a.attachment}}})
		keep()
	}
	s.Immediate(nil)
	check := func() {
		t.Helper()
		if reply := attach(s, now, "first", 7, 10, true); reply.GetCode() != starlingv1.Code_FORBIDDEN {
			t.Fatalf("the late Attach was answered %v", reply)
		}
		s.Act(now, &shard.Act{Gateway: "second", Session: 7, Act: &starlingv1.Act{Number: 1, Function: &starlingv1.Act_Speak{
			Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "hello"}}}}})
		for _, tell := range settled(s, now) {
			if tell.Outcome != nil && tell.Gateway == "second" {
				return
			}
		}
		t.Error("the outcome did not go to the second gateway")
	}
	loaded, err := shard.Load(shard.Config{Shard: id, Map: world.DefaultShardMap(), Functions: functions(), NewID: func() uint64 { return 5 }},
		world.Tail{Epoch: 2, Claim: 2, Sequence: uint64(len(entries))}, 0, nil, entries, now)
	if err != nil {
		t.Fatal(err)
	}
	check()
	s = loaded
	check()
}

// Guards against telling a client that its session is gone while the news of
// where it lives is on its way to the register.
func TestResumingASessionThatHasJustOpenedWaitsForItsRegistration(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	register := newShard(world.RegisterOf("ann"), shard.Limits{})
	claim := func(resume bool) *clusterv1.ControlReply {
		register.Control(now, "gateway", &clusterv1.Control{Kind: &clusterv1.Control_Claim{Claim: &clusterv1.Claim{Participant: "ann", Session: 7, Resume: resume}}})
		return settled(register, now)[0].Reply
	}
	first := claim(false)
	if reply := claim(true); reply.Code != starlingv1.Code_UNAVAILABLE {
		t.Errorf("right after the claim: %v", reply)
	}
	register.Parcel(now, &clusterv1.ParcelEnvelope{Source: world.ShardMessage(homeOf(t, middle)), Outgoing: &clusterv1.Outgoing{
		Number: 1, Target: world.ShardMessage(register.ID()), Parcel: &clusterv1.Parcel{Is: &clusterv1.Parcel_Registration{Registration: &clusterv1.Registration{
			Participant: "ann", Session: 7, Generation: first.Generation, Moves: 1, Shard: world.ShardMessage(homeOf(t, middle))}}}}})
	settled(register, now)
	second, third := claim(true), claim(true)
	if second.Code != starlingv1.Code_APPLIED || second.Registration.Shard == nil {
		t.Errorf("once registered: %v", second)
	}
	if !(first.Attachment < second.Attachment && second.Attachment < third.Attachment) {
		t.Errorf("attachments %d, %d, %d do not grow", first.Attachment, second.Attachment, third.Attachment)
	}
}

// Guards against promising for ever a session that was claimed and never opened.
func TestASessionThatWasNeverOpenedIsGoneInTheEnd(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	register := newShard(world.RegisterOf("ann"), shard.Limits{})
	for _, resume := range []bool{false, true} {
		register.Control(now, "gateway", &clusterv1.Control{Kind: &clusterv1.Control_Claim{Claim: &clusterv1.Claim{Participant: "ann", Session: 7, Resume: resume}}})
		reply := settled(register, now)[0].Reply
		if resume && reply.Code != starlingv1.Code_NO_SUCH_ENTITY {
			t.Errorf("after a long while: %v", reply)
		}
		now = now.Add(time.Minute)
	}
}

func renew(s *shard.Shard, now time.Time, session uint64) (ended *clusterv1.SessionNotice) {
	s.Renew(now, &clusterv1.Renew{Gateway: "gateway", Sessions: []uint64{session}})
	for _, tell := range settled(s, now) {
		if tell.Notice.GetEnded() {
			ended = tell.Notice
		}
	}
	return ended
}

// Guards against sending everyone away because the owner itself stood still:
// the renewals wait behind its first look at who is present.
func TestTimeInWhichTheOwnerStoodStillEndsNoSession(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := newShard(homeOf(t, middle), shard.Limits{})
	open(s, now, 7, "ann", 0)
	for range 5 {
		now = now.Add(time.Second)
		s.Tick(now)
	}
	now = now.Add(10 * time.Minute)
	s.Tick(now)
	if s.Statistics().Sessions != 1 {
		t.Fatal("the session ended while nobody could renew it")
	}
	for range 31 {
		now = now.Add(time.Second)
		s.Tick(now)
	}
	if s.Statistics().Sessions != 0 {
		t.Error("the session outlived the resume time")
	}
}

// Guards against ending the connection of a session that is on its way to this
// shard, and against leaving one open whose session ended here.
func TestRenewingASessionThatIsNotHere(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := newShard(homeOf(t, middle), shard.Limits{})
	for range 5 {
		if notice := renew(s, now, 8); notice != nil {
			t.Fatalf("it may be on its way, but: %v", notice)
		}
		now = now.Add(2 * time.Second)
	}
	open(s, now, 7, "ann", 0)
	settled(s, now)
	s.Control(now, "gateway", &clusterv1.Control{Kind: &clusterv1.Control_Fence{Fence: &clusterv1.Fence{Session: 7, Participant: "ann"}}})
	settled(s, now) // the notice is lost
	if notice := renew(s, now, 7); notice.GetWhy() != clusterv1.SessionClosed_FENCED {
		t.Errorf("told %v, want that it was fenced", notice)
	}
}

func envelope(from, to world.ShardID, number uint64, records ...*clusterv1.EntityRecord) *clusterv1.ParcelEnvelope {
	return &clusterv1.ParcelEnvelope{Source: world.ShardMessage(from), Outgoing: &clusterv1.Outgoing{
		Number: number, Target: world.ShardMessage(to), Parcel: &clusterv1.Parcel{Is: &clusterv1.Parcel_HandOver{HandOver: &clusterv1.HandOver{Entities: records}}}}}
}

func thing(id uint64, handovers uint32, cell, left world.Cell, holder uint64) *clusterv1.EntityRecord {
	return &clusterv1.EntityRecord{Cell: uint64(cell), Left: uint64(left), Update: &starlingv1.Update{
		Entity: id, Kind: "thing", Holder: holder, Pose: pose(middle), Version: &starlingv1.Version{Handovers: handovers, Epoch: 1, Sequence: 1}}}
}

// Guards against things that nobody holds and nobody can grab: their holder left
// while they were on their way to it.
func TestAThingWhoseHolderIsGoneArrivesFree(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := newShard(homeOf(t, middle), shard.Limits{})
	cell, _ := hex.Cell(middle.Lat, middle.Lng, 10)
	s.Parcel(now, envelope(world.ShardID{Place: 9}, s.ID(), 1, thing(5, 1, cell, 0, 77)))
	settled(s, now)
	s.Invariants()
	s.ReadCell("gateway", &clusterv1.ReadCell{Cell: uint64(cell)})
	steps := new(starlingv1.Steps)
	if err := steps.UnmarshalVT(settled(s, now)[0].Baseline.Steps); err != nil {
		t.Fatal(err)
	}
	if len(steps.Steps) != 1 || steps.Steps[0].GetUpdate().Holder != 0 {
		t.Errorf("the cell has %v", steps)
	}
}

// An entity went to one shard, came back and went to another, and neither has
// acknowledged it. Guards against a load that shows it where it was first.
func TestALoadedShardShowsAnEntityFrozenWhereItLeftLast(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	id := homeOf(t, middle)
	cell, _ := hex.Cell(middle.Lat, middle.Lng, 10)
	ring := hex.Disk(cell, 1)
	first, last := ring[1], ring[2]
	for _, targets := range [][2]world.ShardID{{{Cell: 5}, {Cell: 6}}, {{Cell: 6}, {Cell: 5}}} {
		snapshot, err := (&clusterv1.Snapshot{Format: 1, Outgoing: []*clusterv1.Outgoing{
			envelope(id, targets[0], 1, thing(5, 1, 0, first, 0)).Outgoing, envelope(id, targets[1], 1, thing(5, 3, 0, last, 0)).Outgoing,
		}}).MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		s, err := shard.Load(shard.Config{Shard: id, Map: world.DefaultShardMap(), Functions: functions(), NewID: func() uint64 { return 5 }},
			world.Tail{Epoch: 2, Claim: 2, Sequence: 9}, 9, snapshot, nil, now)
		if err != nil {
			t.Fatal(err)
		}
		for cell, want := range map[world.Cell]bool{first: false, last: true} {
			s.ReadCell("gateway", &clusterv1.ReadCell{Cell: uint64(cell)})
			if got := len(settled(s, now)[0].Baseline.Steps) > 0; got != want {
				t.Errorf("sent to %v: in cell %x it is %v, want %v", targets, cell, got, want)
			}
		}
	}
}

// The gateway followed the forwarding address, faster than the session came.
// Guards against telling a client that its session is gone while it is on its way.
func TestResumingASessionThatIsOnItsWayWaitsForIt(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := newShard(homeOf(t, middle), shard.Limits{})
	cell, _ := hex.Cell(middle.Lat, middle.Lng, 10)
	if reply := attach(s, now, "gateway", 7, 1, true); reply.Code != starlingv1.Code_UNAVAILABLE {
		t.Errorf("before it came: %v", reply)
	}
	avatar := thing(5, 1, cell, 0, 0)
	avatar.Update.Kind, avatar.Ownership = shard.AvatarKind, &clusterv1.Ownership{Entity: 5, Session: 7}
	parcel := envelope(world.ShardID{Place: 9}, s.ID(), 1, avatar)
	parcel.Outgoing.Parcel.GetHandOver().Session = &clusterv1.SessionOpened{Session: 7, Participant: "ann", Avatar: 5, Last: 3, Moves: 2}
	s.Parcel(now, parcel)
	settled(s, now)
	if reply := attach(s, now, "gateway", 7, 1, true); reply.Attached.GetNextNumber() != 4 {
		t.Errorf("once it is there: %v", reply)
	}
	now = now.Add(time.Second)
	attach(s, now, "gateway", 8, 1, true)
	now = now.Add(20 * time.Second)
	if reply := attach(s, now, "gateway", 8, 1, true); reply.Code != starlingv1.Code_NO_SUCH_ENTITY {
		t.Errorf("one that never comes: %v", reply)
	}
}

// settledIn commits and brings parcels and acknowledgements between two shards
// until there are none.
func settledIn(now time.Time, shards ...*shard.Shard) {
	for busy := true; busy; {
		busy = false
		for _, from := range shards {
			for _, tell := range settled(from, now) {
				for _, to := range shards {
					switch {
					case tell.Target != to.ID():
					case tell.Parcel != nil:
						to.Parcel(now, tell.Parcel)
						busy = true
					case tell.Ack != nil:
						to.ParcelAck(now, tell.Ack)
						busy = true
					}
				}
			}
		}
	}
}

// A store that forgets everything takes some shards back and not others: those
// whose owner has all batches in memory give them back. Guards against shards
// that from then on wait for parcels that never come, or pass over those that do.
func TestShardsGoOnAfterOneOfThemLostItsHistory(t *testing.T) {
	names := make([]string, 0, 12)
	for n := 0; len(names) < cap(names); n++ {
		if name := fmt.Sprint("participant ", n); world.RegisterOf(name).Cell == 3 {
			names = append(names, name)
		}
	}
	known := func(register *shard.Shard, now time.Time, name string, session uint64) bool {
		register.Control(now, "gateway", &clusterv1.Control{Kind: &clusterv1.Control_Claim{Claim: &clusterv1.Claim{Participant: name, Session: session, Resume: true}}})
		return settled(register, now)[0].Reply.Code == starlingv1.Code_APPLIED
	}
	for _, lost := range []string{"source", "target"} {
		now := time.Unix(1_700_000_000, 0)
		source, register := newShard(homeOf(t, middle), shard.Limits{}), newShard(world.ShardID{Cell: 3}, shard.Limits{})
		for i, name := range names[:6] {
			open(source, now, uint64(i+1), name, 1)
			settledIn(now, source, register)
		}
		empty := func(id world.ShardID) *shard.Shard {
			next := uint64(5000)
			s, err := shard.Load(shard.Config{Shard: id, Map: world.DefaultShardMap(), Functions: functions(), NewID: func() uint64 { next++; return next }},
				world.Tail{Epoch: 3, Claim: 3}, 0, nil, nil, now)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if lost == "source" {
			source = empty(source.ID())
		} else {
			register = empty(register.ID())
		}
		for i, name := range names[6:] {
			open(source, now, uint64(i+101), name, 1)
			settledIn(now, source, register)
		}
		now = now.Add(time.Second)
		source.Tick(now)
		settledIn(now, source, register)
		if n := source.Statistics().Outbox; n != 0 {
			t.Errorf("the %s lost its history: %d parcels were not taken", lost, n)
		}
		for i, name := range names[6:] {
			if !known(register, now, name, uint64(i+101)) {
				t.Errorf("the %s lost its history: the register does not know %s", lost, name)
			}
		}
	}
}
