package hub

import (
	"math/bits"
	"time"
)

// wheel keeps the clients that are to be written to, by when that is due: a
// timing wheel whose buckets are the next 64 grains of time. What becomes due
// earlier than it was is put in twice; the later entry counts for nothing.
type wheel struct {
	origin   time.Time
	grain    time.Duration
	current  int64  // grains since origin; nothing waits in earlier ones
	occupied uint64 // bit per bucket that is not empty
	buckets  [wheelSize][]*Client
	entries  int
}

const wheelSize = 64

// newWheel makes one that reaches over twice the deadline.
func newWheel(now time.Time, deadline time.Duration) wheel {
	return wheel{origin: now, grain: max(deadline/(wheelSize/2), 100*time.Microsecond)}
}

func (w *wheel) grainOf(t time.Time) int64 { return int64(t.Sub(w.origin) / w.grain) }

func (w *wheel) start(grain int64) time.Time { return w.origin.Add(time.Duration(grain) * w.grain) }

// put enters c as due at a time, or earlier by less than a grain; what is past
// is due now. A client that is due earlier already stays as it is.
func (w *wheel) put(c *Client, now, due time.Time) {
	if w.entries == 0 {
		w.current = w.grainOf(now)
	}
	grain := min(max(w.grainOf(due), w.current), w.current+wheelSize-1)
	if c.queued && c.due <= grain {
		return
	}
	c.queued, c.due = true, grain
	bucket := &w.buckets[grain%wheelSize]
	if len(*bucket) == 0 {
		w.occupied |= 1 << (grain % wheelSize)
	}
	*bucket = append(*bucket, c)
	w.entries++
}

// next gives the earliest grain in which something is due, and how long it may
// rest until all that waits, earliest first and at so much time for each, is
// still done in time: rest as long as you can, for the company that comes
// meanwhile, and no longer. false: nothing waits.
func (w *wheel) next(now time.Time, each time.Duration) (grain int64, rest time.Duration, ok bool) {
	if w.entries == 0 {
		return 0, 0, false
	}
	at := w.current % wheelSize
	waiting := bits.RotateLeft64(w.occupied, -int(at)) // bit 0 is the current grain
	grain = w.current + int64(bits.TrailingZeros64(waiting))
	rest = time.Duration(1<<63 - 1)
	var work time.Duration
	for ; waiting != 0; waiting &= waiting - 1 {
		g := w.current + int64(bits.TrailingZeros64(waiting))
		work += time.Duration(len(w.buckets[g%wheelSize])) * each
		rest = min(rest, w.start(g).Sub(now)-work)
	}
	return grain, rest, true
}

// take empties a bucket. The slice is to be given back with done.
func (w *wheel) take(grain int64) []*Client {
	i := grain % wheelSize
	bucket := w.buckets[i]
	w.buckets[i] = nil
	w.occupied &^= 1 << i
	w.entries -= len(bucket)
	return bucket
}

// advance lets time pass: grains before now are behind, if nothing waits there.
func (w *wheel) advance(now time.Time) {
	w.current = max(w.current, w.grainOf(now))
}

// done gives a bucket's slice back for its next use.
func (w *wheel) done(grain int64, bucket []*Client) {
	clear(bucket)
	if i := grain % wheelSize; w.buckets[i] == nil && cap(bucket) <= 4096 {
		w.buckets[i] = bucket[:0]
	}
}
