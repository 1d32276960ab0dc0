package batched

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever was seen: predictions grow with size, are positive, and largestWithin is
// their inverse.
func TestPredictionsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		largest := rapid.IntRange(1, 200).Draw(t, "largest")
		var prior Model
		if rapid.Bool().Draw(t, "declared") {
			prior = Model{time.Duration(rapid.IntRange(0, 1e6).Draw(t, "launch")), time.Duration(rapid.IntRange(0, 1e5).Draw(t, "item"))}
		}
		m := newRunTimes(prior, 100*time.Microsecond, largest, 0.99)
		for range rapid.IntRange(0, 60).Draw(t, "runs") {
			n := rapid.IntRange(1, largest).Draw(t, "n")
			m.record(n, time.Duration(rapid.Int64Range(0, 1e10).Draw(t, "ran")))
		}
		last := time.Duration(0)
		for n := 1; n <= largest; n++ {
			d := m.predict(n)
			if d < last || d <= 0 {
				t.Fatalf("%d take %v, %d took %v", n, d, n-1, last)
			}
			last = d
		}
		within := time.Duration(rapid.Int64Range(0, int64(2*last)).Draw(t, "within"))
		got := m.largestWithin(within)
		if got > 0 && m.predict(got) > within || got < largest && m.predict(got+1) <= within {
			t.Fatalf("%d fit into %v; %d take %v", got, within, got, m.predict(max(got, 1)))
		}
	})
}

// A tenth of runs that take up to ten times as long move the middle by less than a tenth.
func TestOutliersDoNotMoveTheMiddle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	m := newRunTimes(Model{}, 0, 64, 0.9)
	for range 2000 {
		n := 1 + random.IntN(64)
		took := 1e6 + 5e4*float64(n)
		if random.IntN(10) == 0 {
			took *= 1 + 9*random.Float64()
		}
		m.record(n, time.Duration(took*math.Exp(0.02*random.NormFloat64())))
	}
	for n := 1; n <= 64; n++ {
		exact := 1e6 + 5e4*float64(n)
		if ratio := m.center[n] * 1e9 / exact; ratio < 0.9 || ratio > 1.1 {
			t.Errorf("%d: %.2f of what it is", n, ratio)
		}
	}
}

// The percentile holds what it says of runs to come.
func TestThePercentileHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	m := newRunTimes(Model{}, 0, 64, 0.95)
	over, runs := 0, 20_000
	for i := range runs {
		n := 1 + random.IntN(64)
		took := time.Duration((1e6 + 5e4*float64(n)) * math.Exp(0.15*random.NormFloat64()))
		if i > 1000 && took > m.predict(n) {
			over++
		}
		m.record(n, took)
	}
	if share := float64(over) / float64(runs); share < 0.02 || share > 0.07 {
		t.Errorf("%.1f %% took longer than the 95th percentile", 100*share)
	}
}

func TestSizesShareClassesOfAQuarterOctave(t *testing.T) {
	first := 1
	for n := 2; n <= largestLargest; n++ {
		switch class := classOf(n); {
		case class == classOf(n-1)+1:
			first = n
		case class != classOf(n-1) || n <= 9 || float64(n) > 1.25*float64(first)+1:
			t.Fatalf("%d is in class %d, which begins with %d", n, class, first)
		}
	}
}
