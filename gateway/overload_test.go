package gateway

import (
	"sync/atomic"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/overload"
)

// Under overload an action is refused at arrival, with the time to come back;
// its number is taken again afterwards, and nothing of it reached the owner.
func TestOverloadIsRefusedAtArrival(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RefuseOverload = false }) // the test ends the windows
	var all, old atomic.Uint64
	now := time.Now()
	r.gateway.overload = overload.New(overload.Config{Ages: func() (uint64, uint64) { return all.Load(), old.Load() }})
	window := func(updates, late uint64) {
		all.Add(updates)
		old.Add(late)
		now = now.Add(overload.WindowTime)
		r.gateway.overload.Tick(now)
	}
	c, welcome := r.join("busy")
	number := welcome.NextNumber
	act := func() *starlingv1.Outcome {
		c.act(speak(number, "hello"))
		return c.outcome(number)
	}
	for _, late := range []uint64{0, 0, 30, 30, 30, 30, 30} {
		for range 10 {
			if out := act(); out.Code == starlingv1.Code_APPLIED {
				number++
			}
		}
		window(30, late)
	}
	var refused *starlingv1.Outcome
	for range 1000 {
		if out := act(); out.Code != starlingv1.Code_APPLIED {
			refused = out
			break
		}
		number++
	}
	if refused == nil || refused.Code != starlingv1.Code_BUSY || refused.RetryAfterMs == 0 {
		t.Fatalf("under overload: %v", refused)
	}
	for range 20 {
		window(0, 0)
	}
	if out := act(); out.Code != starlingv1.Code_APPLIED {
		t.Errorf("the same number after the overload: %v", out)
	}
}
