package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-vr/starling/loadtest/report"
)

// resultFile writes a run whose server used so much processor time an action.
func resultFile(t *testing.T, name string, microseconds float64) string {
	t.Helper()
	r := report.Run{Scenario: "street", DeadlineMS: 15, DurationS: 12, Server: &report.Server{CPUS: microseconds / 100}}
	r.Counts = report.Counts{Offered: 10_000, Admitted: 10_000, Achieved: 10_000, Goodput: 10_000, DeliveriesExpected: 80_000, DeliveriesReceived: 80_000}
	r.Derive()
	path := filepath.Join(t.TempDir(), name)
	if err := report.WriteFile(path, r); err != nil {
		t.Fatal(err)
	}
	return path
}

// compared runs the command.
func compared(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := compareCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetOut(&out)
	cmd.SetArgs(arguments)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestComparingFiles(t *testing.T) {
	before, after := resultFile(t, "before.json", 60), resultFile(t, "after.json", 120)
	text, err := compared(t, before, after)
	if err != nil || !strings.Contains(text, "Worse beyond noise: CPU per action, CPU per delivery.") {
		t.Errorf("%v\n%s", err, text)
	}
	_, err = compared(t, before, after, "--fail-if-worse")
	if coded := (*statusError)(nil); !errors.As(err, &coded) || coded.status != gotWorse {
		t.Errorf("--fail-if-worse: %v", err)
	}
	if _, err = compared(t, after, before, "--fail-if-worse"); err != nil {
		t.Errorf("what got better: %v", err)
	}
	text, err = compared(t, before+","+before, after, "--json")
	var c struct{ Before, Worse []string }
	if err != nil || json.Unmarshal([]byte(text), &c) != nil || len(c.Before) != 2 {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err = compared(t, before, filepath.Join(t.TempDir(), "none.json")); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
	}
}
