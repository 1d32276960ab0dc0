package workflow

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// MaxSteps is the most steps that a workflow may have.
const MaxSteps = 64

// MaxShed is the most different values of Step.Shed in a workflow.
const MaxShed = 7

// phase is when a step runs if the document is split.
type phase uint8

const (
	before phase = iota // on the whole, for what runs on parts
	mapped              // on the parts
	after               // on the whole, once joined
)

// step is a step in its place in the order of execution.
type step[D any] struct {
	*Function[D]
	when      func(*D) bool
	condition string
	bit       uint64
	needs     uint64 // have to have run
	after     uint64 // have to be through, needs included
	shed      int    // rank: 0 is required, 1 shed first, without gaps
	phase     phase
}

// order finds an order of execution for the graph.
func order[D any](functions map[string]*Function[D], g *Graph[D]) ([]step[D], error) {
	problem := func(name, format string, args ...any) error {
		return &GraphError{Graph: g.Name, Step: name, Problem: fmt.Sprintf(format, args...)}
	}
	if len(g.Steps) == 0 || len(g.Steps) > MaxSteps {
		return nil, problem("", "has %d steps, want 1 to %d", len(g.Steps), MaxSteps)
	}
	at := make(map[string]int, len(g.Steps))
	steps := make([]step[D], len(g.Steps))
	ranks := shedRanks(g)
	if len(ranks) > MaxShed {
		return nil, problem("", "has %d different values of Shed, want at most %d", len(ranks), MaxShed)
	}
	for i := range g.Steps {
		s := &g.Steps[i]
		f := functions[s.Function]
		if f == nil {
			return nil, problem(s.Function, "no such function is registered%s", nearest(s.Function, functions))
		}
		if _, twice := at[s.Function]; twice {
			return nil, problem(s.Function, "is there twice; make its condition an alternative")
		}
		if s.Shed < 0 {
			return nil, problem(s.Function, "Shed %d is negative", s.Shed)
		}
		at[s.Function] = i
		steps[i] = step[D]{Function: f, when: s.When, condition: s.Condition, bit: 1 << i}
		if s.Shed > 0 {
			steps[i].shed = slices.Index(ranks, s.Shed) + 1
		}
	}
	for i := range steps {
		s := &steps[i]
		for _, name := range s.Needs {
			j, ok := at[name]
			if !ok {
				return nil, problem(s.Name, "needs %s, which is not in the workflow: add it", name)
			}
			s.needs |= 1 << j
			if err := agree(s, &steps[j], problem); err != nil {
				return nil, err
			}
		}
		s.after = s.needs
		for _, name := range g.Steps[i].After {
			j, ok := at[name]
			if !ok {
				return nil, problem(s.Name, "is after %s, which is not in the workflow: add it or remove it from After", name)
			}
			s.after |= 1 << j
		}
	}
	if cycle := findCycle(steps); cycle != nil {
		return nil, problem("", "these wait for each other: %s", strings.Join(cycle, ", "))
	}
	if g.Splitter != nil {
		assignPhases(steps)
	}
	return sorted(steps), nil
}

// agree tests that what is always to run does not need what may not run.
func agree[D any](s, need *step[D], problem func(name, format string, args ...any) error) error {
	switch {
	case need.shed > 0 && s.shed == 0:
		return problem(s.Name, "is required but needs %s, which is optional: make that required, or this optional", need.Name)
	case need.shed > 0 && s.shed > need.shed:
		return problem(s.Name, "is shed after %s, which it needs: let it be shed before, or together", need.Name)
	case need.when != nil && s.when == nil && s.shed == 0:
		return problem(s.Name, "always runs but needs %s, which runs only if %s: give it the same condition", need.Name, need.conditionOr("its condition holds"))
	}
	return nil
}

func (s *step[D]) conditionOr(other string) string {
	if s.condition != "" {
		return s.condition
	}
	return other
}

// shedRanks are the different values of Shed, ascending.
func shedRanks[D any](g *Graph[D]) []int {
	var ranks []int
	for i := range g.Steps {
		if shed := g.Steps[i].Shed; shed > 0 && !slices.Contains(ranks, shed) {
			ranks = append(ranks, shed)
		}
	}
	slices.Sort(ranks)
	return ranks
}

