package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "a key of thirty-two bytes or more"

func load(t *testing.T, set ...string) *server.Settings {
	t.Helper()
	settings, err := server.Load(config.Sources{Set: append([]string{
		"listen=127.0.0.1:0", "auth.key=" + key, "store.kind=memory", "gateway.drain_time=200ms",
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func start(t *testing.T, set ...string) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), load(t, set...), server.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *server.Server) {
	t.Helper()
	began := time.Now()
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func get(t *testing.T, s *server.Server, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + s.Address() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func join(t *testing.T, s *server.Server, name string, options starling.Options) *starling.Client {
	t.Helper()
	token, err := auth.Mint([]byte(key), name, server.DevScopes, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	options.Token = starling.StaticToken(token)
	options.Start = starling.Geographic(25.0339, 121.5645, 0)
	options.Ring = 1
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := starling.Dial(ctx, "ws://"+s.Address()+server.Endpoint, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestOneListenerServesHealthReadinessMetricsAndTheWorld(t *testing.T) {
	s := start(t)
	defer stop(t, s)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "starling_gateway_connections"} {
		if status, body := get(t, s, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	heard := make(chan string, 1)
	ear := join(t, s, "ear", starling.Options{OnEvent: func(_ uint64, e *starlingv1.Event) { heard <- e.GetText() }})
	mouth := join(t, s, "mouth", starling.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	speak := &starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "hello"}}}}
	if _, err := mouth.Act(ctx, speak); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-heard:
		if text != "hello" {
			t.Errorf("heard %q", text)
		}
	case <-ctx.Done():
		t.Error("nothing was heard")
	}
	_, _ = ear.Close(), mouth.Close()
}

func TestAGatewayWithoutOwnersIsNotReady(t *testing.T) {
	s := start(t, "region.roles=gateway")
	defer stop(t, s)
	if status, body := get(t, s, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "no owner") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get(t, s, "/healthz"); status != http.StatusOK {
		t.Error("a restart would not help it")
	}
}

func TestAnEmbeddedWorldSurvivesAStop(t *testing.T) {
	set := []string{"store.kind=embedded", "store.durability=disk", "store.directory=" + filepath.Join(t.TempDir(), "world")}
	s := start(t, set...)
	c := join(t, s, "spawner", starling.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	spawn := &starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{
		Kind: "ball", Pose: &starlingv1.Pose{Position: starling.Geographic(25.0339, 121.5645, 0)},
	}}}
	out, err := c.Act(ctx, spawn)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	stop(t, s)

	s = start(t, set...)
	defer stop(t, s)
	seen := make(chan uint64, 100)
	visitor := join(t, s, "visitor", starling.Options{OnFrame: func(f *starlingv1.CellFrame, _ time.Time) {
		for _, commit := range f.Commits {
			for _, step := range commit.Steps {
				select {
				case seen <- step.GetUpdate().GetEntity():
				default:
				}
			}
		}
	}})
	defer visitor.Close()
	for {
		select {
		case id := <-seen:
			if id == out.Entity {
				return
			}
		case <-ctx.Done():
			t.Fatal("the ball is gone")
		}
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	for _, set := range [][]string{
		{"auth.key="},
		{"auth.key=short"},
		{"store.kind=paper"},
		{"store.kind=embedded"},
		{"store.kind=memory", "store.durability=disk"},
		{"bus.kind=redis"},
		{"world.shard_resolution=10"},
		{"gateway.flush_share=20ms"},
		{"log.level=loud"},
		{"owner.speed=0"},
		{"tls.certificate=cert.pem"},
		{"region.roles=captain"},
		{"listen=nowhere"},
	} {
		s, err := server.Start(t.Context(), load(t, set...), server.Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			t.Errorf("%v was taken", set)
			stop(t, s)
		}
	}
}
