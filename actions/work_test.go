package actions_test

import (
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/actionstest"
	"github.com/starling-vr/starling/actions/builtin"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

func TestWorkGrowsWithNeighbours(t *testing.T) {
	registry := actions.NewRegistry()
	if err := registry.Register(actions.Function{Name: builtin.WorkName, Run: builtin.Work(20 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	w := actionstest.New(t, actions.Options{Registry: registry})
	here := world.Geo{Lat: 25.0339, Lng: 121.5645}
	worker := w.Join("worker", actionstest.At(here))
	w.Join("near", actionstest.At(here))
	w.Join("far", actionstest.At(world.Geo{Lat: 25.0389, Lng: 121.5645}))
	work := func(base, each time.Duration) (*starlingv1.Outcome, time.Duration) {
		began := time.Now()
		out := worker.Do(&starlingv1.Call{Function: builtin.WorkName, Arguments: builtin.WorkArguments(base, each)})
		return out, time.Since(began)
	}
	if out, took := work(time.Millisecond, 4*time.Millisecond); out.Code != starlingv1.Code_APPLIED || took < 5*time.Millisecond {
		t.Errorf("%v in %v", out, took)
	}
	events := w.Events()
	if len(events) != 1 || events[0].GetCustom().GetName() != builtin.WorkName {
		t.Errorf("%v", events)
	}
	for _, tooMuch := range [][2]time.Duration{{21 * time.Millisecond, 0}, {0, 21 * time.Millisecond}, {15 * time.Millisecond, 6 * time.Millisecond}} {
		if out, _ := work(tooMuch[0], tooMuch[1]); out.Code != starlingv1.Code_LIMIT {
			t.Errorf("%v: %v", tooMuch, out)
		}
	}
	if out := worker.Do(&starlingv1.Call{Function: builtin.WorkName, Arguments: []byte("x")}); out.Code != starlingv1.Code_INVALID {
		t.Errorf("%v", out)
	}
}
