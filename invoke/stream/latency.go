package stream

import (
	"math/bits"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Up to nearTicks a bucket is 16 ticks wide (6 ns at 2.6 GHz); above, a 32nd of its
// power of two, as in HdrHistogram.
const (
	nearShift   = 4
	nearBuckets = 1 << 12
	nearTicks   = nearBuckets << nearShift
	subBits     = 5
	farShift    = 16 - subBits // log2(nearTicks) - subBits
	farBuckets  = (64 - 16) << subBits
)

// ticks counts times in ticks. Recording is one addition where times are short.
type ticks struct {
	near [nearBuckets]uint64
	far  [farBuckets]uint64
	max  uint64
}

// add counts n times of t ticks.
func (h *ticks) add(t, n uint64) {
	if t < nearTicks {
		h.near[t>>nearShift&(nearBuckets-1)] += n
		h.max = max(h.max, t)
		return
	}
	h.addFar(t, n)
}

func (h *ticks) addFar(t, n uint64) {
	h.max = max(h.max, t)
	h.far[farBucket(t)] += n
}

func farBucket(t uint64) int {
	power := bits.Len64(t) - 17 // 0 for the first power of two above nearTicks
	return power<<subBits + int(t>>(power+farShift)&(1<<subBits-1))
}

// farUpper is the largest time in a far bucket.
func farUpper(bucket int) uint64 {
	power, sub := bucket>>subBits, bucket&(1<<subBits-1)
	return uint64(1<<subBits+sub+1)<<(power+farShift) - 1
}

func (h *ticks) merge(other *ticks) {
	for i, n := range other.near {
		h.near[i] += n
	}
	for i, n := range other.far {
		h.far[i] += n
	}
	h.max = max(h.max, other.max)
}

// each gives the buckets that are not empty, ascending, with their upper ends.
func (h *ticks) each(yield func(upper, n uint64) bool) {
	for i, n := range h.near {
		if n > 0 && !yield(uint64(i+1)<<nearShift-1, n) {
			return
		}
	}
	for i, n := range h.far {
		if n > 0 && !yield(farUpper(i), n) {
			return
		}
	}
}

// Latencies is a distribution of times, exact to 16 ticks of its clock up to 65,536
// of them, and to 3 % above.
type Latencies struct {
	ticks
	clock *Clock
}

// Count is how many times it holds.
func (l *Latencies) Count() (count uint64) {
	for _, n := range l.each {
		count += n
	}
	return count
}

// Within is how many were at most d for certain: those of the bucket in which d
// lies do not count.
func (l *Latencies) Within(d time.Duration) (count uint64) {
	limit := l.clock.Ticks(d)
	for upper, n := range l.each {
		if upper > limit {
			break
		}
		count += n
	}
	return count
}

// Quantile is the time that a share q (0..1) does not exceed, rounded up to the end
// of its bucket. 0 if there are none.
func (l *Latencies) Quantile(q float64) time.Duration {
	rank := max(uint64(q*float64(l.Count())+0.999999), 1)
	var seen uint64
	for upper, n := range l.each {
		if seen += n; seen >= rank {
			return l.clock.Duration(min(upper, l.max))
		}
	}
	return l.Max()
}

// Max is the longest time.
func (l *Latencies) Max() time.Duration { return l.clock.Duration(l.max) }

// Add adds the times of another, which has the same clock.
func (l *Latencies) Add(other *Latencies) {
	if l.clock == nil {
		l.clock = other.clock
	}
	l.merge(&other.ticks)
}

// Histogram gives the same times as accounts show them.
func (l *Latencies) Histogram() *invoke.Histogram {
	out := new(invoke.Histogram)
	for upper, n := range l.each {
		out.RecordMany(l.clock.Duration(min(upper, l.max)), n)
	}
	return out
}
