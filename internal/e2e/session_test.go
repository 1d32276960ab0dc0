package e2e

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/internal/server"
)

// cutUnder acts while the connection is cut again and again; next is called
// before each cut.
func cutUnder(t *testing.T, p *participant, onlooker *participant, next func()) {
	t.Helper()
	const rounds, each = 6, 12
	session := p.Session()
	ends := make(chan starling.Outcome, rounds*each)
	step := 0
	for round := range rounds {
		connections := p.Stats().Connections
		for range each {
			step++
			act := moveTo(centre.east(float64(step) / 4).position())
			if step%4 == 0 {
				act = starling.SpeakAct(fmt.Sprint("word ", step))
			}
			if err := p.Do(act, func(o starling.Outcome) { ends <- o }); err != nil {
				t.Fatal(err)
			}
			if step%each == 1+round { // with some in flight
				next()
				p.cuts.cut()
			}
		}
		for range each {
			if o := <-ends; o.Err != nil {
				t.Errorf("action %d: %v", o.Number, o.Err)
			}
		}
		eventually(t, "the next connection", func() bool { return p.Stats().Connections > connections })
	}
	now := p.Session()
	if now.ID != session.ID || now.Avatar != session.Avatar || !now.Resumed {
		t.Errorf("session %x, avatar %x became %x, %x", session.ID, session.Avatar, now.ID, now.Avatar)
	}
	if number := p.must(moveTo(centre.east(50).position())).Number; number != rounds*each+1 {
		t.Errorf("action %d after %d", number, rounds*each)
	}
	onlooker.sees("the end of the walk", session.Avatar, func(e starling.Entity) bool { return isAt(e, centre.east(50)) })
	for word := 4; word <= rounds*each; word += 4 {
		text := fmt.Sprint("word ", word)
		heard := func() int { return onlooker.heard(func(e *starlingv1.Event) bool { return e.GetText() == text }) }
		eventually(t, text, func() bool { return heard() > 0 })
		if n := heard(); n > 1 {
			t.Errorf("%q was said %d times", text, n)
		}
	}
}

func TestResumeOnTheSameGateway(t *testing.T) {
	s := start(t)
	onlooker := join(t, s, "onlooker", onMap())
	p := join(t, s, "walker", onMap())
	cutUnder(t, p, onlooker, func() {})
}

// inRegion starts servers that share a Redis.
func inRegion(t *testing.T, n int, set ...string) (all []*server.Server) {
	t.Helper()
	redis := redistest.Start(t, redisproc.Options{})
	for i := range n {
		all = append(all, start(t, append([]string{"store.kind=redis", "store.redis.addresses=" + redis.Address(),
			fmt.Sprintf("region.id=server-%d", i)}, set...)...))
	}
	return all
}

func TestResumeOnAnotherGateway(t *testing.T) {
	all := inRegion(t, 2)
	onlooker := join(t, all[1], "onlooker", onMap())
	var turn atomic.Int64
	options := onMap()
	options.URL = func() string { return endpoint(all[turn.Load()%2]) }
	p := join(t, all[0], "walker", options)
	if gateway := p.Session().Gateway; gateway != "server-0" {
		t.Errorf("began at %s", gateway)
	}
	cutUnder(t, p, onlooker, func() { turn.Add(1) })
}

// A newer session of a participant ends the one before, wherever that is.
func TestANewerSessionFencesTheOld(t *testing.T) {
	for _, servers := range []int{1, 2} {
		t.Run(fmt.Sprint(servers, " servers"), func(t *testing.T) {
			var all []*server.Server
			if servers == 1 {
				all = []*server.Server{start(t)}
			} else {
				all = inRegion(t, servers)
			}
			onlooker := join(t, all[0], "onlooker", onMap())
			old := join(t, all[0], "ann", onMap(), "spawn:any")
			thing := old.must(spawn("thing", centre.position())).Entity
			old.must(&starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: old.Target(thing)}}})
			onlooker.sees("the thing held", thing, func(e starling.Entity) bool { return e.Holder == old.Session().Avatar })
			young := join(t, all[len(all)-1], "ann", starling.Options{Start: border(t).east(200).position()})
			old.closedAs(starlingv1.CloseCode_FENCED)
			onlooker.misses("the old avatar", old.Session().Avatar)
			onlooker.sees("the thing dropped", thing, func(e starling.Entity) bool { return e.Holder == 0 })
			young.must(moveTo(border(t).east(203).position()))
			if old.Session().Avatar == young.Session().Avatar {
				t.Error("the old avatar lives on")
			}
		})
	}
}

