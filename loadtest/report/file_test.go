package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// runs that could have been measured, of servers that show everything and of
// those that show nothing.
var possible = sync.OnceValue(func() (runs []Run) {
	for i := range uint64(12) {
		r := sample(i, float64(i), 0.1+float64(i)/4)
		r.Series = r.Series[:i%4]
		if i%4 != 0 {
			r.Server, r.UsedGBS, r.ReservedGBS, r.Machine.OthersCPUS = nil, nil, nil, nil
			r.Histograms = Histograms{LatencyUS: r.Histograms.LatencyUS}
			r.Derive()
		}
		runs = append(runs, r)
	}
	return runs
})

func anyRun(t *rapid.T) Run { return rapid.SampledFrom(possible()).Draw(t, "run") }

func written(t testing.TB, runs ...Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, runs...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// same compares what JSON keeps; histograms by what they count.
func same(t interface{ Fatalf(string, ...any) }, a, b Run) {
	pairs := func(r *Run) []*Histogram {
		h := r.Histograms
		r.Histograms = Histograms{}
		return []*Histogram{h.LatencyUS, h.OutcomeUS, h.GapUS, h.LagUS, h.Affected, h.RefusedPPM}
	}
	left, right := pairs(&a), pairs(&b)
	for i := range left {
		if !left[i].Equal(right[i]) {
			t.Fatalf("histogram %d differs", i)
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("runs differ:\n%+v\n%+v", a, b)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := rapid.SliceOfN(rapid.Custom(anyRun), 1, 2).Draw(t, "runs")
		var b bytes.Buffer
		if err := Write(&b, runs...); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&b)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(runs) {
			t.Fatalf("%d runs came back of %d", len(got), len(runs))
		}
		for i := range runs {
			same(t, runs[i], got[i])
		}
	})
}

func TestDerivingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		again := r.clone()
		again.Seeds = nil
		again.Derive()
		same(t, r, again)
	})
}

func TestReadingSaysWhatIsWrong(t *testing.T) {
	good := written(t, sample(1, 50, 1))
	change := func(do func(map[string]any)) string {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		do(m)
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "holds no run"},
		"an empty array":  {"[]", "holds no run"},
		"no JSON":         {"p50=3ms", "no JSON: at byte"},
		"cut off":         {string(good[:len(good)/2]), "ends in the middle"},
		"another file":    {`{"vus": 100, "p95": 3}`, `want an object with "format"`},
		"a number":        {`17`, `want an object with "format"`},
		"newer":           {change(func(m map[string]any) { m["version"] = 2 }), "newer Starling (version 2"},
		"version 0":       {change(func(m map[string]any) { m["version"] = 0 }), "has version 0"},
		"unknown field":   {change(func(m map[string]any) { m["p95"] = 3 }), "p95"},
		"missing field":   {change(func(m map[string]any) { delete(m, "miss_rate") }), "miss_rate"},
		"wrong type":      {change(func(m map[string]any) { m["seed"] = "one" }), "seed"},
		"contradiction":   {change(func(m map[string]any) { m["offered"] = 3 }), "offered is 3"},
		"no histogram":    {change(func(m map[string]any) { m["histograms"] = map[string]any{"latency_us": nil} }), "latency_us"},
		"bad histogram":   {change(func(m map[string]any) { m["histograms"] = map[string]any{"latency_us": "AAAA"} }), "HdrHistogram V2"},
		"second of array": {"[" + string(good) + `,{"format":"x"}]`, "run 2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

// Files of version 1 from before fields were added are still read.
func TestReadingNearestWithoutWhatWasAdded(t *testing.T) {
	r := sample(1, 1, 0.1)
	r.Nearest = &Nearest{Count: 24, NearestCounts: NearestCounts{DeliveriesExpected: 100, DeliveriesReceived: 99, DeliveriesMissed: 2}}
	r.Derive()
	var document map[string]any
	if err := json.Unmarshal(written(t, r), &document); err != nil {
		t.Fatal(err)
	}
	nearest := document["nearest"].(map[string]any)
	for _, name := range addedToNearest {
		if _, there := nearest[name]; !there {
			t.Errorf("%s is not written", name)
		}
		delete(nearest, name)
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := Read(bytes.NewReader(text))
	if err != nil || len(runs) != 1 || runs[0].Nearest == nil || runs[0].Nearest.MissRate != 0.02 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	delete(nearest, "deliveries_missed")
	if text, err = json.Marshal(document); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(bytes.NewReader(text)); err == nil {
		t.Error("a file without what was there from the start is read")
	}
}

func TestReadingTheRunsOfASearch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limit.json")
	a, b := sample(1, 50, 1), sample(2, 50, 1)
	l := &Limit{Scenario: "street", MaxMiss: 0.01, Found: true, RatePerS: 50, Tries: []Try{TryOf(&a, 0.01)}, Runs: []Run{a, b}}
	if err := WriteLimit(path, l); err != nil {
		t.Fatal(err)
	}
	runs, err := ReadFile(path)
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	same(t, b, runs[1])
	if err := WriteLimit(path, &Limit{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "no rate that holds") {
		t.Errorf("a search without a result: %v", err)
	}
}

func TestFilesAreReplacedWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "run.json")
	for seed := range uint64(2) {
		if err := WriteFile(path, sample(seed, 20, 1)); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := ReadFile(path)
	if err != nil || runs[0].Seed != 1 {
		t.Fatalf("%v, %v", runs[0].Seed, err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 {
		t.Errorf("%d files left", len(left))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(written(f, sample(1, 3, 1)))
	f.Add([]byte(`[{"format":"starling-loadtest-run","version":1}]`))
	f.Add([]byte(`{"format":"starling-loadtest-limit","version":1,"runs":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		runs, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := Write(&b, runs...); err != nil {
			t.Fatalf("what was read is not written: %v", err)
		}
		if _, err := Read(&b); err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
	})
}
