package stream

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsCoverEveryTime(t *testing.T) {
	before := uint64(0)
	for bucket := range farBuckets {
		upper := farUpper(bucket)
		if upper <= before || farBucket(upper) != bucket || upper != math.MaxUint64 && farBucket(upper+1) != bucket+1 {
			t.Fatalf("bucket %d ends at %d, the one before at %d", bucket, upper, before)
		}
		before = upper
	}
	if farBucket(nearTicks) != 0 || before != math.MaxUint64 {
		t.Errorf("the far buckets go from %d to %d", farBucket(nearTicks), before)
	}
}

func TestQuantilesAndShares(t *testing.T) {
	clock := &Clock{Frequency: 1e9}
	rapid.Check(t, func(t *rapid.T) {
		var times []uint64
		l := Latencies{clock: clock}
		for range rapid.IntRange(1, 200).Draw(t, "count") {
			ticks := uint64(1) << rapid.IntRange(0, 40).Draw(t, "power")
			ticks += rapid.Uint64Range(0, ticks).Draw(t, "more")
			times = append(times, ticks)
			l.add(ticks, 1)
		}
		slices.Sort(times)
		if l.Count() != uint64(len(times)) || l.Max() != time.Duration(times[len(times)-1]) {
			t.Fatalf("%d times up to %v", l.Count(), l.Max())
		}
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		exact := times[max(int(math.Ceil(q*float64(len(times)))), 1)-1]
		if got := uint64(l.Quantile(q)); got < exact || float64(got) > float64(exact)*33/32+16 {
			t.Fatalf("quantile %g is %d, exactly %d", q, got, exact)
		}
		limit := rapid.Uint64Range(0, 1<<41).Draw(t, "limit")
		within, lower := uint64(0), uint64(0)
		for _, at := range times {
			if at <= limit {
				within++
			}
			if float64(at)*33/32+16 <= float64(limit) {
				lower++
			}
		}
		if got := l.Within(time.Duration(limit)); got > within || got < lower {
			t.Fatalf("%d within %d, between %d and %d", got, limit, lower, within)
		}
	})
}

func TestHistogramsMerge(t *testing.T) {
	clock := &Clock{Frequency: 2e9}
	var sum Latencies
	one := Latencies{clock: clock}
	one.add(100, 3)
	one.add(1<<20, 2)
	sum.Add(&one)
	sum.Add(&one)
	if h := sum.Histogram(); sum.Count() != 10 || h.Count() != 10 || h.Max() != time.Duration(1<<19) || h.Quantile(0.5) > 60 {
		t.Errorf("%d times, as histogram %d up to %v, median %v", sum.Count(), h.Count(), h.Max(), h.Quantile(0.5))
	}
}
