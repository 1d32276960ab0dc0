package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/starling-vr/starling/internal/servertest"
	"github.com/starling-vr/starling/loadtest/report"
)

// loadtest runs `starling loadtest` with a short crowd to its end and gives what
// it printed and its exit status.
func loadtest(t *testing.T, arguments ...string) (output string, status int) {
	t.Helper()
	short := []string{"--scenario", "street", "--participants", "16", "--warmup", "200ms", "--duration", "1s", "--plain"}
	if slices.Contains(arguments, "--self") && !slices.Contains(arguments, report.Yardstick) {
		for _, one := range servertest.Patient() {
			short = append(short, "--set", one)
		}
	}
	p := launch(t, nil, slices.Concat([]string{"loadtest", arguments[0]}, short, arguments[1:])...)
	<-p.exited
	var exit *exec.ExitError
	if errors.As(p.status, &exit) {
		status = exit.ExitCode()
	} else if p.status != nil {
		t.Fatal(p.status)
	}
	return p.said(), status
}

func TestALoadTestOfItsOwnServer(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "run.json")
	output, status := loadtest(t, "crowd", "--self", "--deadline", "5s", "--max-miss", "50%", "--json", file, "--report", filepath.Join(folder, "page"))
	if status != 0 {
		t.Fatalf("status %d:\n%s", status, output)
	}
	runs, err := report.ReadFile(file)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	r := runs[0]
	if r.Offered < 50 || r.DeliveriesExpected != 8*r.Offered || r.Server == nil || r.Server.CPUS <= 0 || r.Server.RSSBytes <= 0 || r.UsedGBS == nil ||
		r.Scenario != "street" || r.Store != "memory" || r.Participants != 16 || r.Machine.Cores == 0 || len(r.Series) != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(folder, "page", "index.html")); err != nil {
		t.Error(err)
	}
	if strings.Contains(output, "panic") || !strings.Contains(output, "street, 16 participants") {
		t.Error(output)
	}
}

