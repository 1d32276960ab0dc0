// Package compare says what changed between load tests beyond noise.
//
// With several runs on a side, a figure has changed if Welch's interval of the
// difference of the means at 99 % leaves out 0. With one run on each side the
// noise is that within the run (a bootstrap over blocks of its seconds, at
// 99 %), and at least what two runs of the same thing differ by on a shared
// machine: 20 % of processor time and latencies, half of a miss rate; see [Figures].
// What differs less than a floor for each figure is never called a change.
package compare

import (
	"fmt"
	"math"
	"slices"

	"github.com/starling-vr/starling/loadtest/report"
)

// Verdict of a figure.
type Verdict string

// The verdicts.
const (
	Better    Verdict = "better"
	Worse     Verdict = "worse"
	Same      Verdict = "within noise"
	NotJudged Verdict = "not judged" // shown only: neither way is better, or too little is known
)

// Change is what became of a figure.
type Change struct {
	Figure  string     `json:"figure"`
	Unit    string     `json:"unit"`   // "" of shares
	Before  float64    `json:"before"` // mean over the runs
	After   float64    `json:"after"`
	Runs    [2]int     `json:"runs"`   // on each side that have the figure
	Spread  [4]float64 `json:"spread"` // least and most before, least and most after
	Change  float64    `json:"change"` // after - before
	Noise   *float64   `json:"noise"`  // a change must be larger than this; null if not judged
	Verdict Verdict    `json:"verdict"`
}

// Comparison of two sets of runs.
type Comparison struct {
	Before   []string `json:"before"`   // what the runs were
	After    []string `json:"after"`    //
	Differ   []string `json:"differ"`   // in what else they differ, which may be the reason
	Warnings []string `json:"warnings"` // why the figures may say little
	Changes  []Change `json:"changes"`
	Worse    []string `json:"worse"` // figures that got worse beyond noise
	Better   []string `json:"better"`
}

// Compare compares runs. Each side needs at least one.
func Compare(before, after []report.Run) *Comparison {
	c := &Comparison{
		Before: described(before), After: described(after), Differ: setup(before, after), Warnings: warnings(before, after),
		Changes: []Change{}, Worse: []string{}, Better: []string{},
	}
	for _, f := range Figures {
		change, known := f.compare(before, after)
		if !known {
			continue
		}
		c.Changes = append(c.Changes, change)
		switch change.Verdict {
		case Worse:
			c.Worse = append(c.Worse, f.Name)
		case Better:
			c.Better = append(c.Better, f.Name)
		}
	}
	return c
}

// compare judges one figure; false if a side does not have it.
func (f *Figure) compare(before, after []report.Run) (Change, bool) {
	a, b := f.values(before), f.values(after)
	if len(a) == 0 || len(b) == 0 {
		return Change{}, false
	}
	c := Change{
		Figure: f.Name, Unit: f.Unit, Before: mean(a), After: mean(b), Runs: [2]int{len(a), len(b)},
		Spread: [4]float64{slices.Min(a), slices.Max(a), slices.Min(b), slices.Max(b)}, Verdict: NotJudged,
	}
	c.Change = c.After - c.Before
	if f.Better == Neither {
		return c, true
	}
	noise := f.noise(a, b, before, after)
	if f.Unit == "" {
		noise = min(noise, 1) // shares differ by no more
	}
	c.Noise = &noise
	switch {
	case math.Abs(c.Change) <= noise:
		c.Verdict = Same
	case c.Change > 0 == (f.Better == Higher):
		c.Verdict = Better
	default:
		c.Verdict = Worse
	}
	return c, true
}

// values are those of the runs that have the figure.
func (f *Figure) values(runs []report.Run) (all []float64) {
	for i := range runs {
		if v, ok := f.of(&runs[i]); ok {
			all = append(all, v)
		}
	}
	return all
}

