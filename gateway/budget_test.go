package gateway

import (
	"fmt"
	"sync"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// A participant who asks for little is told of those who act fast by partial
// frames and a thinned chain, and of all again when it is quiet.
func TestBudgetIsGrantedAndKept(t *testing.T) {
	r := newRig(t, nil)
	watcher := r.dial(false)
	hello := r.hello("watcher")
	hello.Budget = &starlingv1.Budget{EntitiesPerSecond: 30, BytesPerSecond: 1 << 30}
	granted := watcher.greet(hello).Budget
	if granted.EntitiesPerSecond != 30 || granted.BytesPerSecond != 64<<10 {
		t.Fatalf("granted %v", granted)
	}
	quiet := make(chan struct{})
	var acting sync.WaitGroup
	for i := range 3 {
		actor, welcome := r.join(fmt.Sprint("actor ", i))
		if b := welcome.Budget; b.EntitiesPerSecond != 500 || b.BytesPerSecond != 64<<10 {
			t.Errorf("who asks for nothing is granted %v", b)
		}
		acting.Go(func() { actor.actUntil(quiet) })
	}
	partial := false
	watcher.until(func(m *starlingv1.ServerMessage) bool {
		f := m.GetFrame()
		partial = partial || f.GetPartial()
		return partial && f.GetThinned()
	})
	close(quiet)
	acting.Wait()
	last := watcher.until(func(m *starlingv1.ServerMessage) bool {
		f := m.GetFrame()
		return f != nil && !f.Thinned && !f.Partial && f.From == f.Sequence && f.Conflated
	}).GetFrame()
	if last.Baseline {
		t.Errorf("caught up by %v", last)
	}
}

// actUntil moves to and fro, fifty times a second if answers come as fast.
func (c *client) actUntil(quiet <-chan struct{}) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for number := uint64(1); ; {
		select {
		case <-quiet:
			return
		case <-ticker.C:
		}
		c.act(move(number, startLatitude+float64(number%2)*1e-6, startLongitude))
		if c.until(func(m *starlingv1.ServerMessage) bool { return m.GetOutcome() != nil }).GetOutcome().Code < 200 {
			number++
		}
	}
}
