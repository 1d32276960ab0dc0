package hub

import (
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// What a client does as soon as it is welcomed it also hears: the welcome waits
// for its cell to be followed, and leaves with the baseline.
func TestWhatFollowsTheWelcomeIsTold(t *testing.T) {
	b := newBench(t, 1)
	here, beside := cellAt(1), cellAt(2)
	_, ws := b.join(1, here, 1)
	if got := ws.messages(t); len(got) != 0 {
		t.Fatalf("before the cell is watched: %v", got)
	}
	b.confirm()
	b.publish(b.message(here, 4, 5, eventStep("before the baseline")))
	b.answer(beside, 3)
	if got := ws.messages(t); len(got) != 0 {
		t.Fatalf("before the cell is read: %v", got)
	}
	b.answer(here, 5)
	got := ws.messages(t)
	if len(got) != 3 || got[0].GetWelcome() == nil || ws.writes != 1 {
		t.Fatalf("welcomed with %v in %d writes", got, ws.writes)
	}
	for _, f := range frames(got) {
		if !f.Baseline {
			t.Errorf("%v came with the welcome", f)
		}
	}
	b.publish(b.message(here, 5, 6, eventStep("good morning")))
	if got := frames(ws.messages(t)); len(got) != 1 || len(eventsOf(got[0])) != 1 {
		t.Errorf("the first word came as %v", got)
	}
	_, second := b.join(2, here, 1) // the cells are followed already
	if got := second.messages(t); len(got) < 2 || got[0].GetWelcome() == nil {
		t.Errorf("the second one was welcomed with %v", got)
	}
}

func TestAWelcomeWaitsForACellThatIsReadAgain(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	b.join(1, here, 0)
	b.confirm()
	b.answer(here, 5)
	b.publish(b.message(here, 8, 9)) // after a gap
	_, ws := b.join(2, here, 0)
	if got := ws.messages(t); len(got) != 0 {
		t.Fatalf("what is said now is lost with the gap, but %v", got)
	}
	b.answer(here, 9)
	if got := ws.messages(t); len(got) != 2 {
		t.Errorf("welcomed with %v", got)
	}
}

func TestAWelcomeWaitsNotForEver(t *testing.T) {
	b := newBench(t, 1)
	c, ws := b.join(1, cellAt(1), 0)
	c.Outcome(&starlingv1.Outcome{Number: 1, Repeated: true})
	b.turn()
	h := b.hubs.hubs[0]
	late := time.Now().Add(2 * welcomePatience)
	h.tick(1, late)
	h.flush(c, late)
	if got := ws.messages(t); len(got) != 2 || got[0].GetWelcome() == nil || got[1].GetOutcome() == nil {
		t.Errorf("without an owner: %v", got)
	}
	if len(h.opening) != 0 {
		t.Error("it is still held to be opening")
	}
}

func TestWhoGoesBeforeTheWelcomeIsForgotten(t *testing.T) {
	b := newBench(t, 2)
	c, _ := b.join(1, cellAt(1), 0)
	c.Moved(cellAt(40)) // perhaps another hub's
	closed, ws := b.join(2, cellAt(1), 0)
	closed.Close(starlingv1.CloseCode_GOING_AWAY, "drain")
	b.turn()
	if ws.closed != starlingv1.CloseCode_GOING_AWAY {
		t.Error("not closed")
	}
	var moved world.Cell
	for _, h := range b.hubs.hubs {
		for c := range h.opening {
			moved = c.cell
		}
	}
	if moved != cellAt(40) {
		t.Error("who moved to another hub is not held there")
	}
	c.Remove()
	b.turn()
	for _, h := range b.hubs.hubs {
		if len(h.opening) != 0 {
			t.Error("somebody who went is still held to be opening")
		}
	}
}
