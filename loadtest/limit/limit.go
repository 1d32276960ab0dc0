// Package limit finds the highest load that holds: it raises the load until too
// much is missed, closes in on the border, and repeats that with other seeds.
package limit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/starling-vr/starling/loadtest/report"
)

// Search says how to look for the limit. Loads lie on a grid, so that all seeds
// are tried at the same ones: level k is (1 + Precision)^k times the first.
type Search struct {
	// Try makes a run. An error of type *CannotError means that such a load cannot
	// be had, and counts as not held; any other ends the search.
	Try       func(ctx context.Context, load float64, seed uint64) (*report.Run, error)
	First     float64 // load to begin with
	Least     float64 // no lower load is tried; 0: a sixteenth of First
	Most      float64 // no higher load is tried; 0: no bound
	Precision float64 // of the result; 0: 0.05
	MaxMiss   float64 // share of the deliveries that may miss the deadline
	Seeds     []uint64
	Tell      func(line string) // how it goes; may be nil
}

// CannotError says that a load could not be brought about.
type CannotError struct{ Err error }

func (e *CannotError) Error() string { return e.Err.Error() }

func (e *CannotError) Unwrap() error { return e.Err }

// search is a Search in progress.
type search struct {
	Search
	ctx   context.Context
	out   *report.Limit
	known map[at]*report.Run // nil: could not be had
	floor int
	top   int
}

type at struct {
	level int
	seed  uint64
}

const (
	defaultPrecision = 0.05
	defaultLeast     = 16 // First / Least
	never            = math.MaxInt32
)

// Run looks for the limit.
func (s Search) Run(ctx context.Context) (*report.Limit, error) {
	f, err := s.Begin()
	if err != nil {
		return nil, err
	}
	for i := range s.Seeds {
		if err := f.Seed(ctx, i); err != nil {
			return nil, err
		}
	}
	return f.Conclude(ctx)
}

// Begin prepares a search that goes on by Finder.Seed for each seed in order, and
// ends with Finder.Conclude: so that several searches can take turns.
func (s Search) Begin() (*Finder, error) {
	if s.Precision == 0 {
		s.Precision = defaultPrecision
	}
	if s.Least == 0 {
		s.Least = s.First / defaultLeast
	}
	if s.Tell == nil {
		s.Tell = func(string) {}
	}
	switch {
	case !(s.First > 0 && s.Least > 0 && s.Least <= s.First) || s.Most != 0 && s.Most < s.First:
		return nil, fmt.Errorf("a search from %g, between %g and %g: want least <= first <= most", s.First, s.Least, s.Most)
	case !(s.Precision >= 0.005 && s.Precision <= 1):
		return nil, fmt.Errorf("a precision of %g: want 0.005..1", s.Precision)
	case len(s.Seeds) == 0:
		return nil, errors.New("a search needs a seed")
	}
	in := &search{Search: s, known: make(map[at]*report.Run), out: &report.Limit{MaxMiss: s.MaxMiss}}
	in.floor, in.top = -in.steps(s.First/s.Least), never
	if s.Most > 0 {
		in.top = in.steps(s.Most / s.First)
	}
	return &Finder{in: in}, nil
}

// Finder is a search that is made seed by seed.
type Finder struct {
	in     *search
	limits []int
}

// Seed looks for the limit of the i-th seed.
func (f *Finder) Seed(ctx context.Context, i int) error {
	begin, stride := 0, f.in.steps(2) // loads double until they do not hold
	if len(f.limits) > 0 {
		begin, stride = f.limits[0], 1
	}
	f.in.ctx = ctx
	level, err := f.in.border(f.in.Seeds[i], begin, stride)
	if err != nil {
		return err
	}
	f.limits = append(f.limits, level)
	f.in.Tell(fmt.Sprintf("seed %d: %s", f.in.Seeds[i], f.in.describe(level)))
	return nil
}

// SoFar gives what was tried, of a search that cannot go on: the limit is not known,
// but those of the seeds that were finished are.
func (f *Finder) SoFar() *report.Limit {
	out := f.in.out
	out.Interrupted = true
	if len(f.limits) > 0 {
		f.in.bounds(f.limits)
	}
	return out
}

