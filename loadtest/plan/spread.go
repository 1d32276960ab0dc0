package plan

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// Spread is how long something takes, as it was measured: quantiles, and straight
// lines between them. The zero value takes no time.
type Spread struct {
	At []float64 `json:"at,omitempty"` // shares, ascending from 0 to 1
	US []float64 `json:"us,omitempty"` // the quantile of each, microseconds, ascending
}

// spreadAt are the quantiles that are kept: many where few values are.
var spreadAt = []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1}

// SpreadOf takes the quantiles of times; none make the zero value.
func SpreadOf(times []time.Duration) (s Spread) {
	if len(times) == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(times))
	at := spreadAt
	if second := float64(len(sorted)-2) / float64(len(sorted)-1); second > at[len(at)-2] {
		// What happened once is not to happen more often.
		at = slices.Insert(slices.Clone(at), len(at)-1, second)
	}
	for _, at := range at {
		place := at * float64(len(sorted)-1)
		i := min(int(place), len(sorted)-1)
		value, rest := float64(sorted[i]), place-float64(i)
		if rest > 0 {
			value += rest * float64(sorted[i+1]-sorted[i])
		}
		s.At, s.US = append(s.At, at), append(s.US, value/float64(time.Microsecond))
	}
	return s
}

// quantile is the time that a share of all is not above, microseconds.
func (s *Spread) quantile(share float64) float64 {
	if len(s.At) == 0 {
		return 0
	}
	i, _ := slices.BinarySearch(s.At, share)
	switch {
	case i == 0:
		return s.US[0]
	case i == len(s.At):
		return s.US[i-1]
	}
	rest := (share - s.At[i-1]) / (s.At[i] - s.At[i-1])
	return s.US[i-1] + rest*(s.US[i]-s.US[i-1])
}

// draw is a time, at random.
func (s *Spread) draw(random *rand.Rand) time.Duration {
	if len(s.At) == 0 {
		return 0
	}
	return us(s.quantile(random.Float64()))
}

// Mean is the mean, microseconds.
func (s *Spread) Mean() (mean float64) {
	for i := 1; i < len(s.At); i++ {
		mean += (s.At[i] - s.At[i-1]) * (s.US[i] + s.US[i-1]) / 2
	}
	return mean
}

func (s *Spread) validate() error {
	if len(s.At) != len(s.US) || len(s.At) == 1 {
		return errors.New("costs: a spread has as many times as shares, none or two at least")
	}
	if n := len(s.At); n > 0 && (s.At[0] != 0 || s.At[n-1] != 1) {
		return errors.New("costs: the shares of a spread go from 0 to 1")
	}
	for i := range s.At {
		if !(s.US[i] >= 0 && s.US[i] < 1e8) || i > 0 && (!(s.At[i] > s.At[i-1]) || s.US[i] < s.US[i-1]) {
			return errors.New("costs: a spread has shares and times that ascend, times of 0 to 1e8 microseconds")
		}
	}
	return nil
}
