package trigger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// quiet is a run that any machine can do: few records, a poller that yields.
func quiet() Spec {
	return Spec{
		Rate: 20_000, Net: "jet", Limit: time.Second, SampleRate: 1000, Select: 0.01, SwapEvery: 50 * time.Millisecond,
		Duration: 400 * time.Millisecond, Pace: "yielding", Cores: 1, Place: "l2", Seed: 7,
	}
}

func TestARun(t *testing.T) {
	var said []Progress
	r, err := Process(t.Context(), "", quiet(), func(p Progress) { said = append(said, p) })
	if err != nil {
		t.Fatal(err)
	}
	if r.Network != "jet" || r.Op != 8512 || r.SizeBytes != 16 || r.Place != "l2" || r.Poller != "yielding" || r.Pollers != 1 {
		t.Errorf("%s: Op %d, S_t %d in %s, %d %s pollers", r.Network, r.Op, r.SizeBytes, r.Place, r.Pollers, r.Poller)
	}
	if r.Due < 4000 || r.RatePerS < 0.9*20_000 || r.Missed > r.Due || r.InLimit <= 0 || r.Within.US30 < r.Within.NS150 || r.LatencyNS.P50 <= 0 {
		t.Errorf("%d due, %g/s, %d missed, within %+v, latency %+v", r.Due, r.RatePerS, r.Missed, r.Within, r.LatencyNS)
	}
	// Selection, sampling and swapping were on, and what left is accounted for.
	if ended := r.SelectedLost + r.ChainCompleted + r.ChainRejected + r.ChainRefused + r.ChainFailed + r.ChainUnended; r.Selected == 0 || ended != r.Selected || r.ChainCompleted == 0 {
		t.Errorf("%d selected, %d lost, %d completed, %d rejected, %d refused, %d failed, %d unended", r.Selected, r.SelectedLost, r.ChainCompleted, r.ChainRejected, r.ChainRefused, r.ChainFailed, r.ChainUnended)
	}
	if r.Samples == 0 || r.Updates != r.Samples || r.Swaps == 0 {
		t.Errorf("%d samples, %d invocations of updateModel, %d swaps", r.Samples, r.Updates, r.Swaps)
	}
	if r.Met != (len(r.Unmet) == 0) {
		t.Errorf("met %v: %q", r.Met, r.Unmet)
	}
	empties := 0
	for _, p := range r.Parts {
		if p.Empty {
			empties++
		}
	}
	if len(r.Parts) != 5 || empties != 3 || !r.Parts[0].Empty || !r.Parts[4].Empty || r.EmptyLoop.US30 == 0 {
		t.Errorf("parts %+v, empty loop %+v", r.Parts, r.EmptyLoop)
	}
	if len(said) < 6 || said[0].Note == "" {
		t.Errorf("it said %+v", said)
	}
	var text bytes.Buffer
	if err := Summarize(&text, r); err != nil || !strings.Contains(text.String(), "empty loop") {
		t.Errorf("%v: %s", err, text.String())
	}
	checkForm(t, r)
}

// What is written is as the schema says, with the fields that others rely on.
func checkForm(t *testing.T, r *Result) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.json")
	if err := errors.Join(WriteFile(path, r), WriteFile("", r)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	resolved, err := Schema().Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := resolved.Validate(m); err != nil {
		t.Error(err)
	}
	for _, path := range []string{
		"rate_per_s", "within.ns150", "within.ns300", "within.us1", "within.us3", "within.us30", "empty_loop.ns150", "empty_loop.us30",
		"latency_ns.p50", "latency_ns.p99", "latency_ns.p999", "missed", "selected", "chain_completed", "samples", "samples_lost", "swaps",
		"op", "size_bytes", "met", "machine.cpu", "machine.limits",
	} {
		var at any = m
		for name := range strings.SplitSeq(path, ".") {
			within, _ := at.(map[string]any)
			found, ok := within[name]
			if !ok {
				t.Errorf("%s is missing", path)
			}
			at = found
		}
	}
}

