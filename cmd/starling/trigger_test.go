package main

import (
	"strings"
	"testing"
)

func TestAVerdictByFewEventsSaysSo(t *testing.T) {
	for events, want := range map[string]string{"1": "", "30": "too few to tell more", "20000": "background rejection at half of the signals"} {
		out, err := run("", "trigger", "judge", "--events", events)
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "too few")):
			t.Errorf("%s events: %q, %v", events, out, err)
		case want != "" && (err != nil || !strings.Contains(out, want) || strings.Contains(out, "Inf") || strings.Contains(out, "NaN")):
			t.Errorf("%s events: %q, %v", events, out, err)
		}
	}
}