// findCycle names the steps that can never run, nil if there are none.
func findCycle[D any](steps []step[D]) []string {
	var through uint64
	for progress := true; progress; {
		progress = false
		for i := range steps {
			if s := &steps[i]; through&s.bit == 0 && s.after&^through == 0 {
				through |= s.bit
				progress = true
			}
		}
	}
	var names []string
	for i := range steps {
		if through&steps[i].bit == 0 {
			names = append(names, steps[i].Name)
		}
	}
	return names
}

// assignPhases says which steps run on parts: those that are mapped and need nothing
// that runs after the join. Before them runs only what they need.
func assignPhases[D any](steps []step[D]) {
	const unknown = phase(99)
	for i := range steps {
		steps[i].phase = unknown
	}
	inPhase := func(mask uint64, p phase) bool {
		for ; mask != 0; mask &= mask - 1 {
			if steps[bits.TrailingZeros64(mask)].phase == p {
				return true
			}
		}
		return false
	}
	for range steps {
		for i := range steps {
			s := &steps[i]
			if s.phase != unknown || inPhase(s.after, unknown) {
				continue
			}
			switch {
			case inPhase(s.after, after) || inPhase(s.after, mapped) && !s.Mapped:
				s.phase = after
			case s.Mapped:
				s.phase = mapped
			default:
				s.phase = before
			}
		}
	}
	var needed uint64 // by what is mapped, and by what that needs
	for range steps {
		for i := range steps {
			if s := &steps[i]; s.phase == mapped || needed&s.bit != 0 {
				needed |= s.after
			}
		}
	}
	for i := range steps {
		if s := &steps[i]; s.phase == before && needed&s.bit == 0 {
			s.phase = after
		}
	}
}

// sorted puts the steps into the order of execution and renames their bits.
func sorted[D any](steps []step[D]) []step[D] {
	var out []step[D]
	var through uint64
	place := map[uint64]int{}
	for len(out) < len(steps) {
		best := -1
		for i := range steps {
			s := &steps[i]
			if through&s.bit == 0 && s.after&^through == 0 && (best < 0 || earlier(s, &steps[best])) {
				best = i
			}
		}
		through |= steps[best].bit
		place[steps[best].bit] = len(out)
		out = append(out, steps[best])
	}
	rename := func(mask uint64) (renamed uint64) {
		for ; mask != 0; mask &= mask - 1 {
			renamed |= 1 << place[mask&-mask]
		}
		return renamed
	}
	for i := range out {
		out[i].needs, out[i].after, out[i].bit = rename(out[i].needs), rename(out[i].after), 1<<i
	}
	return out
}

// earlier says which of two steps that could run goes first: by phase, required
// before optional, and what is shed first last.
func earlier[D any](a, b *step[D]) bool {
	if a.phase != b.phase {
		return a.phase < b.phase
	}
	last := func(s *step[D]) int {
		if s.shed == 0 {
			return 0
		}
		return MaxShed + 1 - s.shed
	}
	return last(a) < last(b)
}

// nearest suggests a function with a similar name.
func nearest[D any](name string, functions map[string]*Function[D]) string {
	var names []string
	for known := range functions {
		names = append(names, known)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

// criticalPath gives, for each step, the longest chain of run times that ends with
// it and the longest one through it, and the longest of all.
func criticalPath(after []uint64, took []time.Duration) (until, through []time.Duration, longest time.Duration) {
	n := len(after)
	until, through = make([]time.Duration, n), make([]time.Duration, n)
	for i := range n {
		for mask := after[i]; mask != 0; mask &= mask - 1 {
			until[i] = max(until[i], until[bits.TrailingZeros64(mask)])
		}
		until[i] += took[i]
		longest = max(longest, until[i])
	}
	beyond := make([]time.Duration, n) // the longest chain behind a step
	for i := n - 1; i >= 0; i-- {
		through[i] = until[i] + beyond[i]
		for mask := after[i]; mask != 0; mask &= mask - 1 {
			j := bits.TrailingZeros64(mask)
			beyond[j] = max(beyond[j], beyond[i]+took[i])
		}
	}
	return until, through, longest
}
