package invoke

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogramBucketsCoverEveryDuration(t *testing.T) {
	for i := 1; i < histogramBuckets; i++ {
		if bucketUpper(i) <= bucketUpper(i-1) {
			t.Fatalf("bucket %d ends at %d, the one before at %d", i, bucketUpper(i), bucketUpper(i-1))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(histogramMax)).Draw(t, "ns"))
		i := bucketOf(d)
		if upper := bucketUpper(i); d > upper || i > 0 && d <= bucketUpper(i-1) || upper-d > d/subBuckets {
			t.Fatalf("%d is in bucket %d, which ends at %d", d, i, upper)
		}
	})
	var h Histogram
	h.Record(-time.Second)
	h.Record(time.Hour)
	if h.Quantile(0) != 0 || h.Count() != 2 || h.Max() != time.Hour || h.Mean() != 30*time.Minute {
		t.Errorf("%v %v %v %v", h.Quantile(0), h.Count(), h.Max(), h.Mean())
	}
}

func TestHistogramQuantilesAreThoseOfTheValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1e10), 1, 200).Draw(t, "values")
		var h Histogram
		for _, v := range values {
			h.Record(time.Duration(v))
		}
		slices.Sort(values)
		hdr := h.HDR()
		if hdr.TotalCount() != int64(len(values)) {
			t.Fatalf("HDR holds %d of %d", hdr.TotalCount(), len(values))
		}
		for _, v := range []struct{ got, want int64 }{{hdr.Min(), values[0]}, {hdr.Max(), values[len(values)-1]}} {
			if v.got < v.want-v.want/64-1 || v.got > v.want+v.want/16+1 {
				t.Fatalf("HDR says %d, exactly %d", v.got, v.want)
			}
		}
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			rank := max(int(q*float64(len(values))+0.999999), 1)
			exact := values[rank-1]
			if got := int64(h.Quantile(q)); got < exact || got > exact+exact/subBuckets {
				t.Fatalf("quantile %v is %d, exactly %d", q, got, exact)
			}
		}
	})
}

func TestEstimateFollowsWhatIsRecent(t *testing.T) {
	var e estimate
	record := func(n int, d time.Duration) {
		for range n {
			e.record(d)
		}
	}
	record(1, time.Millisecond)
	if e.p99 != time.Millisecond || e.mean != time.Millisecond {
		t.Errorf("after one run: p99 %v, mean %v", e.p99, e.mean)
	}
	record(20_000, time.Millisecond)
	record(20_000, 10*time.Microsecond)
	if e.p99 > 11*time.Microsecond {
		t.Errorf("p99 %v long after the runs became short", e.p99)
	}
	record(200, time.Millisecond)
	record(estimateEvery, 10*time.Microsecond)
	if e.p99 < time.Millisecond || e.median > 11*time.Microsecond {
		t.Errorf("p99 %v, median %v with some slow runs", e.p99, e.median)
	}
}

// However arrivals are timed, a token bucket passes no more than burst + rate x t,
// and all of those that keep to it.
func TestTokenBucketHoldsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate, burst := rapid.Float64Range(0.1, 1e5).Draw(t, "rate"), rapid.IntRange(1, 100).Draw(t, "burst")
		start := Instant(time.Hour)
		b, now, passed := NewTokenBucket(rate, burst, start), start, 0
		for _, gap := range rapid.SliceOfN(rapid.Int64Range(0, 1e8), 1, 300).Draw(t, "gaps") {
			now += Instant(gap)
			if b.Conforms(now) {
				b.Take()
				passed++
			}
			if most := float64(burst) + rate*now.Sub(start).Seconds(); float64(passed) > most+0.001 {
				t.Fatalf("%d passed, at most %v may", passed, most)
			}
		}
		every := Instant(1e9/rate) + 1
		now += every * Instant(burst)
		for i := range 50 {
			if now += every; !b.Conforms(now) {
				t.Fatalf("number %d came at the rate and did not pass", i)
			}
			b.Take()
		}
	})
}

func TestSenderCountsNeverTooLowAndEmptyAtTheEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := SenderCounts{seed: [2]uint64{3, 4}}
	exact := map[uint64]int{}
	tooHigh := 0
	for range 20_000 {
		sender := random.Uint64N(400) + 1
		if n := exact[sender]; n > 0 && random.IntN(2) == 0 {
			c.Add(sender, -1)
			exact[sender]--
		} else {
			c.Add(sender, 1)
			exact[sender]++
		}
		held := c.Held(sender)
		if held < exact[sender] {
			t.Fatalf("sender %d holds %d, counted %d", sender, exact[sender], held)
		}
		if held > exact[sender] {
			tooHigh++
		}
	}
	if tooHigh > 20_000/3 { // of 400 senders about a quarter meet another in both rows
		t.Errorf("counted too high %d times", tooHigh)
	}
	for sender, n := range exact {
		c.Add(sender, -int32(n))
	}
	if c.rows != (SenderCounts{}).rows {
		t.Error("something is left")
	}
}

func TestHistogramRecordsManyAtOnce(t *testing.T) {
	var one, many Histogram
	for _, d := range []time.Duration{0, 3, 500, time.Second} {
		for range 7 {
			one.Record(d)
		}
		many.RecordMany(d, 7)
	}
	many.RecordMany(time.Hour, 0)
	if one != many {
		t.Error("seven at once are not seven times one")
	}
}
