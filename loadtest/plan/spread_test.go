package plan

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// One very long time among thousands stays as rare as it was.
func TestASpreadKeepsWhatIsRareRare(t *testing.T) {
	times := make([]time.Duration, 4000)
	for i := range times {
		times[i] = time.Millisecond
	}
	times[7] = time.Second
	s := SpreadOf(times)
	if err := s.validate(); err != nil || s.Mean() > 1000+1e6/4000 {
		t.Errorf("the mean is %v us, %v: %+v", s.Mean(), err, s)
	}
}

func TestASpreadHasTheQuantilesItWasMadeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var times []time.Duration
		for _, microseconds := range rapid.SliceOfN(rapid.IntRange(0, 1_000_000), 1, 300).Draw(t, "microseconds") {
			times = append(times, time.Duration(microseconds)*time.Microsecond)
		}
		s := SpreadOf(times)
		if err := s.validate(); err != nil {
			t.Fatal(err)
		}
		least, most := float64(slices.Min(times))/1e3, float64(slices.Max(times))/1e3
		if s.quantile(0) != least || s.quantile(1) != most || s.Mean() < least-1e-6 || s.Mean() > most+1e-6 {
			t.Fatalf("%+v of %v", s, times)
		}
		for i, at := range s.At {
			below := 0
			for _, d := range times {
				if float64(d)/1e3 <= s.US[i]+1e-6 {
					below++
				}
			}
			if float64(below) < at*float64(len(times)-1) {
				t.Fatalf("%v of %v are not above the quantile %v", below, len(times), at)
			}
		}
	})
}

func TestDrawingFromASpread(t *testing.T) {
	s := Spread{At: []float64{0, 0.5, 0.99, 1}, US: []float64{100, 300, 1000, 20_000}}
	random := rand.New(rand.NewPCG(1, 2))
	const n = 200_000
	all, sum := make([]time.Duration, n), 0.0
	for i := range all {
		all[i] = s.draw(random)
		sum += float64(all[i]) / 1e3
	}
	slices.Sort(all)
	for i, at := range s.At {
		if got := float64(all[int(at*(n-1))]) / 1e3; math.Abs(got/s.US[i]-1) > 0.05 {
			t.Errorf("quantile %v: %v us, want %v", at, got, s.US[i])
		}
	}
	if math.Abs(sum/n/s.Mean()-1) > 0.02 {
		t.Errorf("mean %v, want %v", sum/n, s.Mean())
	}
	if none := (&Spread{}).draw(random); none != 0 {
		t.Errorf("the zero value takes %v", none)
	}
}
