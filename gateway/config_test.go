package gateway

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/pubsub/direct"
)

// The tags that the configuration file is documented from name the defaults.
func TestDefaultsAreAsDocumented(t *testing.T) {
	config := reflect.ValueOf(DefaultConfig())
	for i := range config.NumField() {
		field := config.Type().Field(i)
		if field.Tag.Get("toml") == "-" {
			continue
		}
		got := fmt.Sprint(config.Field(i).Interface())
		want := field.Tag.Get("default")
		if d, err := time.ParseDuration(want); err == nil && field.Type == reflect.TypeFor[time.Duration]() {
			want = d.String()
		}
		if got != want || field.Tag.Get("doc") == "" || field.Tag.Get("toml") == "" {
			t.Errorf("%s: default %q, documented %q (%q)", field.Name, got, want, field.Tag.Get("doc"))
		}
	}
}

func TestValidate(t *testing.T) {
	good := DefaultConfig()
	good.Node = "a"
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"node":            func(c *Config) { c.Node = "" },
		"max_ring":        func(c *Config) { c.MaxRing = 4 },
		"idle_time":       func(c *Config) { c.IdleTime = c.PingAfter },
		"flush_share":     func(c *Config) { c.FlushShare = c.Deadline },
		"renew_every":     func(c *Config) { c.RenewEvery = c.ResumeTime },
		"open_time":       func(c *Config) { c.OpenTime = 0 },
		"max_message":     func(c *Config) { c.MaxMessage = 10 },
		"budget_entities": func(c *Config) { c.BudgetEntities = 1 },
		"budget_bytes":    func(c *Config) { c.BudgetBytes = -1 },
		"budget_near":     func(c *Config) { c.BudgetNear = 0 },
	} {
		config := good
		spoil(&config)
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMetricsAreRegistered(t *testing.T) {
	bus, registry := direct.New(), prometheus.NewRegistry()
	verifier, err := auth.NewWithKey(auth.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig()
	config.Node = "a"
	deps := Deps{Router: LocalRouter(newScriptedOwner(bus)), Bus: bus, Auth: verifier, Registerer: registry}
	g, err := New(config, deps)
	if err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) < 10 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
	if _, err := New(config, deps); err == nil {
		t.Error("registered twice")
	}
	_ = g.Close()
	_ = bus.Close()
}
