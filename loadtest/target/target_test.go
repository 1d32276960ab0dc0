package target_test

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/target"
	"github.com/starling-vr/starling/loadtest/yardstick"
)

// asServer makes this test binary a starling that serves until it is killed.
const asServer = "TARGET_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		serve(os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// serve does what `starling serve --set ...` and `starling loadtest yardstick` do.
func serve(arguments []string) {
	if arguments[0] == "loadtest" {
		serveYardstick()
		return
	}
	var set []string
	for i, a := range arguments {
		if a == "--set" {
			set = append(set, arguments[i+1])
		}
	}
	settings, err := server.Load(config.Sources{Set: set})
	if err != nil {
		panic(err)
	}
	log, err := settings.Log.Logger(os.Stderr)
	if err != nil {
		panic(err)
	}
	ctx, stop := signalContext()
	defer stop()
	s, err := server.Start(ctx, settings, server.Options{Log: log})
	if err != nil {
		panic(err)
	}
	log.Info("serving", "listen", s.Address())
	<-ctx.Done()
}

func serveYardstick() {
	ctx, stop := signalContext()
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	err := yardstick.Serve(ctx, "127.0.0.1:0", yardstick.Options{}, func(address string) { log.Info("serving", "listen", address) })
	if err != nil {
		panic(err)
	}
}

func start(t *testing.T, o target.Options) (*target.Self, error) {
	t.Helper()
	t.Setenv(asServer, "1")
	o.Binary = os.Args[0]
	o.Directory = t.TempDir()
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	return target.Start(t.Context(), o)
}

// worked is the usage of a server once it has a processor time, which the system
// gives in hundredths of a second: until then it is asked for something.
func worked(t *testing.T, s *target.Self) generator.Usage {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	page := "http" + strings.TrimPrefix(s.URL(), "ws")
	for tries := 0; ; tries++ {
		usage, err := s.Usage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if usage.CPU > 0 || tries == 10_000 {
			return usage
		}
		if response, err := client.Get(page); err == nil {
			_ = response.Body.Close()
		}
	}
}

// Every store comes up, its processes are accounted for, and nothing is left.
func TestServersOfOnesOwn(t *testing.T) {
	for _, o := range []target.Options{
		{Store: "memory", Durability: "memory"},
		{Store: "embedded", Durability: "disk"},
		{Store: "redis", Durability: "disk", Owners: 2},
		{Store: "redis", Durability: "replicated"},
	} {
		t.Run(o.Store+" "+o.Durability, func(t *testing.T) {
			s, err := start(t, o)
			if err != nil {
				t.Fatal(err)
			}
			usage := worked(t, s)
			if usage.CPU <= 0 || usage.RSS < 1<<20 || usage.Used == nil || usage.Reserved == nil || (usage.StoreCPU != nil) != (o.Store == "redis") {
				t.Errorf("%+v", usage)
			}
			if !strings.HasPrefix(s.URL(), "ws://127.0.0.1:") || len(s.Key()) < 32 {
				t.Errorf("%q %q", s.URL(), s.Key())
			}
			remote, err := target.NewRemote([]string{s.MetricsURL()}).Usage(t.Context())
			if err != nil || remote.CPU <= 0 || remote.RSS <= 0 || remote.Used == nil {
				t.Errorf("%+v, %v", remote, err)
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			<-s.Exited()
		})
	}
}

func TestAYardstickOfOnesOwn(t *testing.T) {
	s, err := start(t, target.Options{Yardstick: &yardstick.Options{}})
	if err != nil {
		t.Fatal(err)
	}
	usage := worked(t, s)
	if usage.CPU <= 0 || usage.RSS < 1<<20 || usage.StoreCPU != nil || usage.Used != nil {
		t.Errorf("%+v", usage)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	<-s.Exited()
}

func TestServersThatDoNotComeUp(t *testing.T) {
	for why, o := range map[string]target.Options{
		"want memory, embedded or redis": {Store: "paper", Durability: "memory"},
		"durability must be memory":      {Store: "memory", Durability: "disk"},
		"need a store that they share":   {Store: "memory", Durability: "memory", Owners: 2},
		"unknown key":                    {Store: "memory", Durability: "memory", Set: []string{"colour=blue"}},
	} {
		s, err := start(t, o)
		if err == nil {
			_ = s.Stop()
			t.Errorf("%+v came up", o)
		} else if !strings.Contains(err.Error(), why) {
			t.Errorf("%v: want %q", err, why)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	s, err := start(t, target.Options{Store: "embedded", Durability: "memory"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("stopped twice: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(t.TempDir(), "..", "*", "starling-loadtest-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
}
