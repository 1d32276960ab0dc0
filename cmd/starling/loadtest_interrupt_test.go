package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/starling-vr/starling/loadtest/report"
)

// interrupt runs `starling loadtest` against a yardstick until it has printed what
// fits the pattern, and then as Ctrl-C does.
func interrupt(t *testing.T, pattern string, arguments ...string) (output string) {
	t.Helper()
	short := []string{"--self", "--server", "yardstick", "--participants", "16", "--warmup", "0s", "--duration", "200ms", "--deadline", "5s", "--plain"}
	p := launch(t, nil, slices.Concat([]string{"loadtest", arguments[0]}, short, arguments[1:])...)
	p.find(pattern)
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	var exit *exec.ExitError
	if !errors.As(p.status, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("ended with %v", p.status)
	}
	return p.said()
}

func TestWhatWasFinishedIsKept(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct {
		pattern   string
		arguments string
	}{
		"seeds": {`(street, seed 2)`, "crowd --seeds 10000"},
		"sweep": {`(street, rate 5, seed 2)`, "sweep --over rate --values 5,6,7 --seeds 10000"},
	} {
		file, page := filepath.Join(folder, name+".json"), filepath.Join(folder, name)
		output := interrupt(t, c.pattern, append(strings.Fields(c.arguments), "--json", file, "--report", page)...)
		runs, err := report.ReadFile(file)
		if err != nil || len(runs) == 0 {
			t.Fatalf("%s: %d runs, %v", name, len(runs), err)
		}
		notes := strings.Join(runs[0].Notes, "\n")
		if !strings.Contains(notes, "interrupted after ") || !strings.Contains(output, "interrupted after ") || !strings.Contains(output, "CPU") {
			t.Errorf("%s: %s\n%s", name, notes, output)
		}
		if text, err := os.ReadFile(filepath.Join(page, "index.html")); err != nil || !strings.Contains(string(text), "interrupted after ") {
			t.Errorf("%s: the page (%v) does not say so", name, err)
		}
	}
}

func TestASearchThatIsInterruptedSaysWhatItTried(t *testing.T) {
	file := filepath.Join(t.TempDir(), "limit.json")
	output := interrupt(t, `(/s, seed 1: missed)`, "crowd", "--find-limit", "--max-miss", "50%", "--json", file)
	if !strings.Contains(output, "the search was interrupted after ") || strings.Contains(output, "not even the lowest") {
		t.Error(output)
	}
	if _, err := report.ReadFile(file); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
}

func TestNothingFinishedIsNoResult(t *testing.T) {
	output := interrupt(t, `(street, seed 1)`, "crowd", "--duration", "1h")
	if !strings.Contains(output, "there is no result") {
		t.Error(output)
	}
}
