package invoke

import (
	"iter"
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The layout of HdrHistogram with 32 sub-buckets per power of two: a bucket is at
// most 1/32 of its value wide, so quantiles are at most 3.2 % too high.
// Source: http://hdrhistogram.org.
const (
	subBucketBits    = 5
	subBuckets       = 1 << subBucketBits
	histogramMax     = time.Duration(1<<40 - 1) // 18.3 minutes; longer ones count as this
	histogramBuckets = (40-subBucketBits-1)*subBuckets + 2*subBuckets
)

// Histogram counts durations in buckets of logarithmic width. It is not safe
// for use by several goroutines; those in an Account are copies.
type Histogram struct {
	counts [histogramBuckets]uint64
	count  uint64
	sum    time.Duration
	max    time.Duration
}

func bucketOf(d time.Duration) int {
	v := uint64(min(max(d, 0), histogramMax))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBucketBits - 1
	return shift*subBuckets + int(v>>shift)
}

// bucketUpper is the largest duration that falls into bucket i.
func bucketUpper(i int) time.Duration {
	if i < 2*subBuckets {
		return time.Duration(i)
	}
	shift := i/subBuckets - 1
	return time.Duration((i-shift*subBuckets+1)<<shift - 1)
}

// Record counts one duration; negative ones count as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)]++
	h.count++
	h.sum += d
	h.max = max(h.max, d)
}

// RecordMany counts n durations of the same length.
func (h *Histogram) RecordMany(d time.Duration, n uint64) {
	if n == 0 {
		return
	}
	d = max(d, 0)
	h.counts[bucketOf(d)] += n
	h.count += n
	h.sum += d * time.Duration(n)
	h.max = max(h.max, d)
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Sum returns the sum of all durations.
func (h *Histogram) Sum() time.Duration { return h.sum }

// Max returns the longest duration.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean duration, 0 if there is none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// Quantile returns the duration that a share q (0..1) of the recorded ones does
// not exceed, rounded up to the end of its bucket and at most Max. 0 if empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.count)+0.999999), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(bucketUpper(i), h.max)
		}
	}
	return h.max
}

// Buckets yields the upper end and the count of each bucket that is not empty,
// in ascending order.
func (h *Histogram) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, n := range h.counts {
			if n > 0 && !yield(bucketUpper(i), n) {
				return
			}
		}
	}
}

// HDR returns the same counts as an HdrHistogram in nanoseconds with two
// significant figures, to be merged, encoded or printed by its tools.
func (h *Histogram) HDR() *hdrhistogram.Histogram {
	out := hdrhistogram.New(1, int64(histogramMax), 2)
	for upper, n := range h.Buckets() {
		// The bounds of out are those of bucketOf, so this cannot fail.
		_ = out.RecordValues(int64(max(upper, 1)), int64(n))
	}
	return out
}

// Halve forgets half of everything, so that a quantile follows what is recent.
func (h *Histogram) Halve() {
	h.count = 0
	for i := range h.counts {
		h.counts[i] /= 2
		h.count += h.counts[i]
	}
	h.sum /= 2
}
