package together_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/loadtest/annotate"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/together"
	"github.com/starling-vr/starling/loadtest/trigger"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// pretend makes this program a tester with made-up results.
const pretend = "STARLING_TEST_PRETEND"

func TestMain(m *testing.M) {
	if os.Getenv(pretend) != "" {
		os.Exit(tester(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// tester does what `starling loadtest` does with the arguments, without the work.
func tester(arguments []string) int {
	has := func(flag string) bool { return slices.Contains(arguments, flag) }
	value := func(flag string) string { return arguments[slices.Index(arguments, flag)+1] }
	mode := os.Getenv(pretend)
	if mode == "broken "+arguments[1] {
		fmt.Fprintln(os.Stderr, "no such luck")
		return 1
	}
	if mode == "hangs" && arguments[1] != "trigger" || mode == "broken annotate" && arguments[1] != "annotate" {
		select {} // until it is told to end
	}
	cpu := 120.0
	run := report.Run{Started: began, DurationS: 2.5, Participants: 100, OfferedPerS: 1000, GoodputPerS: 990, MissRate: 0.004, Server: &report.Server{CPUUSPerAction: 160}}
	var result any
	switch {
	case arguments[1] == "trigger":
		r := trigger.Result{RatePerS: 39.9e6, InLimit: 0.9, EmptyLimit: 0.95}
		r.Machine.Limits = []string{"no VNNI", "2 cores"}
		if value("--poller") == "yielding" {
			// The first turn and the last lie outside of what was measured of the actions.
			r.Started = began.Add(-2 * time.Second)
			for i, within := range []float64{0.9, 0.52, 0.5, 0.52, 0.5, 0.52, 0.1} {
				part := trigger.Part{Empty: i%2 == 1, BeganS: 1.5 + float64(i)/2, DurationS: 0.5, Due: 5e4, RatePerS: 1e5}
				part.Within.US3 = within
				r.Parts = append(r.Parts, part)
			}
		}
		result = r
	case arguments[1] == "sweep":
		result = []report.Run{run, run}
	case has("--find-limit") && mode == "slow" && arguments[1] == "crowd":
		result = report.Limit{Tries: []report.Try{{OfferedPerS: 1000, MissRate: 0.4}, {OfferedPerS: 62, MissRate: 0.031}}}
	case has("--find-limit") && mode == "slow":
		result = annotate.Limit{Tries: []annotate.Result{{OfferedPerS: 250, LateFraction: 0.02}}}
	case has("--find-limit") && arguments[1] == "crowd":
		limited := run
		limited.DeliveriesExpected, limited.DeliveriesMissed = 1000, 7
		result = report.Limit{Found: true, RatePerS: 6000, Runs: []report.Run{limited, limited}}
	case has("--find-limit"):
		result = annotate.Limit{Found: true, RatePerS: 4000, Runs: []annotate.Result{{Documents: 1000, InTime: 999}}}
	case arguments[1] == "annotate" && has("--synthetic"):
		result = annotate.Result{OfferedPerS: 10, AchievedPerS: 9, LateFraction: 0.1, CPUUSPerDocument: &cpu}
	case arguments[1] == "annotate" && mode == "roomy":
		rate, err := strconv.ParseFloat(value("--rate"), 64)
		if err != nil {
			panic(err)
		}
		result = annotate.Result{OfferedPerS: rate, AchievedPerS: min(rate, 7000), Documents: 100, Duration: 1}
	case arguments[1] == "annotate":
		result = annotate.Result{OfferedPerS: 3000, AchievedPerS: 1200, Documents: 3000, Refused: 1700, Duration: 1, AdmittedLateFraction: 0.002}
	default:
		result = run
	}
	text, err := json.Marshal(result)
	if err == nil {
		err = os.WriteFile(value("--json"), text, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 3 // not met: what was measured counts all the same
}

func runner(t *testing.T, mode string) (*together.Runner, func() []string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var told []string
	return &together.Runner{Binary: binary, Dir: t.TempDir(), Environment: append(os.Environ(), pretend+"="+mode), Tell: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, line)
		}}, func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(told)
		}
}

func TestTable1(t *testing.T) {
	r, told := runner(t, "well")
	table, err := together.Table1(t.Context(), r, together.TableOptions{Duration: time.Second, Seeds: 3, Sweeps: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(told()); n != 8 {
		t.Errorf("%d testers ran: %v", n, told())
	}
	var text bytes.Buffer
	if err := table.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"trigger     40 M/s    39.9 M/s  300ns hard  90.00 % (empty loop 95.00 %)  no   not applicable",
		"actions     50 K/s    6000/s    15ms soft   99.30 %", "annotation  12 K/s    4000/s    100ms hard  99.90 %",
		"trigger: no VNNI; 2 cores", "100 users", "32 functions, 8 workflows  10/s", "160", "120",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	checkJSON(t, table)
	checkPictures(t, table, "table1.svg", "table1-actions.svg", "table1-annotation.svg")
}

// Where no rate held, the table says what was tried instead of nothing.
func TestTable1OfASlowMachine(t *testing.T) {
	r, _ := runner(t, "slow")
	table, err := together.Table1(t.Context(), r, together.TableOptions{Duration: time.Second, Seeds: 1})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := table.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"actions: no rate held: at 62/s, the lowest of 2 tried, 3.10 % missed", "annotation: no rate held: at 250/s, the lowest of 1 tried, 2.00 % missed",
	} {
		if !strings.Contains(text.String(), want) || strings.Contains(text.String(), "  0.00 %") {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// What a quick machine has room for is not taken for what was offered it first.
func TestMixOfAQuickMachine(t *testing.T) {
	r, told := runner(t, "roomy")
	mix, err := together.RunMix(t.Context(), r, together.MixOptions{Duration: time.Second, Actions: 1000, Guarantee: 500, Trigger: 1e5, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if mix.LeftPerS != 6500 || mix.With.Annotation.OfferedPerS != 13_500 || mix.Without.Annotation.OfferedPerS != 13_500 {
		t.Errorf("left over: %v; offered: %v", mix.LeftPerS, mix.With.Annotation.OfferedPerS)
	}
	probes := 0
	for _, line := range told() {
		if strings.Contains(line, "annotate --self") && strings.Contains(line, "probe-") {
			probes++
		}
	}
	if probes != 3 { // 3,000, 6,000 and 12,000
		t.Errorf("%d probes: %v", probes, told())
	}
}

func TestMix(t *testing.T) {
	r, told := runner(t, "well")
	mix, err := together.RunMix(t.Context(), r, together.MixOptions{Duration: time.Second, Actions: 1000, Guarantee: 500, Trigger: 1e5, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if mix.LeftPerS != 700 { // 1,200 less the guarantee
		t.Errorf("left over: %v", mix.LeftPerS)
	}
	offered := 0
	for _, line := range told() {
		if strings.Contains(line, "annotate --self --rate 1900 ") { // 500 and twice 700
			offered++
		}
	}
	if offered != 2 {
		t.Errorf("twice what is left over was offered %d times: %v", offered, told())
	}
	for _, s := range []together.Share{mix.With, mix.Without} {
		if s.Trigger.Turns != 2 || s.Trigger.Within3US != 0.5 || s.Trigger.EmptyLoop != 0.52 {
			t.Errorf("the trigger's turns: %+v", s.Trigger)
		}
		if !s.Actions.Kept || !s.Annotation.Kept || !s.Trigger.Kept || s.Annotation.AdmittedPerS != 1300 {
			t.Errorf("%+v", s)
		}
	}
	for name, want := range map[string]string{"with": "rate = 500", "without": `deadline = "60s"`} {
		text, err := os.ReadFile(filepath.Join(r.Dir, name+"-workflows.toml"))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		if _, err := pipeline.ParseDefinitions(name, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var text bytes.Buffer
	if err := mix.Write(&text); err != nil || strings.Count(text.String(), "kept") != 6 {
		t.Errorf("%v\n%s", err, text.String())
	}
	checkJSON(t, mix)
	checkPictures(t, mix, "mix-in-time.svg", "mix-goodput.svg")
}

// checkPictures draws a result as it was written and reads the pictures back.
func checkPictures(t *testing.T, result any, want ...string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "result.json")
	if err := together.WriteFile(path, nil, result); err != nil {
		t.Fatal(err)
	}
	files, err := together.Draw(path, dir)
	if err != nil || len(files) != len(want) {
		t.Fatalf("%v: %v", files, err)
	}
	for _, name := range want {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(text, new(struct {
			XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		})); err != nil || bytes.Contains(text, []byte("NaN")) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	for _, text := range []string{"", `{"format":"else"}`, `{"format":"starling-loadtest-mix","version":99}`, `{"format":"starling-loadtest-mix","version":1,"left_per_s":"x"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if files, err := together.Draw(path, t.TempDir()); err == nil {
			t.Errorf("%q: drew %v", text, files)
		}
	}
}

func checkJSON(t *testing.T, result any) {
	t.Helper()
	var text bytes.Buffer
	if err := together.WriteFile("-", &text, result); err != nil || !json.Valid(text.Bytes()) {
		t.Errorf("%v: %s", err, text.Bytes())
	}
}

// One tester that fails ends the others, and says why.
func TestMixWithAPartThatFails(t *testing.T) {
	r, _ := runner(t, "broken annotate")
	_, err := together.RunMix(t.Context(), r, together.MixOptions{Duration: time.Second, Actions: 1000, Guarantee: 500, Trigger: 1e5})
	if err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("error: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	r, told := runner(t, "hangs")
	ctx, cancel := context.WithCancel(t.Context())
	tell := r.Tell
	r.Tell = func(line string) {
		tell(line)
		if strings.Contains(line, "crowd") {
			cancel()
		}
	}
	if _, err := together.Table1(ctx, r, together.TableOptions{Duration: time.Second, Seeds: 1}); err != context.Canceled {
		t.Errorf("error: %v after %v", err, told())
	}
}