// Conclude goes down to what holds in every seed.
func (f *Finder) Conclude(ctx context.Context) (*report.Limit, error) {
	f.in.ctx = ctx
	common, err := f.in.confirm(slices.Min(f.limits))
	if err != nil {
		return nil, err
	}
	f.in.conclude(common, f.limits)
	return f.in.out, nil
}

// steps is how many levels a factor makes, at most.
func (s *search) steps(factor float64) int {
	return int(math.Floor(math.Log(factor)/math.Log(1+s.Precision) + 1e-9))
}

func (s *search) load(level int) float64 { return s.First * math.Pow(1+s.Precision, float64(level)) }

func (s *search) describe(level int) string {
	if level < s.floor {
		return fmt.Sprintf("not even %.4g holds", s.load(s.floor))
	}
	return fmt.Sprintf("%.4g holds", s.load(level))
}

// border gives the highest level that holds for a seed: below it a lower one held
// or the floor is reached, and the next one does not hold. It is below the floor
// if nothing holds.
func (s *search) border(seed uint64, begin, stride int) (int, error) {
	begin = max(begin, s.floor)
	holds, err := s.holds(begin, seed)
	if err != nil {
		return 0, err
	}
	low, high := begin, begin
	for step := stride; ; step *= 2 {
		if holds {
			if low == s.top {
				return low, nil
			}
			high = min(low+step, s.top)
			if holds, err = s.holds(high, seed); err != nil {
				return 0, err
			}
			if !holds {
				break
			}
			low = high
			continue
		}
		if high == s.floor {
			return s.floor - 1, nil
		}
		low = max(high-step, s.floor)
		if holds, err = s.holds(low, seed); err != nil {
			return 0, err
		}
		if holds {
			break
		}
		high = low
	}
	for high-low > 1 {
		middle := (low + high) / 2
		if holds, err = s.holds(middle, seed); err != nil {
			return 0, err
		}
		if holds {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// confirm goes down from a level until it holds in every seed.
func (s *search) confirm(level int) (int, error) {
	for ; level >= s.floor; level-- {
		all := true
		for _, seed := range s.Seeds {
			holds, err := s.holds(level, seed)
			if err != nil {
				return 0, err
			}
			if all = holds; !all {
				break
			}
		}
		if all {
			break
		}
	}
	return level, nil
}

// holds makes the run at a level, unless it was made.
func (s *search) holds(level int, seed uint64) (bool, error) {
	key := at{level, seed}
	r, done := s.known[key]
	if !done {
		var err error
		r, err = s.Try(s.ctx, s.load(level), seed)
		var cannot *CannotError
		if errors.As(err, &cannot) {
			s.Tell(fmt.Sprintf("%.4g, seed %d: %v", s.load(level), seed, err))
		} else if err != nil {
			return false, err
		}
		s.known[key] = r
		if r != nil {
			try := report.TryOf(r, s.MaxMiss)
			s.out.Tries = append(s.out.Tries, try)
			s.Tell(fmt.Sprintf("%.0f/s, seed %d: missed %.3f %%, p99 %.1f ms, %.0f us/action", try.OfferedPerS, seed, 100*try.MissRate, try.P99MS, try.CPUUSPerAction))
		}
	}
	return r != nil && r.MissRate <= s.MaxMiss, nil
}

// bounds writes the limits of the seeds.
func (s *search) bounds(limits []int) {
	s.out.LowPerS = math.Inf(1)
	for i, level := range limits {
		rate := 0.0
		if r := s.known[at{level, s.Seeds[i]}]; r != nil && level >= s.floor {
			rate = r.OfferedPerS
		}
		s.out.LowPerS, s.out.HighPerS = min(s.out.LowPerS, rate), max(s.out.HighPerS, rate)
	}
}

// conclude writes the result.
func (s *search) conclude(common int, limits []int) {
	s.bounds(limits)
	if common < s.floor {
		return
	}
	s.out.Found = true
	for _, seed := range s.Seeds {
		r := s.known[at{common, seed}]
		s.out.Runs = append(s.out.Runs, *r)
		s.out.RatePerS += r.OfferedPerS / float64(len(s.Seeds))
	}
}