func TestALoadTestOfTheYardstick(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	output, status := loadtest(t, "crowd", "--self", "--server", "yardstick", "--yardstick-wait", "5ms", "--deadline", "5s", "--json", file)
	runs, err := report.ReadFile(file)
	if status != 0 || err != nil || len(runs) != 1 || !strings.Contains(output, "yardstick that waits 5 ms") {
		t.Fatalf("status %d, %d runs, %v:\n%s", status, len(runs), err, output)
	}
	if r := runs[0]; r.Backend != report.Yardstick || r.WaitMS != 5 || r.Store != "" || r.DeliveriesReceived != r.DeliveriesExpected || r.Offered < 50 || r.Server == nil || r.Server.CPUS <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestALoadTestBesideTheYardstick(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	output, status := loadtest(t, "crowd", "--self", "--yardstick", "--deadline", "5s", "--seeds", "2", "--json", file)
	runs, err := report.ReadFile(file)
	if status != 0 || err != nil || len(runs) != 2 || !strings.Contains(output, "all seeds: yardstick: ") {
		t.Fatalf("status %d, %d runs, %v:\n%s", status, len(runs), err, output)
	}
	for _, r := range runs {
		if y := r.Yardstick; r.Backend != report.Starling || y == nil || y.CPURatio == nil || *y.CPURatio <= 0 || y.Achieved != r.Offered || y.DeliveriesReceived != r.DeliveriesExpected {
			t.Errorf("%+v: %+v", r.Counts, y)
		}
	}
}

func TestALimitBesideTheYardsticks(t *testing.T) {
	output, status := loadtest(t, "crowd", "--self", "--yardstick", "--find-limit", "--deadline", "1us", "--seeds", "1", "--precision", "1",
		"--participants", "8", "--warmup", "50ms", "--duration", "300ms")
	if status != missedTooMuch || !strings.Contains(output, "yardstick: not even the lowest rate") {
		t.Errorf("status %d:\n%s", status, output)
	}
}

func TestALoadTestThatMissesTooMuchEndsWithStatus3(t *testing.T) {
	output, status := loadtest(t, "crowd", "--self", "--deadline", "1us", "--max-miss", "1%")
	if status != missedTooMuch || !strings.Contains(output, "more than --max-miss 1%") {
		t.Errorf("status %d:\n%s", status, output)
	}
}

func TestALoadTestOfAServerThatIsThere(t *testing.T) {
	_, listen, _ := serve(t, "--set", "store.kind=memory", "--set", "gateway.refuse_overload=false")
	url := "http://" + listen
	output, status := loadtest(t, "crowd", "--target", url, "--token-key", testKey, "--server-metrics", url+"/metrics", "--deadline", "5s", "--max-miss", "50%")
	if status != 0 || !strings.Contains(output, "us/action") {
		t.Errorf("status %d:\n%s", status, output)
	}
}

func TestASweep(t *testing.T) {
	output, status := loadtest(t, "sweep", "--self", "--over", "group-size", "--values", "2,8")
	if status != 0 || !strings.Contains(output, "CPU per delivery") {
		t.Errorf("status %d:\n%s", status, output)
	}
}

func TestLoadTestsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ arguments, why string }{
		{"crowd", "give --self, or --target"},
		{"crowd --self --target ws://127.0.0.1:1", "give --self or --target, not both"},
		{"crowd --self --rate 0", "--rate 0: nobody would act"},
		{"crowd --self --deadline 0", "--deadline 0s: want a time above 0"},
		{"crowd --self --redis-masters 3", "--redis-masters 3 needs --store redis"},
		{"mix --duration 0s", "--duration 0s: want a time above 0"},
		{"mix --json /nowhere/mix.json", "write /nowhere/mix.json"},
		{"table1 --seeds 0", "want a whole number above 0"},
		{"crowd --self --scenario nowhere", "there is no scenario"},
		{"crowd --self --store paper", "want memory, embedded or redis"},
		{"crowd --self --server fast", "want starling, or with --self yardstick"},
		{"crowd --target ws://127.0.0.1:1 --server yardstick", "want starling, or with --self yardstick"},
		{"crowd --self --server yardstick --set a=b", "a yardstick has no settings"},
		{"crowd --self --server yardstick --yardstick", "not with --server yardstick"},
		{"crowd --target ws://127.0.0.1:1 --yardstick", "it is for --self"},
		{"crowd --self --server yardstick --yardstick-wait 1h", "want 0..1s"},
		{"crowd --target ws://127.0.0.1:1", "no tokens"},
		{"crowd --target ftp://127.0.0.1:1 --token-key k", "want a ws://"},
		{"crowd --target ws://127.0.0.1:1 --token-key k --store redis", "--store is for --self"},
		{"crowd --target ws://127.0.0.1:1 --token-key k --set a=b", "--set is for --self"},
		{"crowd --self --server-metrics http://127.0.0.1:1", "--server-metrics is for --target"},
		{"crowd --self --density 2 --scenario street", "--density is for scenarios with clusters"},
		{"crowd --self --json /nowhere/run.json", "no such file or directory"},
		{"crowd --self --report /dev/null", "not a directory"},
		{"sweep --self --over rate --values 1 --json /nowhere/run.json", "no such file or directory"},
		{"crowd --self --max-miss much", "want a share"},
		{"crowd --self --find-limit --precision 0", "--precision 0%: want 0.5% or more"},
		{"crowd --target ws://127.0.0.1:1 --token-key k --server-metrics http://127.0.0.1:1/metrics", "give the address of /metrics"},
		{"crowd --self --participants 0", "want a whole number above 0"},
		{"crowd --self --participants 1.5", "want a whole number above 0"},
		{"crowd --self --participants 1e3 --owners 0", "want a whole number above 0"},
		{"crowd --self --seeds -1", "want a whole number above 0"},
		{"plan --participants 0", "want a whole number above 0"},
		{"plan --cores 0", "want a whole number above 0"},
		{"crowd --self --participants 999999999 --scenario sparse", "participants"},
		{"plan --scenario street --find-limit", "--find-limit is for --together"},
		{"plan --scenario street --density 2", "--density is for scenarios with clusters"},
		{"sweep --self --over colour --values 1", "want one of"},
		{"sweep --target ws://127.0.0.1:1 --yardstick --over rate --values 1", "it is for --self"},
		{"sweep --self --over owners --values 2", "need --self with --store redis"},
	} {
		_, err := run("", append([]string{"loadtest"}, strings.Fields(c.arguments)...)...)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", c.arguments, err)
		}
	}
}