// A client that vanishes without a word leaves after the resume time, and not
// before.
func TestPresence(t *testing.T) {
	const resume = 3 * time.Second
	s := start(t, "gateway.resume_time="+resume.String(), "gateway.renew_every=200ms")
	onlooker := join(t, s, "onlooker", onMap())
	options := onMap()
	dead := atomic.Bool{}
	options.URL = func() string {
		if dead.Load() {
			return "ws://127.0.0.1:1/nowhere"
		}
		return endpoint(s)
	}
	p := join(t, s, "vanishing", options, "spawn:any")
	thing := p.must(spawn("thing", centre.position())).Entity
	p.must(&starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: p.Target(thing)}}})
	onlooker.sees("the thing held", thing, func(e starling.Entity) bool { return e.Holder == p.Session().Avatar })
	dead.Store(true)
	cut := time.Now()
	p.cuts.cut()
	onlooker.misses("the one that vanished", p.Session().Avatar)
	if took := time.Since(cut); took < resume*2/3 {
		t.Errorf("it left after %v, before the resume time of %v", took, resume)
	}
	onlooker.sees("the thing dropped", thing, func(e starling.Entity) bool { return e.Holder == 0 })
	dead.Store(false)
	eventually(t, "a new session for who comes too late", func() bool { return p.Stats().Sessions == 2 })
	onlooker.sees("the new avatar", p.Session().Avatar, anything)
}

// Clients of both subprotocols are in one world.
func TestBothSubprotocols(t *testing.T) {
	s := start(t)
	binary := join(t, s, "binary", onMap(), "spawn:any")
	options := onMap()
	options.JSON = true
	text := join(t, s, "text", options, "spawn:any")
	for _, pair := range [][2]*participant{{binary, text}, {text, binary}} {
		actor, onlooker := pair[0], pair[1]
		actor.must(moveTo(centre.east(3).position()))
		onlooker.sees("the move", actor.Session().Avatar, func(e starling.Entity) bool { return isAt(e, centre.east(3)) })
		actor.must(starling.SpeakAct("héllo"))
		actor.must(starling.VoiceAct([]byte{0, 0xff, 0x80}))
		eventually(t, "words and voice", func() bool {
			return onlooker.heard(func(e *starlingv1.Event) bool {
				return e.Actor == actor.Session().Avatar && (e.GetText() == "héllo" || string(e.GetVoice()) == "\x00\xff\x80")
			}) == 2
		})
		made := actor.must(&starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "box",
			Pose: &starlingv1.Pose{Position: centre.position()}, Attributes: &starlingv1.Attributes{Values: map[string]*starlingv1.Value{
				"big": {Is: &starlingv1.Value_Integer{Integer: -1 << 60}}, "name": {Is: &starlingv1.Value_Text{Text: "箱"}},
			}}}}}).Entity
		onlooker.sees("the box", made, func(e starling.Entity) bool {
			return e.Attributes.GetValues()["big"].GetInteger() == -1<<60 && e.Attributes.GetValues()["name"].GetText() == "箱"
		})
	}
	_, err := text.try(moveTo(starling.Geographic(200, 0, 0)))
	var refused *starling.RefusedError
	if !errors.As(err, &refused) || refused.Code != starlingv1.Code_INVALID {
		t.Errorf("a move off the Earth: %v", err)
	}
}
