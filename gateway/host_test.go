package gateway

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/starling-vr/starling/actions"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/pubsub/direct"
	"github.com/starling-vr/starling/world/memory"
)

// newHostRig is a gateway in front of the real owner, with a log in memory.
func newHostRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	bus, log := direct.New(), memory.New()
	scheduler := invoke.New(invoke.Config{Workers: 2})
	host, err := actions.NewHost(actions.Options{Node: "test", Log: log, Bus: bus, Scheduler: scheduler, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	key := auth.NewKey()
	verifier, err := auth.NewWithKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig()
	config.Node, config.Hubs = "test", 2
	if change != nil {
		change(&config)
	}
	g, err := New(config, Deps{Router: LocalRouter(host), Bus: bus, Auth: verifier})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		_ = g.Close()
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := host.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := scheduler.Close(ctx); err != nil {
			t.Error(err)
		}
		_ = bus.Close()
		_ = log.Close()
	})
	return &rig{t: t, gateway: g, url: "ws" + strings.TrimPrefix(server.URL, "http"), key: key}
}

// The whole way, with a real owner: act, be seen, cross into another cell, be
// fenced, resume, leave.
func TestWithRealOwner(t *testing.T) {
	r := newHostRig(t, nil)
	watcher, _ := r.join("watcher")
	first, before := r.join("actor")
	actor, welcome := r.join("actor") // fences the first
	first.wantClosed(starlingv1.CloseCode_FENCED)
	watcher.until(func(m *starlingv1.ServerMessage) bool {
		return updateOf(m, before.Avatar).GetChange() == starlingv1.Change_REMOVED
	})
	latitude := startLatitude
	for n := range uint64(60) { // about 4 m each: into other cells
		latitude += 0.00004
		actor.act(move(n+1, latitude, startLongitude))
		if o := actor.outcome(n + 1); o.Code != starlingv1.Code_APPLIED && o.Code != starlingv1.Code_TOO_FAST {
			t.Fatalf("move %d: %v", n+1, o)
		}
	}
	watcher.until(func(m *starlingv1.ServerMessage) bool { return updateOf(m, welcome.Avatar).GetNumber() > 0 })
	_ = actor.ws.Close()

	again := r.dial(false)
	h := r.hello("actor")
	h.Resume, h.LastNumber = welcome.Session, 58
	resumed := again.greet(h)
	if !resumed.Resumed || resumed.NextNumber != 61 || resumed.Avatar != welcome.Avatar {
		t.Fatalf("resumed: %v", resumed)
	}
	if o := again.outcome(60); !o.Repeated {
		t.Errorf("remembered: %v", o)
	}
	again.act(speak(61, "good bye"))
	told, heard := false, false // in either order: an outcome does not wait for a frame, nor a frame for an outcome
	again.until(func(m *starlingv1.ServerMessage) bool {
		told = told || m.GetOutcome().GetNumber() == 61
		for _, c := range m.GetFrame().GetCommits() {
			for _, s := range c.Steps {
				heard = heard || s.GetEvent().GetText() == "good bye"
			}
		}
		return told && heard
	})
	again.act(&starlingv1.Act{Number: 62, Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}})
	if o := again.outcome(62); o.Code != starlingv1.Code_APPLIED {
		t.Errorf("leave: %v", o)
	}
	again.wantClosed(starlingv1.CloseCode_LEFT_WORLD)
}
