package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// Guards against a handshake that waits out a second for an answer that was lost,
// or a pause, although the way to the owner is known to be open again.
func TestWhatIsAskedHearsThatTheWayChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r requests
		shard := world.ShardID{Cell: 3}
		soon := func() {
			time.AfterFunc(5*time.Millisecond, func() { r.routesChanged(func(id world.ShardID) bool { return id != shard }) })
			time.AfterFunc(10*time.Millisecond, func() { r.routesChanged(func(id world.ShardID) bool { return id == shard }) })
		}
		q := r.open(shard)
		began := time.Now()
		soon()
		if reply, changed := q.await(t.Context(), askAgain); reply != nil || !changed || time.Since(began) != 10*time.Millisecond {
			t.Errorf("unanswered: %v, changed %v after %v", reply, changed, time.Since(began))
		}
		r.answer(q.number, nil) // not mine
		if reply, changed := q.await(t.Context(), askAgain); reply != nil || changed {
			t.Errorf("refused: %v, changed %v", reply, changed)
		}
		began = time.Now()
		soon()
		if changed := q.pause(t.Context(), longPause); !changed || time.Since(began) != 10*time.Millisecond {
			t.Errorf("in a pause: changed %v after %v", changed, time.Since(began))
		}
		r.close(q.number)
		r.routesChanged(func(world.ShardID) bool { return true })
		r.answer(q.number, nil)
		if len(r.waiting) != 0 {
			t.Error("what was asked is kept")
		}
	})
}

// A client whose session is being opened while the drain begins is told of it
// as soon as it is open, and does not hold the drain up.
func TestADrainFindsWhoIsJustComing(t *testing.T) {
	r := newRig(t, func(c *Config) { c.DrainTime = 2 * time.Second })
	asked, drained := make(chan struct{}), make(chan struct{})
	r.owner.onControl = func(_ actions.Edge, in *clusterv1.Control) bool {
		if in.GetAttach() != nil {
			close(asked)
			<-drained
		}
		return false
	}
	c := r.dial(false)
	c.send(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: r.hello("ann")}})
	<-asked
	done := make(chan error, 1)
	go func() { done <- r.gateway.Drain(context.Background()) }()
	eventually(t, "the drain has begun", func() bool { ok, _ := r.gateway.Ready(); return !ok })
	close(drained)
	c.until(func(m *starlingv1.ServerMessage) bool { return m.GetNotice().GetKind() == starlingv1.Notice_DRAINING })
	if code, reason := c.closed(); code != starlingv1.CloseCode_GOING_AWAY || reason != "reconnect in 0.00s: the gateway is going away" {
		t.Errorf("closed as %v with %q: the time was random already", code, reason)
	}
	_ = c.ws.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
