package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of the histograms: three significant digits from 1 to 60 s in
// microseconds. What is larger counts as the largest.
const (
	largest = int64(60_000_000)
	digits  = 3
)

// Histogram is a distribution of whole numbers between 0 and 60,000,000 with
// three significant digits. In JSON it is a string: HdrHistogram's V2 form,
// compressed, base64. It is not safe for concurrent use.
type Histogram struct{ hdr *hdrhistogram.Histogram }

// NewHistogram makes an empty one (about 140 KiB of memory).
func NewHistogram() *Histogram {
	return &Histogram{hdr: hdrhistogram.New(1, largest, digits)}
}

// Record counts a value; what is out of bounds counts as the nearest bound.
func (h *Histogram) Record(value int64) { h.RecordN(value, 1) }

// RecordN counts a value n times.
func (h *Histogram) RecordN(value, n int64) {
	// Within the bounds, which RecordValues checks, there is no error.
	_ = h.hdr.RecordValues(min(max(value, 0), largest), n)
}

// RecordDuration counts a time in microseconds.
func (h *Histogram) RecordDuration(d time.Duration) { h.Record(d.Microseconds()) }

// Add counts all that another has; nil adds nothing.
func (h *Histogram) Add(other *Histogram) {
	if other != nil {
		h.hdr.Merge(other.hdr)
	}
}

// Reset empties it.
func (h *Histogram) Reset() { h.hdr.Reset() }

// Clone gives a copy; of nil, nil.
func (h *Histogram) Clone() *Histogram {
	if h == nil {
		return nil
	}
	return &Histogram{hdr: h.hdr.Clone()}
}

// Count is how many values were counted; 0 of nil.
func (h *Histogram) Count() int64 {
	if h == nil {
		return 0
	}
	return h.hdr.TotalCount()
}

// Quantile gives the value below or at which the share q of the values lies,
// q in 0..1; 0 if there are none.
func (h *Histogram) Quantile(q float64) int64 {
	if h.Count() == 0 {
		return 0
	}
	return h.hdr.ValueAtPercentile(100 * min(q, 1))
}

// Max is the largest value, rounded up to its three digits; 0 if there are none.
func (h *Histogram) Max() int64 { return h.Quantile(1) }

// Mean is the mean; 0 if there are no values.
func (h *Histogram) Mean() float64 {
	if h.Count() == 0 {
		return 0
	}
	return h.hdr.Mean()
}

// Bar is a range of values, bounds included, and how many lie in it.
type Bar struct{ From, To, Count int64 }

// Bars gives the ranges that have any values, ascending.
func (h *Histogram) Bars() (bars []Bar) {
	if h.Count() == 0 {
		return nil
	}
	for _, b := range h.hdr.Distribution() {
		if b.Count > 0 {
			bars = append(bars, Bar{From: b.From, To: b.To, Count: b.Count})
		}
	}
	return bars
}

// milliseconds reads the usual quantiles of values in microseconds.
func (h *Histogram) milliseconds() Quantiles {
	at := func(q float64) float64 { return float64(h.Quantile(q)) / 1000 }
	return Quantiles{P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1)}
}

// spread reads the quantiles of counts.
func (h *Histogram) spread() Spread {
	return Spread{Mean: round(h.Mean(), 3), P10: h.Quantile(0.1), P50: h.Quantile(0.5), P90: h.Quantile(0.9), P99: h.Quantile(0.99), Max: h.Max()}
}

// MarshalJSON writes the V2 form.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	encoded, err := h.hdr.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	return json.Marshal(string(encoded))
}

// UnmarshalJSON reads the V2 form. Histograms with other bounds or digits are
// refused: they could not be merged without loss.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var encoded string
	if err := json.Unmarshal(data, &encoded); err != nil {
		return errors.New("histogram: want a string (HdrHistogram V2, compressed, base64)")
	}
	hdr, err := hdrhistogram.Decode([]byte(encoded))
	if err != nil {
		return fmt.Errorf("histogram: want HdrHistogram V2, compressed, base64: %w", err)
	}
	if hdr.LowestTrackableValue() != 1 || hdr.HighestTrackableValue() != largest || hdr.SignificantFigures() != digits {
		return fmt.Errorf("histogram: has bounds %d to %d and %d digits, want 1 to %d and %d",
			hdr.LowestTrackableValue(), hdr.HighestTrackableValue(), hdr.SignificantFigures(), largest, digits)
	}
	h.hdr = hdr
	return nil
}

// Equal tells whether two count the same values alike.
func (h *Histogram) Equal(other *Histogram) bool {
	if h == nil || other == nil {
		return h == other
	}
	return h.hdr.Equals(other.hdr)
}
