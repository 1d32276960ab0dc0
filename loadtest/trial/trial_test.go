package trial_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/loadtest/target"
	"github.com/starling-vr/starling/loadtest/trial"
)

func spec(t *testing.T, name string) trial.Spec {
	t.Helper()
	s, err := scenario.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return trial.Spec{Scenario: s, Participants: 400, Self: &target.Options{Store: "redis"}}
}

func TestWhatASweepChanges(t *testing.T) {
	s := spec(t, "street")
	for _, c := range []struct {
		parameter string
		value     float64
		changed   func(trial.Spec) bool
	}{
		{"participants", 1000, func(x trial.Spec) bool { return x.Participants == 1000 }},
		{"rate", 2.5, func(x trial.Spec) bool { return x.Rate == 2.5 }},
		{"group-size", 20, func(x trial.Spec) bool { return x.Scenario.Groups.Size == 20 }},
		{"shards", 10, func(x trial.Spec) bool { return x.Scenario.Groups.PerShard == 5 }},
		{"owners", 3, func(x trial.Spec) bool { return x.Self.Owners == 3 }},
		{"work", 7, func(x trial.Spec) bool {
			return time.Duration(x.Scenario.Work.PerNeighbour) == 7*time.Microsecond && x.Scenario.Mix.Work == 0.9 && x.Scenario.Mix.Move == 0
		}},
	} {
		got, err := s.With(c.parameter, c.value)
		if err != nil || !c.changed(got) {
			t.Errorf("%s: %+v, %v", c.parameter, got.Scenario, err)
		}
		if c.changed(s) {
			t.Errorf("%s changed the spec that it came from", c.parameter)
		}
	}
	if s.Lambda() != 10 {
		t.Errorf("lambda %v", s.Lambda())
	}
}

func TestWhatASweepCannotChange(t *testing.T) {
	for _, c := range []struct {
		scenario, parameter string
		value               float64
	}{
		{"street", "density", 2}, {"street", "shards", 1000}, {"pokemon-go", "shards", 2}, {"pokemon-go", "group-size", 2}, {"street", "colour", 1}, {"street", "group-size", 0},
	} {
		s := spec(t, c.scenario)
		if got, err := s.With(c.parameter, c.value); err == nil {
			t.Errorf("%+v: %+v", c, got.Scenario)
		}
	}
	s := spec(t, "street")
	for value, told := range map[float64]string{51: "1 to 50 shards", 1: "--values of 2 or more, or --participants 392 or less"} {
		if _, err := s.With("shards", value); err == nil || !strings.Contains(err.Error(), told) {
			t.Errorf("50 groups over %g shards: %v, want to be told %q", value, err, told)
		}
	}
	s.Self.Store = "memory"
	if _, err := s.With("owners", 2); err == nil {
		t.Error("two owners without a store that they share")
	}
	if len(trial.Parameters()) != 7 {
		t.Error(trial.Parameters())
	}
}

func TestTokenFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("plain-1\n\n{\"participant\":\"a\",\"token\":\"json-2\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := trial.FileTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"plain-1", "json-2"} {
		if got, err := tokens.Participant(i); got != want || err != nil {
			t.Errorf("%d: %q, %v", i, got, err)
		}
	}
	if _, err := tokens.Participant(2); err == nil || !strings.Contains(err.Error(), "2 tokens") {
		t.Errorf("%v", err)
	}
	if got, err := tokens.PlaceMaker(); got != "plain-1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("{\"participant\":\"a\"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trial.FileTokens(path); err == nil {
		t.Error("a line without a token was taken")
	}
	if _, err := trial.FileTokens(path + "x"); err == nil {
		t.Error("no file")
	}
}
