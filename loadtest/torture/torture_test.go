package torture_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/loadtest/torture"
)

var (
	seeds = flag.Int("seeds", number("TORTURE_SEEDS", 1), "runs of each scenario, each with a seed of its own (TORTURE_SEEDS)")
	bus   = flag.String("bus", os.Getenv("TORTURE_BUS"), "bus.kind of the processes: direct (default) or redis (TORTURE_BUS)")
	seed  = flag.Uint64("seed", uint64(number("TORTURE_SEED", 0)), "the first seed; 0 draws one by the clock (TORTURE_SEED)")
)

func number(variable string, unset int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return unset
}

// binary is what the processes run.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// run builds the binary once: TORTURE_RACE=1 with the race detector in it,
// which slows the processes down several times. TORTURE_BINARY names one that
// is built already.
func run(m *testing.M) int {
	if binary = os.Getenv("TORTURE_BINARY"); binary != "" {
		return m.Run()
	}
	folder, err := os.MkdirTemp("", "torture-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "starling")
	arguments := []string{"build", "-o", binary}
	if os.Getenv("TORTURE_RACE") == "1" {
		arguments = append(arguments, "-race")
	}
	if out, err := exec.Command("go", append(arguments, "github.com/starling-vr/starling/cmd/starling")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building starling: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func TestNone(t *testing.T)           { torment(t, "none") }
func TestOwnerKilled(t *testing.T)    { torment(t, "owner-killed") }
func TestOwnerPaused(t *testing.T)    { torment(t, "owner-paused") }
func TestGatewayKilled(t *testing.T)  { torment(t, "gateway-killed") }
func TestRedisKilled(t *testing.T)    { torment(t, "redis-killed") }
func TestMasterKilled(t *testing.T)   { torment(t, "master-killed") }
func TestLinkCut(t *testing.T)        { torment(t, "link-cut") }
func TestRollingRestart(t *testing.T) { torment(t, "rolling-restart") }
func TestOwnerDrained(t *testing.T)   { torment(t, "owner-drained") }

// TestRedisBus is one fault over the other bus; with TORTURE_BUS=redis all
// scenarios use it.
func TestRedisBus(t *testing.T) {
	was := *bus
	*bus = "redis"
	defer func() { *bus = was }()
	torment(t, "owner-killed")
}

func torment(t *testing.T, name string) {
	scenario, ok := torture.ScenarioNamed(name)
	if !ok {
		t.Fatalf("no scenario %s", name)
	}
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	for i := range *seeds {
		seed := first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { once(t, scenario, seed) })
	}
}

func once(t *testing.T, scenario torture.Scenario, seed uint64) {
	report, err := torture.Execute(context.Background(), scenario, torture.Options{
		Binary: binary, Seed: seed, Bus: *bus, Players: number("TORTURE_PLAYERS", 0), Rate: rate,
	})
	t.Log(report)
	if report.Slowest != "" {
		t.Log(report.Slowest)
	}
	if err != nil {
		t.Errorf("%v\nagain: TORTURE_BUS=%s TORTURE_SEED=%d go test ./loadtest/torture -run %s -v", err, *bus, seed, strings.SplitN(t.Name(), "/", 2)[0])
		return
	}
	if n := len(report.Violations); n > 0 {
		t.Errorf("%d violations, histories and logs in %s:\n%s", n, report.Folder, report.Summary(20))
	}
	if share := report.Crossing.Share(); share < 0.1 {
		t.Errorf("%.1f%% of the actions crossed cells, shards or owners, want a tenth", 100*share)
	}
	if report.InFlight == 0 {
		t.Error("no action was in flight at the fault")
	}
	if report.LostSessions > 0 {
		t.Errorf("%d clients had to open a new session", report.LostSessions)
	}
	if report.Absent == 0 && report.Unknown > 0 {
		t.Errorf("%d actions have no outcome", report.Unknown)
	}
	if longest, limit := report.TakeOver.Longest(), report.TakeOverLimit(); scenario.Name == "owner-killed" && longest > limit {
		t.Errorf("a shard was served again only after %v, want %v", longest, limit)
	}
}
