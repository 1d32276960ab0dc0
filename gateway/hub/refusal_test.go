package hub

import (
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// A refusal waits for company; what comes after it waits no longer for that, and
// both leave with one write, in order.
func TestARefusalWaitsForCompany(t *testing.T) {
	b := newBench(t, 1)
	c, conn := b.join(7, cellAt(1), 0)
	b.confirm()
	b.answer(cellAt(1), 10)
	b.turn()
	conn.messages(t)
	h, writes := b.hubs.hubs[0], conn.writes
	const within = 20 * time.Millisecond
	before := time.Now()
	c.Refusal(&starlingv1.Outcome{Number: 1, Code: starlingv1.Code_BUSY}, within)
	h.take()
	if _, rest, waits := h.wheel.next(before, 0); !waits || rest < within-h.wheel.grain {
		t.Errorf("the refusal is due in %v (%v), want %v", rest, waits, within)
	}
	c.Outcome(&starlingv1.Outcome{Number: 2, Code: starlingv1.Code_APPLIED})
	h.take()
	if _, rest, waits := h.wheel.next(time.Now(), 0); !waits || rest > 0 {
		t.Errorf("the outcome is due in %v (%v), want at once", rest, waits)
	}
	b.turn()
	got := conn.messages(t)
	if len(got) != 2 || got[0].GetOutcome().GetNumber() != 1 || got[1].GetOutcome().GetNumber() != 2 || conn.writes != writes+1 {
		t.Errorf("%d writes of %v", conn.writes-writes, got)
	}
}
