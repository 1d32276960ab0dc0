package calibrate

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/exposition"
	"github.com/starling-vr/starling/loadtest/plan"
)

func TestFitFindsTheCosts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := make([]float64, 3)
		prior := make([]float64, 3)
		for i := range want {
			want[i] = rapid.Float64Range(0.5, 50).Draw(t, "cost")
			prior[i] = want[i] * rapid.Float64Range(0.7, 1.4).Draw(t, "off by")
		}
		// Enough of each that it matters.
		equations := []equation{{counts: []float64{1, 5, 0.1}}, {counts: []float64{5, 1, 0.1}}, {counts: []float64{1, 1, 9}}, {counts: []float64{1, 1, 1}}}
		for i := range equations {
			equations[i].measured = dot(equations[i].counts, want)
		}
		for _, e := range equations {
			if got := dot(e.counts, fit(equations, prior)); math.Abs(got/e.measured-1) > 0.05 {
				t.Fatalf("%v explains %v by %v", e, e.measured, got)
			}
		}
	})
}

func TestFitIsNeverNegative(t *testing.T) {
	// Only a negative second cost would explain both.
	costs := fit([]equation{{[]float64{1, 0}, 10}, {[]float64{1, 1}, 5}}, []float64{5, 5})
	for _, c := range costs {
		if c < 0 {
			t.Errorf("%v", costs)
		}
	}
}

const sample = `# HELP x y
# TYPE starling_gateway_flushes_total counter
starling_gateway_flushes_total 12
starling_gateway_refusals_total{code="BUSY"} 3
starling_gateway_refusals_total{code="LATE"} 4
starling_gateway_refusals_total_of_something 5
starling_actions_commit_seconds_bucket{le="0.001"} 10
starling_actions_commit_seconds_bucket{le="0.01"} 90
starling_actions_commit_seconds_bucket{le="+Inf"} 100
starling_actions_commit_seconds_sum 0.4
starling_actions_commit_seconds_count 100
`

func TestMetricsAreRead(t *testing.T) {
	all, err := exposition.Parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	f := figures(all)
	if f.sum("starling_gateway_flushes_total") != 12 || f.sum("starling_gateway_refusals_total") != 7 || f.sum("starling_nothing") != 0 {
		t.Errorf("%v", f)
	}
	if d := f.less(f); d.sum("starling_gateway_flushes_total") != 0 {
		t.Errorf("%v", d)
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add(sample)
	f.Fuzz(func(t *testing.T, text string) {
		if all, err := exposition.Parse(strings.NewReader(text)); err == nil {
			all := figures(all)
			all.sum("a")
		}
	})
}

func TestConnectionBytes(t *testing.T) {
	runs := func(points ...[2]float64) (all []plan.FitRun) {
		for _, p := range points {
			all = append(all, plan.FitRun{Participants: int(p[0]), ResidentBytes: p[1]})
		}
		return all
	}
	if got := connectionBytes(runs([2]float64{100, 50e6}, [2]float64{1100, 70e6})); got != 20_000 {
		t.Errorf("%v", got)
	}
	for _, all := range [][]plan.FitRun{runs([2]float64{100, 50e6}), runs([2]float64{100, 50e6}, [2]float64{1100, 40e6})} {
		if got := connectionBytes(all); got != 14_500 {
			t.Errorf("%v", got)
		}
	}
}

// A run counts for as many actions as it had.
func TestMeanRun(t *testing.T) {
	all := []plan.FitRun{{Actions: 100, Seconds: 2, RunUS: 30}, {Actions: 1000, Seconds: 2, RunUS: 8}}
	if got := meanRun(all); math.Abs(got-10) > 1e-9 {
		t.Errorf("%v", got)
	}
	if got := meanRun(nil); got != 0 {
		t.Errorf("%v without runs", got)
	}
}
