package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/config"
)

type settings struct {
	Node    string   `toml:"node" default:"n1" doc:"Name of this process."`
	Roles   []string `toml:"roles" default:"[\"gateway\",\"owner\"]" doc:"What it does."`
	Gateway struct {
		Flush time.Duration `toml:"flush" default:"4ms" doc:"How long an update may wait for company."`
		Max   int           `toml:"max-connections" default:"100" doc:"Connections at most."`
		Ratio float64       `toml:"ratio" default:"0.5"`
		TLS   bool          `toml:"tls"`
	} `toml:"gateway" doc:"The edge."`
	Functions map[string]function `toml:"functions" doc:"By name."`
}

type function struct {
	Rate    *float64       `toml:"rate" doc:"Per second."`
	RunTime *time.Duration `toml:"run_time" doc:"Of one run."`
	Time    *time.Duration `toml:"time" doc:"To tell it from the other."`
}

func write(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "starling.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaterSourceWins(t *testing.T) {
	var s settings
	err := config.Load(&s, config.Sources{
		File: write(t, "node = \"file\"\n[gateway]\nflush = \"1ms\"\nmax-connections = 7\ntls = true\n"),
		Env:  []string{"STARLING_GATEWAY_FLUSH=2ms", "STARLING_GATEWAY_MAX_CONNECTIONS=8", "HOME=/x", "STARLING_ROLES=owner,gateway"},
		Set:  []string{"gateway.flush=3ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var want settings
	want.Node, want.Roles = "file", []string{"owner", "gateway"}
	want.Gateway.Flush, want.Gateway.Max, want.Gateway.Ratio, want.Gateway.TLS = 3*time.Millisecond, 8, 0.5, true
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestUnknownKeysAreRefusedWithTheNearestOne(t *testing.T) {
	for name, from := range map[string]config.Sources{
		"file": {File: write(t, "[gateway]\nflsh = \"1ms\"\n")},
		"flag": {Set: []string{"gateway.flsh=1ms"}},
	} {
		var s settings
		err := config.Load(&s, from)
		if err == nil || !strings.Contains(err.Error(), "gateway.flsh") || !strings.Contains(err.Error(), `"gateway.flush"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var s settings
	err := config.Load(&s, config.Sources{Env: []string{"STARLING_GATEWAY_FLUSHH=1ms"}})
	if err == nil || !strings.Contains(err.Error(), "STARLING_GATEWAY_FLUSH") {
		t.Errorf("environment: %v", err)
	}
}

func TestTablesHaveASectionForEachName(t *testing.T) {
	var s settings
	err := config.Load(&s, config.Sources{
		File: write(t, "[functions.move]\nrate = 1\nrun_time = \"1ms\"\n[functions.\"my.tag\"]\nrate = 2.5\n"),
		Env:  []string{"STARLING_FUNCTIONS_MOVE_RATE=7", "STARLING_FUNCTIONS_SET_ATTRIBUTE_RUN_TIME=3ms"},
		Set:  []string{"functions.my.tag.run_time=2ms", "functions.move.rate=8"},
	})
	if err != nil {
		t.Fatal(err)
	}
	of := func(rate float64, run time.Duration) function {
		f := function{Rate: &rate, RunTime: &run}
		if rate == 0 {
			f.Rate = nil
		}
		return f
	}
	want := map[string]function{
		"move": of(8, time.Millisecond), "my.tag": of(2.5, 2*time.Millisecond), "set_attribute": of(0, 3*time.Millisecond),
	}
	if !reflect.DeepEqual(s.Functions, want) {
		t.Errorf("got %+v, want %+v", s.Functions, want)
	}
	var again settings
	if err := config.Load(&again, config.Sources{File: write(t, config.Print(&s))}); err != nil || !reflect.DeepEqual(s, again) {
		t.Errorf("printed and read again: %v\n%s", err, config.Print(&s))
	}
	if page := config.Reference(&s); !strings.Contains(page, "## `[functions.NAME]`") || !strings.Contains(page, "`STARLING_FUNCTIONS_NAME_RUN_TIME`") {
		t.Errorf("the reference does not say how it is set:\n%s", page)
	}
	for _, wrong := range []config.Sources{
		{File: write(t, "[functions.move]\nrat = 1\n")},
		{Set: []string{"functions.move.rat=1"}},
		{Env: []string{"STARLING_FUNCTIONS_MOVE_RAT=1"}},
		{File: write(t, "[functions]\nrate = 1\n")},
	} {
		err := config.Load(&settings{}, wrong)
		if err == nil || !strings.Contains(err.Error(), "unknown") {
			t.Errorf("%+v: %v", wrong, err)
		} else if wrong.Env == nil && !strings.Contains(err.Error(), "functions.rate") && !strings.Contains(err.Error(), `did you mean "functions.move.rate"?`) {
			t.Error(err)
		}
	}
}

func TestValuesOfTheWrongTypeAreRefused(t *testing.T) {
	for _, set := range []string{"gateway.flush=soon", "gateway.max-connections=many", "gateway.tls=perhaps", "functions.move.rate=often", "nonsense"} {
		var s settings
		if err := config.Load(&s, config.Sources{Set: []string{set}}); err == nil {
			t.Errorf("%s was taken: %+v", set, s)
		}
	}
}

func TestWhatPrintWritesLoadReads(t *testing.T) {
	var s settings
	if err := config.Load(&s, config.Sources{Set: []string{"gateway.flush=9ms", "roles=owner"}}); err != nil {
		t.Fatal(err)
	}
	text := config.Print(&s)
	for _, want := range []string{"# How long an update may wait", "STARLING_GATEWAY_FLUSH", "[gateway]"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	var again settings
	if err := config.Load(&again, config.Sources{File: write(t, text)}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s, again) {
		t.Errorf("got %+v, want %+v", again, s)
	}
}
