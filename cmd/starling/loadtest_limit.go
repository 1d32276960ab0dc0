package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/limit"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/loadtest/trial"
)

// Defaults of --find-limit.
const (
	limitMiss  = 0.01
	limitSeeds = 3
)

// runSearch looks for the highest rate that holds.
func (o *crowdOptions) runSearch(ctx context.Context, out io.Writer, s trial.Spec) error {
	if o.maxMiss == 1 {
		o.maxMiss = limitMiss
	}
	if o.seeds == 0 {
		o.seeds = limitSeeds
	}
	began := time.Now()
	view := o.begin(&s)
	defer view.Close()
	crowd, err := scenario.New(s.Scenario, scenario.Options{Participants: o.participants, Rate: o.rate, Duration: time.Second})
	if err != nil {
		return err
	}
	found, err := o.search(ctx, s, crowd, view)
	view.Close()
	if found == nil || err != nil && len(found.Tries) == 0 {
		return err
	}
	found.Started, found.Scenario = began, s.Scenario.Name
	if err != nil {
		err = &earlyError{fmt.Sprintf("%d tries", len(found.Tries)), err}
	}
	return errors.Join(o.writeLimit(out, found), err)
}

// search looks for the server's limit and, if asked to, for a yardstick's: seed
// by seed, by turns which of them first. With an error it gives what was tried.
func (o *crowdOptions) search(ctx context.Context, s trial.Spec, crowd *scenario.Crowd, view report.View) (*report.Limit, error) {
	specs := []trial.Spec{s}
	if o.beside {
		specs = append(specs, s.OnYardstick(o.yardstick()))
	}
	var finders []*limit.Finder
	for _, spec := range specs {
		finder, err := o.finder(spec, crowd, view)
		if err != nil {
			return nil, err
		}
		finders = append(finders, finder)
	}
	for i := range o.seeds {
		for k := range finders {
			if err := finders[(k+i+1)%len(finders)].Seed(ctx, i); err != nil {
				return finders[0].SoFar(), err
			}
		}
	}
	found, err := finders[0].Conclude(ctx)
	if err != nil {
		return finders[0].SoFar(), err
	}
	if o.beside {
		var by *report.Limit
		if by, err = finders[1].Conclude(ctx); err == nil {
			found.Measured(o.wait.Seconds()*1000, by)
		}
	}
	return found, err
}

func (o *crowdOptions) finder(s trial.Spec, crowd *scenario.Crowd, view report.View) (*limit.Finder, error) {
	search := limit.Search{
		First: float64(crowd.Present()) * crowd.Rate(), Precision: float64(o.precision), MaxMiss: float64(o.maxMiss), Tell: view.Note,
		Try: func(ctx context.Context, load float64, seed uint64) (*report.Run, error) {
			return o.try(ctx, s, crowd, load, seed)
		},
	}
	if s.Self != nil && s.Self.Yardstick != nil {
		search.Tell = func(line string) { view.Note("yardstick: " + line) }
	}
	for i := range o.seeds {
		search.Seeds = append(search.Seeds, o.seed+uint64(i))
	}
	return search.Begin()
}

// try makes a run with so many actions per second.
func (o *crowdOptions) try(ctx context.Context, s trial.Spec, first *scenario.Crowd, load float64, seed uint64) (*report.Run, error) {
	s.Seed = seed
	if o.rateByLambda {
		s.Participants, s.Rate = first.Present(), load/float64(first.Present())
	} else {
		s.Participants, s.Rate = whole(s.Scenario, load/first.Rate()), first.Rate()
	}
	s.Title = fmt.Sprintf("%s, %.0f/s, seed %d", s.Scenario.Name, load, seed)
	r, err := o.undisturbed(ctx, s)
	var limits *generator.LimitError
	var joining *generator.JoinError
	if errors.As(err, &limits) || errors.As(err, &joining) {
		return nil, &limit.CannotError{Err: err}
	}
	return r, err
}

// Shares of the machine's processor time above which a run that missed too much says
// nothing of the server: used by other processes, and kept by the host of a virtual
// machine, whose absence stops everything for tens of milliseconds at a time.
const (
	disturbing = 0.1
	stolen     = 0.01
)

// undisturbed makes a run, and makes it again if it missed too much on a disturbed
// machine; the last one counts.
func (o *crowdOptions) undisturbed(ctx context.Context, s trial.Spec) (*report.Run, error) {
	for again := 0; ; again++ {
		r, err := trial.Run(ctx, s)
		if err != nil || again >= o.repeats || r.MissRate <= float64(o.maxMiss) || !disturbed(r) {
			return r, err
		}
		s.Log.Warn("missed too much while others used the machine, or its host did: once more",
			"others_cpu_s", *r.Machine.OthersCPUS, "stolen_cpu_s", *r.Machine.StolenCPUS, "of_cpu_s", r.DurationS*float64(r.Machine.Cores), "missed", r.MissRate)
	}
}

// disturbed tells whether others had more of the machine than leaves a run of use.
func disturbed(r *report.Run) bool {
	m, whole := r.Machine, r.DurationS*float64(r.Machine.Cores)
	return m.OthersCPUS != nil && m.StolenCPUS != nil && (*m.OthersCPUS >= disturbing*whole || *m.StolenCPUS >= stolen*whole)
}

// whole rounds a number of participants to whole groups.
func whole(s *scenario.Scenario, participants float64) int {
	size := 1
	switch {
	case s.Groups != nil:
		size = s.Groups.Size
	case s.Matches != nil:
		size = s.Matches.Size
	}
	return max(1, int(math.Round(participants/float64(size)))) * size
}

func (o *crowdOptions) writeLimit(out io.Writer, found *report.Limit) error {
	if o.json != "" {
		if err := report.WriteLimit(o.json, found); err != nil {
			return err
		}
	}
	if o.json == "-" {
		out = os.Stderr
	}
	if o.report != "" {
		if err := report.WriteLimitPage(o.report, found); err != nil {
			return err
		}
		defer fmt.Fprintln(out, "page:", filepath.Join(o.report, "index.html"))
	}
	if found.Yardstick != nil {
		defer fmt.Fprintln(out, found.Yardstick.Text())
	}
	if found.Interrupted {
		text := "no seed was finished"
		if found.HighPerS > 0 {
			text = fmt.Sprintf("the limits of the seeds that were finished are %.0f to %.0f/s", found.LowPerS, found.HighPerS)
		}
		_, err := fmt.Fprintf(out, "%s: the search was interrupted after %d tries: the highest rate that holds is not known; %s\n", found.Scenario, len(found.Tries), text)
		return err
	}
	if !found.Found {
		_, err := fmt.Fprintf(out, "%s: not even the lowest rate that was tried holds %s\n", found.Scenario, o.maxMiss.String())
		return errors.Join(err, &statusError{missedTooMuch, "no rate holds"})
	}
	for i := range found.Runs {
		if err := summarize(out, &found.Runs[i]); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%s: %.0f actions/s hold %s in every seed; the seeds' own limits are %.0f to %.0f/s\n",
		found.Scenario, found.RatePerS, o.maxMiss.String(), found.LowPerS, found.HighPerS)
	return err
}
