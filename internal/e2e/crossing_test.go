package e2e

import (
	"fmt"
	"testing"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

// Four walk over a border between shards and back again, as fast as the session
// takes actions, and talk while they do. Every action is applied once and in
// order, every word is heard once, and whoever looks on ends with the world as
// it is.
func TestWalkingOverABorder(t *testing.T) {
	s := start(t, "gateway.message_rate=100000", "gateway.message_burst=100000")
	edge := border(t)
	const walkers, steps = 4, 240
	watchers := []*participant{
		join(t, s, "west", starling.Options{Start: edge.east(-20).position(), Ring: 2}),
		join(t, s, "east", starling.Options{Start: edge.east(20).position(), Ring: 2}),
	}
	ends := make(chan starling.Outcome, walkers*steps)
	var all []*participant
	last := make([]point, walkers)
	for i := range walkers {
		w := join(t, s, fmt.Sprint("walker ", i), starling.Options{Start: edge.east(-15).position(), Ring: 2, Queue: steps})
		all = append(all, w)
	}
	for n := range steps {
		for i, w := range all {
			// A triangle of 12 steps over 30 m, each walker out of phase.
			phase := (n + 3*i) % 12
			metres := float64(5*min(phase, 12-phase)) - 15
			act := moveTo(edge.east(metres).position())
			last[i] = edge.east(metres)
			if n%6 == 5 {
				act = starling.SpeakAct(fmt.Sprintf("%d says %d", i, n))
				metres = 0
			}
			if n%6 == 5 {
				phase = (n - 1 + 3*i) % 12
				last[i] = edge.east(float64(5*min(phase, 12-phase)) - 15)
			}
			if err := w.Do(act, func(o starling.Outcome) { ends <- o }); err != nil {
				t.Fatalf("walker %d, step %d: %v", i, n, err)
			}
		}
	}
	for range walkers * steps {
		if o := <-ends; o.Err != nil {
			t.Errorf("action %d: %v", o.Number, o.Err)
		}
	}
	onlookers := append(append([]*participant{}, watchers...), all...)
	for _, onlooker := range onlookers {
		for i, w := range all {
			onlooker.sees(fmt.Sprintf("walker %d where it went last", i), w.Session().Avatar, func(e starling.Entity) bool {
				return isAt(e, last[i]) && !e.Frozen
			})
		}
		if n := onlooker.entities(); n != walkers+len(watchers) {
			t.Errorf("%d entities in view, want %d", n, walkers+len(watchers))
		}
	}
	for _, watcher := range watchers { // who stood still: all cells were in view throughout
		for i := range all {
			for n := 5; n < steps; n += 6 {
				text := fmt.Sprintf("%d says %d", i, n)
				heard := func() int { return watcher.heard(func(e *starlingv1.Event) bool { return e.GetText() == text }) }
				watcher.mu.Lock()
				missed := watcher.missed
				watcher.mu.Unlock()
				if missed == 0 {
					eventually(t, text, func() bool { return heard() > 0 })
				}
				if n := heard(); n > 1 {
					t.Errorf("%q was heard %d times", text, n)
				}
			}
		}
	}
	for i, w := range all {
		if next := w.must(moveTo(last[i].position())).Number; next != steps+1 {
			t.Errorf("walker %d: action %d after %d steps", i, next, steps)
		}
	}
}

// An action on what another shard holds, and what is held goes along.
func TestTouchingAndGrabbingOverABorder(t *testing.T) {
	s := start(t)
	edge := border(t)
	maker := join(t, s, "maker", starling.Options{Start: edge.east(8).position()}, "spawn:any")
	actor := join(t, s, "actor", starling.Options{Start: edge.east(-8).position()})
	witness := join(t, s, "witness", starling.Options{Start: edge.east(-8).position()})
	lamp := maker.must(spawn("lamp", edge.east(6).position())).Entity
	actor.sees("the lamp", lamp, anything)

	actor.must(&starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: actor.Target(lamp)}}})
	eventually(t, "the touch is seen", func() bool {
		return maker.heard(func(e *starlingv1.Event) bool {
			return e.GetTouched().GetEntity() == lamp && e.Actor == actor.Session().Avatar
		}) == 1
	})
	grab := func(p *participant) *starlingv1.Act {
		return &starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: p.Target(lamp)}}}
	}
	actor.must(grab(actor))
	held := func(e starling.Entity) bool { return e.Holder == actor.Session().Avatar && !e.Frozen }
	for _, p := range []*participant{maker, actor, witness} {
		p.sees("the lamp held", lamp, held)
	}
	witness.refused(grab(witness), starlingv1.Code_HELD)
	maker.refused(grab(maker), starlingv1.Code_HELD)

	for _, metres := range []float64{-30, 10, -30, 10, 15} { // there and back, the lamp in hand
		actor.must(moveTo(edge.east(metres).position()))
		for _, p := range []*participant{maker, actor} {
			p.sees("the actor", actor.Session().Avatar, func(e starling.Entity) bool { return isAt(e, edge.east(metres)) && !e.Frozen })
			p.sees("the lamp held", lamp, held)
		}
	}
	release := &starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: lamp, Position: edge.east(12).position()}}}
	maker.refused(release, starlingv1.Code_NOT_HOLDER)
	actor.must(release)
	for _, p := range []*participant{maker, actor, witness} {
		p.sees("the lamp put down", lamp, func(e starling.Entity) bool { return e.Holder == 0 && isAt(e, edge.east(12)) })
		if n := p.entities(); n != 4 {
			t.Errorf("%d entities in view, want 4", n)
		}
	}
	maker.must(grab(maker))
	actor.must(&starlingv1.Act{Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}})
	actor.closedAs(starlingv1.CloseCode_LEFT_WORLD)
	witness.misses("the actor", actor.Session().Avatar)
}
