package server_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/workloads/trigger/archive"
)

// triggered are settings with a trigger that also a slow machine holds.
func triggered(t *testing.T, set ...string) []string {
	return append([]string{
		"region.roles=gateway,owner,annotate,trigger", "trigger.archive.directory=" + t.TempDir(), "trigger.rate=200",
		"trigger.deadline=1m", "trigger.chain.deadline=1m", "trigger.update.deadline=1m", "trigger.signals=0.5", "owner.workers=2",
	}, set...)
}

type status struct {
	Name, Shape, Class string
	Contract           struct {
		Rate     float64
		Deadline float64 `json:"deadline_seconds"`
		Memory   string
	}
	Invocations, Guaranteed string
	Refusals                map[string]string
	Used                    float64 `json:"used_gb_s"`
	Memory                  float64 `json:"reserved_gb_s"`
	Cores                   float64 `json:"reserved_core_s"`
}

func functions(t *testing.T, s *server.Server) map[string]status {
	t.Helper()
	code, body := get(t, s, "/functions")
	var said struct{ Functions []status }
	if err := json.Unmarshal([]byte(body), &said); err != nil || code != 200 {
		t.Fatalf("%d, %v", code, err)
	}
	of := make(map[string]status)
	for _, f := range said.Functions {
		of[f.Name] = f
	}
	return of
}

var triggerFunctions = []string{"TNN_inference", "measure_energy", "select_event", "format_event", "serialise_event", "archive_event", "updateModel"}

// TestTriggerRole: each function of the trigger has a row that counts, with its contract,
// Used and R, and metrics; the stop leaves what was selected in the archive.
func TestTriggerRole(t *testing.T) {
	directory := t.TempDir()
	threads := runtime.GOMAXPROCS(0)
	s := start(t, triggered(t, "trigger.archive.directory="+directory)...)
	counted := func() bool {
		rows := functions(t, s)
		for _, name := range triggerFunctions {
			if n, _ := strconv.Atoi(rows[name].Invocations); n < 5 {
				return false
			}
		}
		return true
	}
	for !counted() {
		runtime.Gosched()
	}
	rows := functions(t, s)
	for _, name := range triggerFunctions {
		f := rows[name]
		if f.Class != "soft" || f.Contract.Rate == 0 || f.Contract.Deadline != 60 || f.Contract.Memory == "0" || f.Guaranteed == "0" || f.Used <= 0 || f.Memory <= 0 || f.Cores <= 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if got := rows["TNN_inference"]; got.Shape != "stream" || got.Contract.Rate != 200 {
		t.Errorf("%+v", got)
	}
	_, metrics := get(t, s, "/metrics")
	for _, want := range []string{
		`starling_function_contract_rate{class="soft",function="TNN_inference",shape="stream"} 200`,
		`starling_trigger_records_total{outcome="decided"}`, `starling_trigger_archive_events_total`, `starling_directory_nodes`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	stop(t, s)
	if found, err := archive.Scan(directory, func([]byte) error { return nil }); err != nil || found.Frames < 5 || found.TornBytes != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if now := runtime.GOMAXPROCS(0); now != threads {
		t.Errorf("%d threads of Go after the stop, %d before the start", now, threads)
	}
}

// TestTriggerAlone: a process may have that role only, and needs no key for tokens.
func TestTriggerAlone(t *testing.T) {
	s := start(t, triggered(t, "region.roles=trigger", "auth.key=")...)
	if rows := functions(t, s); len(rows) != len(triggerFunctions)+1 { // and retrain
		t.Errorf("%d functions", len(rows))
	}
	stop(t, s)
}

// TestNoTriggerUnlessAskedFor: it takes a core, so nobody gets it by default.
func TestNoTriggerUnlessAskedFor(t *testing.T) {
	s := start(t)
	if rows := functions(t, s); rows["TNN_inference"].Name != "" || len(rows) == 0 {
		t.Errorf("%+v", rows)
	}
	stop(t, s)
}

// TestTriggerIsAdmittedBesideTheOthers: what fits alone, but not beside the functions of
// actions, is refused with the arithmetic of all, by a check as by a start.
func TestTriggerIsAdmittedBesideTheOthers(t *testing.T) {
	for roles, want := range map[string]string{
		"trigger":                        "",
		"gateway,owner,annotate,trigger": "TNN_inference 1 = ",
	} {
		settings := load(t, triggered(t, "region.roles="+roles, "trigger.pace=pinned")...)
		err := settings.CheckWith(actions.NewRegistry(), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "move 20000/s")) {
			t.Errorf("%s: want %q, got %v", roles, want, err)
		}
		if want == "" {
			continue
		}
		if _, err := server.Start(t.Context(), settings, server.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", roles, want, err)
		}
	}
}

func TestTriggerIsCheckedForItsRoleOnly(t *testing.T) {
	for roles, want := range map[string]string{"gateway,owner": "", "trigger": "trigger.archive.directory"} {
		err := load(t, "region.roles="+roles, "trigger.archive.directory=").Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", roles, err)
		}
	}
}
