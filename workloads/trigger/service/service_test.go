package service

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creasty/defaults"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger"
	"github.com/starling-vr/starling/workloads/trigger/archive"
	"github.com/starling-vr/starling/workloads/trigger/preset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are the defaults, patient where the test's machine may stand still.
func settings(t *testing.T) Config {
	t.Helper()
	var c Config
	if err := defaults.Set(&c); err != nil {
		t.Fatal(err)
	}
	c.Archive.Directory = t.TempDir()
	c.Deadline, c.Chain.Deadline, c.Update.Deadline = time.Minute, time.Minute, time.Minute
	return c
}

func scheduler(t *testing.T) *invoke.Scheduler {
	t.Helper()
	if most := runtime.GOMAXPROCS(0); most < 4 {
		runtime.GOMAXPROCS(4)
		t.Cleanup(func() { runtime.GOMAXPROCS(most) })
	}
	s := invoke.New(invoke.Config{Workers: 2})
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// until waits for a condition; a test that waits for ever is ended by its timeout.
func until(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}

// The simulated events of each network are decided, sampled and archived; what is in the
// archive can be read again and is what was selected.
func TestSimulatedEventsGoAllTheWay(t *testing.T) {
	for _, name := range []string{"jet", "image"} {
		t.Run(name, func(t *testing.T) {
			c := settings(t)
			c.Network, c.Rate, c.Pollers, c.Signals, c.Chain.Rate = name, 2000, 2, 0.2, 0
			var said bytes.Buffer
			registry := prometheus.NewRegistry()
			s, err := New(c, Deps{Scheduler: scheduler(t), Log: slog.New(slog.NewTextHandler(&said, nil)), Registerer: registry})
			if err != nil {
				t.Fatal(err)
			}
			until(func() bool { at := s.Stats(); return at.ChainCompleted > 50 && at.Update.Labelled > 5 })
			if families, err := registry.Gather(); err != nil || len(families) < 10 {
				t.Errorf("%d metrics, %v", len(families), err)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(said.String(), "no real detector is connected") {
				t.Errorf("the log does not say where records come from:\n%s", &said)
			}
			events := 0
			_, err = archive.Scan(c.Archive.Directory, func(payload []byte) error {
				e, err := trigger.DecodeEvent(payload)
				if err == nil && (e.Version == 0 || e.Class < 0 || len(e.Record) != map[string]int{"jet": 16, "image": 2048}[name]) {
					t.Errorf("class %d by model %d of %d bytes", e.Class, e.Version, len(e.Record))
				}
				events++
				return err
			})
			if err != nil || uint64(events) != s.Stats().ChainCompleted {
				t.Errorf("%d of %d events in the archive, %v", events, s.Stats().ChainCompleted, err)
			}
		})
	}
}

// A full archive costs the events that come then: counted, and told of once in a while.
func TestAFullArchive(t *testing.T) {
	c := settings(t)
	c.Rate, c.Signals, c.Chain.Rate = 20000, 1, 0
	c.Archive.Bytes, c.Archive.DropOldest = leastArchive, false
	fill, err := archive.Open(c.Archive.Directory, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := fill.Append(make([]byte, leastArchive/2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := fill.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s, err := New(c, Deps{Scheduler: scheduler(t), Log: slog.New(slog.NewTextHandler(&said, nil)), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	archiving := func() trigger.StageStats { chain := s.Stats().Chain; return chain[len(chain)-1] }
	until(func() bool { return archiving().Failed > 100 })
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	told := strings.Count(said.String(), "a function of the trigger failed")
	if told == 0 || uint64(told) > archiving().Failed/10 || !strings.Contains(said.String(), "archive: full") || archiving().Completed != 0 {
		t.Errorf("%d lines, %+v:\n%.500s", told, archiving(), &said)
	}
}

// A feed of the program's own takes the place of the simulated detector.
func TestAFeedOfItsOwn(t *testing.T) {
	n, recipe, err := preset.Network("jet")
	if err != nil {
		t.Fatal(err)
	}
	c := settings(t)
	simulated, err := c.synthetic(true)
	if err != nil {
		t.Fatal(err)
	}
	record := bytes.Clone(simulated.Sources[0].(*stream.Schedule).Arena.Record(0))
	if err := simulated.close(); err != nil {
		t.Fatal(err)
	}
	arena, err := stream.NewArena(64, recipe.Shape.Size)
	if err != nil {
		t.Fatal(err)
	}
	ring, closed := stream.NewRing(arena, stream.ProcessorClock()), false
	feed := &Feed{
		Name: "a test", Sources: []stream.Source{ring}, Energy: simulated.Energy, Memory: int64(arena.Bytes()),
		Close: func() error { closed = true; return arena.Close() },
	}
	on := scheduler(t)
	if err := c.Admit(on, feed); err != nil || closed {
		t.Fatalf("%v, closed %v", err, closed)
	}
	s, err := New(c, Deps{Scheduler: on, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Feed: feed})
	if err != nil {
		t.Fatal(err)
	}
	const count = 500
	for range count {
		until(func() bool { return !errors.Is(ring.Push(record), stream.ErrFull) })
	}
	until(func() bool { return s.Stats().Inference.Decided == count })
	if s.Source() != "a test" || n.Shape.Size != len(record) {
		t.Error(s.Source())
	}
	if err := s.Close(t.Context()); err != nil || !closed {
		t.Errorf("%v, closed %v", err, closed)
	}
}

// What a machine cannot hold is refused with the arithmetic, and nothing is left.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"cores":    {func(c *Config) { c.Pace, c.Pollers = "pinned", 2 }, "TNN_inference 2 = "},
		"rate":     {func(c *Config) { c.Network, c.Rate = "image-deep", 1e8 }, "a record / 1 pollers"},
		"deadline": {func(c *Config) { c.Deadline = 1 }, "> deadline 1ns"},
		"threads":  {func(c *Config) { c.Pollers = 64 }, "64 pollers + 1 for the rest of the process > GOMAXPROCS"},
		"chain":    {func(c *Config) { c.Chain.Rate = 1e6 }, "measure_energy is not admitted"},
		"samples":  {func(c *Config) { c.Update.SampleRate = 1e6 }, "updateModel is not admitted"},
	} {
		t.Run(name, func(t *testing.T) {
			set := settings(t)
			c.change(&set)
			on := scheduler(t)
			err := set.Admit(on, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Lower trigger.rate") {
				t.Errorf("want %q, got %v", c.want, err)
			}
			if _, err := New(set, Deps{Scheduler: on, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
			if left := on.Accounts().Functions; len(left) != 0 {
				t.Errorf("%d functions are left", len(left))
			}
		})
	}
}

func TestCheck(t *testing.T) {
	torn := filepath.Join(t.TempDir(), "torn.weights")
	if err := os.WriteFile(torn, []byte("no weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := settings(t)
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"trigger.rate":              func(c *Config) { c.Rate = 0 },
		"trigger.deadline":          func(c *Config) { c.Deadline = 0 },
		"trigger.pollers":           func(c *Config) { c.Pollers = 0 },
		"yielding or pinned":        func(c *Config) { c.Pace = "fast" },
		"trigger.nice":              func(c *Config) { c.Nice = 20 },
		"vnni, avx2, go":            func(c *Config) { c.Instructions = "sse" },
		"trigger.least_energy":      func(c *Config) { c.LeastEnergy = -1 },
		"trigger.miss_target":       func(c *Config) { c.MissTarget = 2 },
		"trigger.signals":           func(c *Config) { c.Signals = -1 },
		"trigger.chain.rate":        func(c *Config) { c.Chain.Rate = -1 },
		"trigger.chain.deadline":    func(c *Config) { c.Chain.Deadline = 0 },
		"trigger.update.sample":     func(c *Config) { c.Update.SampleRate = 2e6 },
		"trigger.update: window":    func(c *Config) { c.Update.Window = 0 },
		"trigger.archive.directory": func(c *Config) { c.Archive.Directory = "" },
		"trigger.archive.bytes":     func(c *Config) { c.Archive.Bytes = 1 },
		"interval, each or never":   func(c *Config) { c.Archive.Sync = "often" },
		"jet image image-deep":      func(c *Config) { c.Network = "jets" },
		"no such file":              func(c *Config) { c.Weights = "/nowhere/at-all" },
		"torn.weights":              func(c *Config) { c.Weights = torn },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// Failures of one function hide none of another; those not told of are told at the end.
func TestFailuresAreToldOnceInAWhile(t *testing.T) {
	var said bytes.Buffer
	now := time.Unix(1000, 0)
	f := newFailures(slog.New(slog.NewTextHandler(&said, nil)), func() time.Time { return now })
	for range 100 {
		f.tell(&trigger.StageError{Function: "archive_event", Err: errors.New("no space")})
		f.tell(errors.New("a kernel"))
	}
	now = now.Add(tellEvery)
	f.tell(&trigger.StageError{Function: "archive_event", Err: errors.New("no space")})
	if lines := strings.Count(said.String(), "\n"); lines != 3 || !strings.Contains(said.String(), "others_since_the_last=99") {
		t.Errorf("%d lines:\n%s", lines, &said)
	}
	f.flush()
	f.flush()
	if lines := strings.Count(said.String(), "\n"); lines != 4 || !strings.Contains(said.String(), "function=TNN_inference") {
		t.Errorf("%d lines:\n%s", lines, &said)
	}
}
