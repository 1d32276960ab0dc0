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

func TestValuesOfTheWrongTypeAreRefused(t *testing.T) {
	for _, set := range []string{"gateway.flush=soon", "gateway.max-connections=many", "gateway.tls=perhaps", "nonsense"} {
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
