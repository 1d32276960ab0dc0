package limit_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/limit"
	"github.com/starling-vr/starling/loadtest/report"
)

// server holds up to a load of its own for each seed.
type server struct {
	limits map[uint64]float64
	cannot float64 // loads above cannot be had
	tries  int
}

func (s *server) try(_ context.Context, load float64, seed uint64) (*report.Run, error) {
	s.tries++
	if s.cannot > 0 && load > s.cannot {
		return nil, &limit.CannotError{Err: errors.New("too many files")}
	}
	r := &report.Run{Seed: seed, OfferedPerS: load, MissRate: 0.001}
	if load > s.limits[seed] {
		r.MissRate = 0.2
	}
	return r, nil
}

// Whatever each seed's limit: the result holds in every seed, and the next level
// does not.
func TestTheBorderIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &server{limits: map[uint64]float64{}}
		lowest := math.Inf(1)
		seeds := []uint64{5, 6, 7}
		middle := rapid.Float64Range(100, 30000).Draw(t, "limit")
		for _, seed := range seeds {
			s.limits[seed] = middle * rapid.Float64Range(0.8, 1.2).Draw(t, "spread")
			lowest = min(lowest, s.limits[seed])
		}
		precision := rapid.SampledFrom([]float64{0.02, 0.05, 0.2}).Draw(t, "precision")
		first := rapid.Float64Range(50, 20000).Draw(t, "first")
		out, err := limit.Search{Try: s.try, First: first, Least: 1, Precision: precision, MaxMiss: 0.01, Seeds: seeds}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !out.Found || out.RatePerS > lowest || out.RatePerS*(1+precision) <= lowest*(1-1e-9) {
			t.Fatalf("found %v: %v, want just below %v", out.Found, out.RatePerS, lowest)
		}
		if len(out.Runs) != len(seeds) || out.LowPerS > out.HighPerS || out.LowPerS < out.RatePerS*(1-1e-9) {
			t.Fatalf("%d runs, %v..%v", len(out.Runs), out.LowPerS, out.HighPerS)
		}
		if s.tries > 200 {
			t.Fatalf("%d tries", s.tries)
		}
	})
}

func TestNothingHolds(t *testing.T) {
	s := &server{limits: map[uint64]float64{1: 10}}
	out, err := limit.Search{Try: s.try, First: 1000, Least: 100, MaxMiss: 0.01, Seeds: []uint64{1}}.Run(t.Context())
	if err != nil || out.Found || out.RatePerS != 0 || out.LowPerS != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestBounds(t *testing.T) {
	s := &server{limits: map[uint64]float64{1: 1e9}}
	out, err := limit.Search{Try: s.try, First: 1000, Most: 3000, MaxMiss: 0.01, Seeds: []uint64{1}}.Run(t.Context())
	if err != nil || !out.Found || out.RatePerS > 3000 || out.RatePerS < 2850 {
		t.Errorf("%v, %v", out.RatePerS, err)
	}
	s.cannot = 2000
	out, err = limit.Search{Try: s.try, First: 1000, MaxMiss: 0.01, Seeds: []uint64{1}}.Run(t.Context())
	if err != nil || !out.Found || out.RatePerS > 2000 || out.RatePerS < 1900 {
		t.Errorf("%v, %v", out.RatePerS, err)
	}
}

func TestAnErrorEndsTheSearch(t *testing.T) {
	broken := errors.New("the server ended")
	_, err := limit.Search{First: 1, Seeds: []uint64{1}, Try: func(context.Context, float64, uint64) (*report.Run, error) {
		return nil, broken
	}}.Run(t.Context())
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	for _, wrong := range []limit.Search{{}, {First: 1}, {First: 1, Least: 2, Seeds: []uint64{1}}, {First: 1, Precision: 3, Seeds: []uint64{1}}} {
		if _, err := wrong.Run(t.Context()); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}