// As fast as it goes, with a network of the generated family.
func TestAsManyAsCanBeDecided(t *testing.T) {
	spec := quiet()
	if err := spec.Rate.Set("max"); err != nil {
		t.Fatal(err)
	}
	spec.Net, spec.Operations, spec.Size, spec.Batch, spec.SampleRate, spec.SwapEvery = "", 40_000, 1024, 16, 0, 0
	r, err := Process(t.Context(), "", spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.OfferedPerS != nil || r.Met || r.RatePerS < 10_000 || r.BatchMost != 16 || r.Samples != 0 || r.Swaps != 0 || r.SizeBytes != 1024 {
		t.Errorf("%+v", r)
	}
	checkForm(t, r)
}

func TestARunThatIsCalledOff(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	spec := quiet()
	spec.Duration = time.Hour
	_, err := Process(ctx, "", spec, func(Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// All rates held and nothing past the limit, or why not. No more samples come than
// records, whatever was asked for.
func TestWhatIsMet(t *testing.T) {
	r := &run{spec: Spec{Rate: 30, SampleRate: 1000}}
	all := Result{RatePerS: 30, DurationS: 5, Due: 150, Samples: 150, Selected: 9, ChainCompleted: 8, ChainRejected: 1}
	for want, change := range map[string]func(*Result){
		"":                                     func(*Result) {},
		"29 /s decided of 30 /s":               func(r *Result) { r.RatePerS = 29 },
		"3 of 150 records past the limit":      func(r *Result) { r.Missed = 3 },
		"140 of 150 samples, 0 lost":           func(r *Result) { r.Samples = 140 },
		"150 of 150 samples, 2 lost":           func(r *Result) { r.SamplesLost = 2 },
		"2 of 9 selected records did not go":   func(r *Result) { r.ChainCompleted = 6 },
		"2 lost; 9 of 9 selected records did ": func(r *Result) { r.SamplesLost, r.ChainCompleted, r.ChainRejected = 2, 0, 0 },
	} {
		changed := all
		change(&changed)
		if got := strings.Join(r.unmet(&changed), "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNetworksThatAreNotThere(t *testing.T) {
	spec := quiet()
	spec.Net = "jt"
	if _, err := Process(t.Context(), "", spec, nil); err == nil || !strings.Contains(err.Error(), `no network "jt"`) {
		t.Error(err)
	}
}

func TestSpecsThatMakeNoSense(t *testing.T) {
	for why, change := range map[string]func(*Spec){
		"rate":           func(s *Spec) { s.Rate = 0 },
		"limit":          func(s *Spec) { s.Limit = 0 },
		"duration":       func(s *Spec) { s.Duration = 1 },
		"sample rate":    func(s *Spec) { s.SampleRate = -1 },
		"select":         func(s *Spec) { s.Select = 2 },
		"batch 65: want": func(s *Spec) { s.Batch = 65 },
		"cores -1: want": func(s *Spec) { s.Cores = -1 },
		"nice 50":        func(s *Spec) { s.Nice = 50 },
		"swap-every":     func(s *Spec) { s.SwapEvery = -1 },
		"give a network": func(s *Spec) { s.Net = "" },
		"give either":    func(s *Spec) { s.Size = 16 },
		"place":          func(s *Spec) { s.Place = "l4" },
		"poller":         func(s *Spec) { s.Pace = "lazy" },
		"instructions":   func(s *Spec) { s.Instructions = "mmx" },
	} {
		spec := quiet()
		change(&spec)
		if err := spec.check(); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]string{"40e6": "4e+07", "30": "30", "max": "max"} {
		var r Rate
		if err := r.Set(text); err != nil || r.String() != want {
			t.Errorf("%s: %v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "NaN", "Inf", "fast", "1 2", "1x"} {
		var r Rate
		if err := r.Set(text); err == nil {
			t.Errorf("%q is %v", text, r)
		}
	}
	spec := quiet()
	text, err := json.Marshal(spec)
	var again Spec
	if err != nil || json.Unmarshal(text, &again) != nil || again != spec {
		t.Errorf("%s became %+v", text, again)
	}
}

func TestWhatAProcessMayWrite(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "without a result",
		"garbage\n":                "wrote",
		`{"error":"no"}` + "\n":    "no",
		`{"progress":{}}` + "\n{}": "without a result",
	} {
		if _, err := read(strings.NewReader(in), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if err := Serve(t.Context(), strings.NewReader("{"), new(bytes.Buffer)); err == nil {
		t.Error("half a specification was taken")
	}
}

// FuzzRead: whatever a process writes, it is a result or an error.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"progress":{"note":"x"}}` + "\n" + `{"result":{"format":"starling-loadtest-trigger"}}`))
	f.Add([]byte("{}\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := read(bytes.NewReader(in), func(Progress) {})
		if (r == nil) == (err == nil) {
			t.Errorf("%+v and %v", r, err)
		}
	})
}

func TestCachesAndWhereRecordsLie(t *testing.T) {
	root := t.TempDir()
	for index, c := range []map[string]string{
		{"level": "1", "type": "Data", "size": "48K"}, {"level": "1", "type": "Instruction", "size": "32K"},
		{"level": "2", "type": "Unified", "size": "2048K"}, {"level": "3", "type": "Unified", "size": "32M"},
	} {
		folder := filepath.Join(root, "sys/devices/system/cpu/cpu3/cache/index"+string(rune('0'+index)))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range c {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := readCaches(root, 3)
	if c != (Caches{48 << 10, 2 << 20, 32 << 20}) {
		t.Errorf("%+v", c)
	}
	for _, want := range []struct {
		place   string
		stride  int
		pollers int
		count   int
		fits    string
	}{
		{"l2", 16, 2, 65536, "l2"}, {"l2", 2048, 2, 512, "l2"}, {"l3", 2048, 2, 4096, "l3"}, {"memory", 2048, 2, 32768, "memory"}, {"l2", 1 << 20, 2, 8, "l3"}, {"l2", 4 << 20, 2, 8, "memory"},
		{"l2", 64 << 20, 2, 2, "memory"}, {"l2", 256 << 20, 2, 1, "memory"},
		{"l2", 16, 99, 1024, "l2"}, {"l2", 64 << 10, 99, 8, "memory"},
	} {
		if count, fits := c.records(want.place, want.stride, want.pollers, 2); count != want.count || fits != want.fits {
			t.Errorf("%s, stride %d: %d in %s", want.place, want.stride, count, fits)
		}
	}
	if c := readCaches(root, 4); c != (Caches{}) {
		t.Errorf("a processor that is not there: %+v", c)
	}
	for _, text := range []string{"", "K", "-1K", "9999999999K", "x"} {
		if parseSize(text) != 0 {
			t.Errorf("%q is %d", text, parseSize(text))
		}
	}
}

func TestTheView(t *testing.T) {
	network := Progress{Elapsed: 1.5, Length: 3, RatePerS: 4e7, Within: Within{NS150: 0.5, NS300: 0.912, US3: 0.95}, P50NS: 120, Selected: 3, Samples: 1000, Version: 2}
	for _, live := range []bool{false, true} {
		var b bytes.Buffer
		v := &View{out: &b, live: live}
		v.Show(Progress{Note: "a note"})
		v.Show(Progress{Empty: true, Within: Within{NS300: 0.97}})
		v.Show(network)
		v.Show(network)
		got := b.String()
		for _, want := range []string{"a note\n", "91.20%", "97.00%"} {
			if !strings.Contains(got, want) {
				t.Errorf("live %v: no %q in %q", live, want, got)
			}
		}
		if live != strings.Contains(got, "\x1b[") {
			t.Errorf("live %v: %q", live, got)
		}
	}
	if m, few := perSecond(4e7), perSecond(29.8612); m != "40 M/s" || few != "29.86 /s" {
		t.Errorf("rates %q and %q", m, few)
	}
	if !slices.Equal([]rune(curve([]float64{0, 0.5, 1, 2, -1})), []rune("▁▄██▁")) {
		t.Error(curve([]float64{0, 0.5, 1, 2, -1}))
	}
}
