package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Where nothing arrived there are no latencies and no costs of an action: null, as
// the form says, and every view does without them.
func TestWhatIsNotKnownIsNull(t *testing.T) {
	r := Run{
		Scenario: "street", DurationS: 1, Counts: Counts{Offered: 5, Unanswered: 5, ActionsMissed: 5, DeliveriesExpected: 9, DeliveriesMissed: 9},
		Server: &Server{CPUS: 1}, Nearest: &Nearest{Count: 24}, Yardstick: &Measure{CPUS: 1}, Work: []Work{{From: 1, To: 2, Actions: 5, Missed: 5}},
		Series: []Second{{At: 1, Counts: Counts{Offered: 5, Unanswered: 5}}},
	}
	r.Histograms.NearestUS = NewHistogram()
	r.Derive()
	text := written(t, r)
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"latency_ms", "nearest.latency_ms", "server.cpu_us_per_action", "server.cpu_us_per_delivery", "yardstick.cpu_us_per_action", "yardstick.cpu_us_per_delivery",
		"work.mean_ms", "series.p50_ms", "series.p99_ms", "series.max_ms",
	} {
		var at any = m
		for name := range strings.SplitSeq(path, ".") {
			if list, is := at.([]any); is {
				at = list[0]
			}
			found, there := at.(map[string]any)[name]
			if at = found; !there {
				t.Errorf("%s is missing", path)
			}
		}
		if at != nil {
			t.Errorf("%s is %v, want null", path, at)
		}
	}
	again, err := Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written(t, again[0]), text) {
		t.Error("what was read is written otherwise")
	}
	limit := Limit{Format: LimitFormat, Version: Version, Tries: []Try{TryOf(&r, 0.01)}, Runs: []Run{r}}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(&limit); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(&b); err != nil {
		t.Error(err)
	}
	sweep, err := NewSweep("participants", []Run{r})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := sweep.WriteTable(&table, true); err != nil || !strings.Contains(table.String(), "| – | – |") {
		t.Errorf("%v:\n%s", err, table.String())
	}
	if err := WritePage(t.TempDir(), 0, r, r); err != nil {
		t.Error(err)
	}
}
