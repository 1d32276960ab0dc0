package server_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/invoke"
)

func TestContractsComeFromTheSettings(t *testing.T) {
	registry := actions.NewRegistry()
	own := invoke.Contract{Rate: 100, Deadline: 4 * time.Millisecond, RunTime: 30 * time.Microsecond}
	err := registry.Register(actions.Function{Name: "mygame.tag", Contract: own, Run: func(*actions.Call) actions.Result { return actions.Result{} }})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := registry.Contract("speak", 2)
	settings := load(t, "owner.workers=2", "functions.move.rate=500", "functions.speak.miss_target=0.05",
		"functions.mygame.tag.burst=7", "functions.mygame.tag.hard=true", "functions.touch.rate=0")
	if err := settings.CheckWith(registry, nil); err != nil {
		t.Fatal(err)
	}
	check := func(name string, want func(*invoke.Contract) bool) {
		t.Helper()
		if got, found := registry.Contract(name, 2); !found || !want(&got) {
			t.Errorf("%s has %+v", name, got)
		}
	}
	check("move", func(c *invoke.Contract) bool { return c.Rate == 500 && c.Burst == 0 && c.RunTime > 0 })
	check("speak", func(c *invoke.Contract) bool { return c.MissTarget == 0.05 && c.Rate == before.Rate })
	check("mygame.tag", func(c *invoke.Contract) bool { return c.Rate == 100 && c.Burst == 7 && c.Hard })
	check("touch", func(c *invoke.Contract) bool { return c.Class() == invoke.BestEffort })
}

func TestWhatTheMachineCannotHoldRefusesToStart(t *testing.T) {
	for set, want := range map[string]string{
		"functions.move.rate=90000":           "90000/s x 20µs",
		"functions.move.deadline=200us":       "> deadline 200µs",
		"functions.speak.burst=-1":            "negative",
		"functions.mvoe.rate=1":               `did you mean "move"?`,
		"functions.something.rate=1":          "create_place",
		"functions.actions.shard.rate=900000": "actions.shard is not admitted with 1 workers",
		"owner.workers=-1":                    "owner",
	} {
		s, err := server.Start(t.Context(), load(t, "owner.workers=1", set), server.Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			_ = s.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", set, err, want)
		}
	}
	gateway := load(t, "functions.mvoe.rate=1", "region.roles=gateway")
	if err := gateway.CheckWith(actions.NewRegistry(), nil); err != nil {
		t.Errorf("a gateway runs no functions: %v", err)
	}
}

func TestTheFunctionsOfAServerHaveContracts(t *testing.T) {
	s := start(t, "functions.speak.rate=0")
	defer stop(t, s)
	status, body := get(t, s, "/metrics")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	for _, want := range []string{
		`starling_function_guaranteed_misses_total{class="soft",function="move",shape="keyed"}`,
		`starling_function_guaranteed_misses_total{class="soft",function="actions.shard",shape="keyed"}`,
		`starling_function_guaranteed_misses_total{class="best_effort",function="speak",shape="keyed"}`,
		"starling_invoke_overcommitted 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing", want)
		}
	}
}
