package annotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/starling-vr/starling/loadtest/limit"
	"github.com/starling-vr/starling/loadtest/report"
)

// LimitFormat names the JSON form of a [Limit].
const LimitFormat = "starling-loadtest-annotate-limit"

// Limit is what a search for the highest rate, or the least R, found.
type Limit struct {
	Format  string    `json:"format" jsonschema:"always starling-loadtest-annotate-limit"`
	Version int       `json:"version" jsonschema:"version of this form"`
	Started time.Time `json:"started" jsonschema:"when the search began (RFC 3339)"`
	Of      string    `json:"of" jsonschema:"rate: the highest rate with F_l within max_late; r: the least R that holds D at the rate given"`
	MaxLate float64   `json:"max_late" jsonschema:"late_fraction that may not be exceeded"`

	Found    bool     `json:"found" jsonschema:"false if nothing that was tried holds"`
	RatePerS float64  `json:"rate_per_s" jsonschema:"documents per second that hold in every seed"`
	Cores    *int     `json:"cores" jsonschema:"of a search for R: the least workers that hold; null otherwise"`
	Runs     []Result `json:"runs" jsonschema:"the runs that hold, one for each seed"`
	Tries    []Result `json:"tries" jsonschema:"all that was tried, in order, without histograms"`
}

// FindLimit looks for the highest rate at which F_l is within MaxLate in every seed,
// beginning at the rate of the spec.
func FindLimit(ctx context.Context, s Spec, target Target, seeds []uint64, precision float64, tell func(string)) (*Limit, error) {
	found := &Limit{Format: LimitFormat, Version: Version, Started: time.Now(), Of: "rate", MaxLate: s.MaxLate}
	search := limit.Search{
		First: s.Rate, Precision: precision, MaxMiss: s.MaxLate, Seeds: seeds, Tell: tell,
		Try: func(ctx context.Context, rate float64, seed uint64) (*report.Run, error) {
			spec := s
			spec.Rate, spec.Seed = rate, seed
			r, err := Run(ctx, spec, target)
			if err != nil {
				if ctx.Err() == nil { // the server gave up under the load
					err = &limit.CannotError{Err: err}
				}
				return nil, err
			}
			return found.try(r), nil
		},
	}
	out, err := search.Run(ctx)
	if err != nil {
		return nil, err
	}
	found.Found, found.RatePerS = out.Found, out.RatePerS
	for i := range out.Runs {
		found.hold(&out.Runs[i])
	}
	found.withoutHistograms()
	return found, nil
}

// FindR looks for the least R that holds D at the rate of the spec: runs with one
// worker, with two, and so on; make builds a target with so many.
func FindR(ctx context.Context, s Spec, most int, make func(workers int) (Target, func() error, error), tell func(string)) (*Limit, error) {
	found := &Limit{Format: LimitFormat, Version: Version, Started: time.Now(), Of: "r", MaxLate: s.MaxLate, RatePerS: s.Rate}
	for workers := 1; workers <= most; workers++ {
		target, end, err := make(workers)
		if err != nil {
			tell(fmt.Sprintf("%d workers: %v", workers, err))
			continue
		}
		r, err := Run(ctx, s, target)
		if err := errors.Join(err, end()); err != nil {
			return nil, err
		}
		found.Tries = append(found.Tries, *r)
		tell(fmt.Sprintf("%d workers: late %.4f %%, p99 %.1f ms", workers, 100*r.LateFraction, r.LatencyMS.P99))
		if r.Met {
			found.Found, found.Cores, found.Runs = true, &workers, []Result{*r}
			break
		}
	}
	found.withoutHistograms()
	return found, nil
}

// try keeps a run, and says of it what the search asks for.
func (l *Limit) try(r *Result) *report.Run {
	l.Tries = append(l.Tries, *r)
	run := &report.Run{OfferedPerS: r.OfferedPerS, AchievedPerS: r.AchievedPerS, MissRate: r.LateFraction, ActionMissRate: r.LateFraction, Seed: r.Seed}
	run.LatencyMS.P99 = r.LatencyMS.P99
	if cpu := r.CPUUSPerDocument; cpu != nil {
		run.Server = &report.Server{CPUUSPerAction: *cpu}
	}
	return run
}

// hold finds the run that the search tells of.
func (l *Limit) hold(of *report.Run) {
	for i := len(l.Tries) - 1; i >= 0; i-- {
		if t := &l.Tries[i]; t.Seed == of.Seed && t.OfferedPerS == of.OfferedPerS {
			l.Runs = append(l.Runs, *t)
			return
		}
	}
}

func (l *Limit) withoutHistograms() {
	for i := range l.Tries {
		l.Tries[i].Histogram = nil
	}
}

// LimitSchema gives the JSON Schema of the result of a search.
func LimitSchema() *jsonschema.Schema {
	return report.SchemaOf[Limit]("Starling annotation limit", "Result of a search of `starling loadtest annotate`.")
}