// noise is how much two measurements of the same thing may differ.
func (f *Figure) noise(a, b []float64, before, after []report.Run) float64 {
	size := max(math.Abs(mean(a)), math.Abs(mean(b)))
	if f.Lacking {
		size = max(1-mean(a), 1-mean(b))
	}
	if len(a) > 1 || len(b) > 1 {
		return max(welch(a, b), f.Least, f.Several*size)
	}
	within := math.Hypot(f.within(&before[0]), f.within(&after[0]))
	return max(within, f.Least, f.Single*size)
}

func described(runs []report.Run) (all []string) {
	for i := range runs {
		r := &runs[i]
		text := fmt.Sprintf("%s, %d participants, %.0f actions/s, seed %d", r.Scenario, r.Participants, r.OfferedPerS, r.Seed)
		if r.Runs > 1 {
			text += fmt.Sprintf(" and %d more", r.Runs-1)
		}
		if r.Store != "" {
			text += ", " + r.Store + "/" + r.Durability
		}
		if r.Label != "" {
			text = r.Label + ": " + text
		}
		all = append(all, text+", Starling "+r.Starling)
	}
	return all
}

// setup tells in what the sides differ besides their results.
func setup(before, after []report.Run) []string {
	differ := []string{}
	for _, s := range []struct {
		name string
		of   func(*report.Run) string
	}{
		{"scenario", func(r *report.Run) string { return r.Scenario }},
		{"participants", func(r *report.Run) string { return fmt.Sprint(r.Participants) }},
		{"rate of a participant", func(r *report.Run) string { return fmt.Sprintf("%.4g/s", r.Model.RatePerParticipant) }},
		{"D", func(r *report.Run) string { return fmt.Sprintf("%g ms", r.DeadlineMS) }},
		{"backend", func(r *report.Run) string { return r.Backend }},
		{"store", func(r *report.Run) string { return r.Store }},
		{"durability", func(r *report.Run) string { return r.Durability }},
		{"owners", func(r *report.Run) string { return fmt.Sprint(r.Owners) }},
		{"measured time", func(r *report.Run) string { return fmt.Sprintf("%g s", r.DurationS/float64(max(r.Runs, 1))) }},
		{"processor", func(r *report.Run) string { return fmt.Sprintf("%s, %d cores", r.Machine.CPU, r.Machine.Cores) }},
		{"kernel", func(r *report.Run) string { return r.Machine.Kernel }},
		{"Go", func(r *report.Run) string { return r.Machine.Go }},
		{"congestion control", func(r *report.Run) string { return r.Machine.CongestionControl }},
	} {
		a, b := distinct(before, s.of), distinct(after, s.of)
		if !slices.Equal(a, b) {
			differ = append(differ, fmt.Sprintf("%s: %s before, %s after", s.name, join(a), join(b)))
		}
	}
	return differ
}

func distinct(runs []report.Run, of func(*report.Run) string) (all []string) {
	for i := range runs {
		all = append(all, of(&runs[i]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func join(all []string) string {
	text := ""
	for i, s := range all {
		if i > 0 {
			text += " and "
		}
		if s == "" {
			s = "unknown"
		}
		text += s
	}
	return text
}

// busyOthers is the share of the machine that others may use before the
// figures are doubted.
const busyOthers = 0.1

func warnings(before, after []report.Run) []string {
	all := []string{}
	for side, runs := range [][]report.Run{before, after} {
		name := []string{"before", "after"}[side]
		for i := range runs {
			r := &runs[i]
			if r.GeneratorLimited {
				all = append(all, fmt.Sprintf("%s, seed %d: the load tester was the limit, not the server (%s)", name, r.Seed, r.GeneratorLimitedWhy))
			}
			if o := r.Machine.OthersCPUS; o != nil && *o > busyOthers*r.DurationS*float64(r.Machine.Cores) {
				all = append(all, fmt.Sprintf("%s, seed %d: other processes used %.1f processor seconds of the machine meanwhile", name, r.Seed, *o))
			}
		}
	}
	return all
}
