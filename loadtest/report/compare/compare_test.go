package compare

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/loadtest/report"
	"pgregory.net/rapid"
)

// measured makes up a run: latencies around a mean, with some noise of its own.
func measured(seed uint64, meanMS, cpuUS float64) report.Run {
	random := rand.New(rand.NewPCG(seed, 3))
	r := report.Run{
		Starling: "0.1.0-dev", Scenario: "street", Store: "redis", Durability: "disk", Seed: seed, Participants: 400, DeadlineMS: 15, DurationS: 12,
		Started: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), Machine: report.Machine{CPU: "AMD EPYC", Cores: 2},
	}
	r.Histograms.LatencyUS = report.NewHistogram()
	slow := 1 + 0.03*random.NormFloat64() // of this run
	for second := range 12 {
		s := report.Second{At: float64(second + 1)}
		own := report.NewHistogram()
		for range 400 {
			s.Offered++
			us := int64(1000 * meanMS * slow * random.ExpFloat64())
			late := int64(0)
			if us > 15000 {
				late = 8
				s.ActionsMissed++
			} else {
				s.Goodput++
			}
			s.DeliveriesExpected += 8
			s.DeliveriesReceived += 8
			s.DeliveriesMissed += late
			own.RecordN(us, 8)
		}
		s.Admitted, s.Achieved = s.Offered, s.Offered
		s.Latencies(own)
		r.Histograms.LatencyUS.Add(own)
		r.Counts.Add(s.Counts)
		r.Series = append(r.Series, s)
	}
	r.BytesReceived = 100 * r.DeliveriesReceived
	r.Server = &report.Server{CPUS: cpuUS * 1e-6 * float64(r.Achieved) * (1 + 0.04*random.NormFloat64()), RSSBytes: 200 << 20}
	r.Derive()
	return r
}

func several(first uint64, n int, meanMS, cpuUS float64) (runs []report.Run) {
	for i := range uint64(n) {
		runs = append(runs, measured(first+i, meanMS, cpuUS))
	}
	return runs
}

// alike are runs of the same thing, slower are of one that got worse.
var (
	alike  = sync.OnceValue(func() []report.Run { return several(1, 16, 3, 60) })
	slower = sync.OnceValue(func() []report.Run { return several(50, 8, 5, 90) })
)

// Comparing runs of the same thing must seldom call anything a change.
func TestTheSameThingIsTheSame(t *testing.T) {
	for _, runs := range []int{1, 3, 5} {
		alarms, judged, figures := 0, 0, []string{}
		for trial := range uint64(20) {
			pool := slices.Clone(alike())
			rand.New(rand.NewPCG(trial, 1)).Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
			c := Compare(pool[:runs], pool[runs:2*runs])
			alarms += len(c.Worse) + len(c.Better)
			figures = append(figures, slices.Concat(c.Worse, c.Better)...)
			judged += len(c.Changes)
		}
		if alarms > judged/50 {
			t.Errorf("%d run(s) on a side: %d of %d figures changed, want at most 2 %%: %v", runs, alarms, judged, figures)
		}
	}
}

func TestWhatGotWorseIsSeen(t *testing.T) {
	for _, runs := range []int{1, 3} {
		c := Compare(alike()[:runs], slower()[:runs])
		for _, figure := range []string{"latency p50", "latency p99", "deliveries missed", "actions missed", "CPU per action"} {
			if !slices.Contains(c.Worse, figure) {
				t.Errorf("%d run(s): %s is not among what got worse: %v", runs, figure, c.Worse)
			}
		}
		if back := Compare(slower()[:runs], alike()[:runs]); len(back.Worse) != 0 || len(back.Better) == 0 {
			t.Errorf("%d run(s), the other way round: worse %v, better %v", runs, back.Worse, back.Better)
		}
	}
}

// Several seeds see what one run cannot tell from noise.
func TestSeveralRunsSeeSmallerChanges(t *testing.T) {
	before, after := alike()[:8], several(70, 8, 3, 69)
	if c := Compare(before, after); !slices.Contains(c.Worse, "CPU per action") {
		t.Errorf("15 %% more processor time in 8 runs: %v", c.Worse)
	}
	if c := Compare(before[:1], after[:1]); slices.Contains(c.Worse, "CPU per action") {
		t.Error("15 % more processor time in one run says nothing")
	}
}

// Turned round, a comparison finds the same changes with the other sign.
func TestComparingIsSymmetric(t *testing.T) {
	pool := slices.Concat(alike()[:4], slower()[:4])
	some := rapid.SliceOfN(rapid.SampledFrom(pool), 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := some.Draw(t, "a"), some.Draw(t, "b")
		there, back := Compare(a, b), Compare(b, a)
		if !slices.Equal(there.Worse, back.Better) || !slices.Equal(there.Better, back.Worse) {
			t.Fatalf("there %v/%v, back %v/%v", there.Worse, there.Better, back.Worse, back.Better)
		}
		for i, change := range there.Changes {
			if math.IsNaN(change.Change) || change.Change != -back.Changes[i].Change {
				t.Fatalf("%+v and %+v", change, back.Changes[i])
			}
		}
		if _, err := json.Marshal(there); err != nil {
			t.Fatal(err)
		}
		if c := Compare(a, a); len(c.Worse)+len(c.Better) > 0 {
			t.Fatalf("compared with itself: %v %v", c.Worse, c.Better)
		}
	})
}

func TestRunsThatMeasuredNothing(t *testing.T) {
	var empty report.Run
	empty.Derive()
	c := Compare([]report.Run{empty}, []report.Run{measured(1, 3, 60)})
	if len(c.Worse)+len(c.Better) > 0 {
		t.Errorf("worse %v, better %v", c.Worse, c.Better)
	}
	if _, err := json.Marshal(c); err != nil {
		t.Error(err)
	}
}

func TestTheTextOfAComparison(t *testing.T) {
	a, b := measured(1, 3, 60), measured(2, 5, 90)
	b.Durability, b.GeneratorLimited, b.GeneratorLimitedWhy = "memory", true, "it lagged"
	var out strings.Builder
	if err := Compare([]report.Run{a}, []report.Run{b}).Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"durability: disk before, memory after", "warning: after, seed 2: the load tester was the limit", "Worse beyond noise: ", "one run on each side", "latency p99"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	t.Log("\n" + out.String())
}

func TestTheIntervals(t *testing.T) {
	if got := student(2.5); got != 9.925 {
		t.Errorf("2.5 degrees of freedom: %v", got)
	}
	if got := welch([]float64{1, 2, 3}, []float64{5}); math.Abs(got-9.925*math.Sqrt(4.0/3)) > 1e-9 {
		t.Errorf("three against one: %v", got)
	}
	if got := welch([]float64{1, 1}, []float64{1, 1}); got != 0 {
		t.Errorf("no spread: %v", got)
	}
}
