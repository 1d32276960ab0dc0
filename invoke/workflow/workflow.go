package workflow

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Workflow is a deployed graph.
type Workflow[D any] struct {
	engine *Engine[D]
	name   string
	graph  Graph[D]
	steps  []step[D]
	// Steps mappedFrom to mappedTo (without it) run on the parts of a split document.
	mappedFrom, mappedTo int
	fn                   *invoke.Function
	parts                []*invoke.Reservation // the accounts of the functions
	meters               bool                  // *D tells its footprint

	// Guarded by the engine's lock.
	flow     flow
	lines    []line
	shares   []time.Duration
	tally    tally
	tallies  []stepTally
	undeploy bool
}

type footprinter interface{ Footprint() int }

// Deploy admits a workflow if its deadline and its rate can be held beside all other
// contracts of the scheduler. The error is a *GraphError or a
// *invoke.NotAdmittedError.
func (e *Engine[D]) Deploy(g Graph[D]) (*Workflow[D], error) {
	if err := checkGraph(&g); err != nil {
		return nil, err
	}
	e.mu.Lock()
	steps, err := order(e.functions, &g)
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	w := &Workflow[D]{engine: e, name: g.Name, graph: g, steps: steps, tallies: make([]stepTally, len(steps))}
	_, w.meters = any(new(D)).(footprinter)
	for i := range steps {
		s := &steps[i]
		w.lines = append(w.lines, newLine(e.options.ReferenceSize, s.RunTime))
		switch s.phase {
		case before:
			w.mappedFrom++
			fallthrough
		case mapped:
			w.mappedTo++
		}
	}
	w.shares = make([]time.Duration, len(steps))
	if err := w.admit(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	contract := w.fn.Contract()
	w.flow = flow{
		name: w.name, deadline: g.Deadline, hard: g.Hard, levels: 1, displaces: g.Hard && g.Displace, leastReserve: math.MaxInt64,
		bucket: invoke.NewTokenBucket(contract.Rate, contract.Burst, now),
	}
	for i := range steps {
		w.flow.levels = max(w.flow.levels, steps[i].shed+1)
		e.watch.watchFor(boundOf(steps[i].Function, g.Deadline))
	}
	if g.Splitter != nil {
		w.flow.splitAbove = g.Splitter.Above
	}
	e.policy.grow(now, w.flow.levels)
	e.policy.flows = append(e.policy.flows, &w.flow)
	e.workflows = append(e.workflows, w)
	w.replan()
	return w, nil
}

func checkGraph[D any](g *Graph[D]) error {
	problem := func(text string) error { return &GraphError{Graph: g.Name, Problem: text} }
	switch {
	case g.Name == "":
		return problem("has no name")
	case g.Deadline <= 0:
		return problem("has no deadline: set it, for example to 100ms")
	case g.Splitter != nil && (g.Splitter.Above < 1 || g.Splitter.Split == nil || g.Splitter.Join == nil):
		return problem("Splitter lacks Above, Split or Join")
	}
	return nil
}

// admit tests the graph's own arithmetic and deploys it in the scheduler.
func (w *Workflow[D]) admit() error {
	g := &w.graph
	took := w.typical()
	after := make([]uint64, len(w.steps))
	var sum time.Duration
	declared := true
	var terms []string
	for i := range w.steps {
		after[i] = w.steps[i].after
		sum += took[i]
		declared = declared && w.steps[i].RunTime > 0
		terms = append(terms, fmt.Sprintf("%s %v", w.steps[i].Name, took[i]))
	}
	_, through, longest := criticalPath(after, took)
	if longest > g.Deadline {
		var path []string
		for i, t := range through {
			if t == longest {
				path = append(path, terms[i])
			}
		}
		return &invoke.NotAdmittedError{Function: w.name, Shortages: []invoke.Shortage{{
			Resource:   "critical_path",
			Arithmetic: fmt.Sprintf("%s = %v > deadline %v", strings.Join(path, " + "), longest, g.Deadline),
		}}}
	}
	contract := invoke.Contract{Rate: g.Rate, Burst: g.Burst, Deadline: g.Deadline, Hard: g.Hard, MissTarget: g.MissTarget, Memory: w.memory()}
	if declared {
		contract.RunTime = sum
	}
	fn, err := w.engine.scheduler.Deploy(invoke.Spec{
		Name: w.name, Contract: contract, As: invoke.Workflow, Alone: true,
		Queue:   invoke.Bounds{Count: g.Queue, Age: max(2*g.Deadline, time.Second)},
		Run:     w.begin,
		Refused: w.refused,
	})
	if err != nil {
		var refused *invoke.NotAdmittedError
		if errors.As(err, &refused) && len(terms) > 1 {
			refused.Shortages = append(refused.Shortages, invoke.Shortage{
				Resource:   "functions",
				Arithmetic: fmt.Sprintf("a document takes %s = %v", strings.Join(terms, " + "), sum),
			})
		}
		return err
	}
	w.fn = fn
	return w.publish()
}

// memory is how many bytes a document holds while it runs.
func (w *Workflow[D]) memory() int64 {
	most := w.graph.Memory
	for i := range w.steps {
		if w.graph.Memory == 0 {
			most = max(most, w.steps[i].Memory)
		}
	}
	return most
}

// typical are the 99th percentiles that admission reckons with.
func (w *Workflow[D]) typical() []time.Duration {
	took := make([]time.Duration, len(w.steps))
	for i := range w.lines {
		took[i] = w.lines[i].typical()
	}
	return took
}

// Undeploy ends the workflow. What waits, and what is submitted from now on, is
// refused as Closed.
func (w *Workflow[D]) Undeploy() {
	e := w.engine
	e.mu.Lock()
	if w.undeploy {
		e.mu.Unlock()
		return
	}
	w.undeploy = true
	e.workflows = slices.DeleteFunc(e.workflows, func(other *Workflow[D]) bool { return other == w })
	e.policy.flows = slices.DeleteFunc(e.policy.flows, func(f *flow) bool { return f == &w.flow })
	e.mu.Unlock()
	w.fn.Undeploy()
	for _, r := range w.parts {
		r.Release()
	}
}

// Name returns the workflow's name.
func (w *Workflow[D]) Name() string { return w.name }

// Deadline returns the end-to-end deadline, and whether it is hard.
func (w *Workflow[D]) Deadline() (time.Duration, bool) { return w.graph.Deadline, w.graph.Hard }

// Contract returns the contract of the workflow as a whole.
func (w *Workflow[D]) Contract() invoke.Contract { return w.fn.Contract() }

// Steps returns the names of the functions in the order in which they run.
func (w *Workflow[D]) Steps() []string {
	names := make([]string, len(w.steps))
	for i := range w.steps {
		names[i] = w.steps[i].Name
	}
	return names
}

// Len returns how many steps there are, and StepName the function of one.
func (w *Workflow[D]) Len() int { return len(w.steps) }

// StepName returns the function of step i, in the order of execution.
func (w *Workflow[D]) StepName(i int) string { return w.steps[i].Name }

// Step returns the place of a function in the order of execution, -1 if it is not
// part of the workflow.
func (w *Workflow[D]) Step(function string) int {
	return slices.IndexFunc(w.steps, func(s step[D]) bool { return s.Name == function })
}

// Optional says whether step i may be shed.
func (w *Workflow[D]) Optional(i int) bool { return w.steps[i].shed > 0 }

// Shares returns how the deadline is shared out: for each step its run time's share
// of the longest path of the graph that goes through it. Along the critical path the
// shares sum up to the deadline.
func (w *Workflow[D]) Shares() []time.Duration {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	return slices.Clone(w.shares)
}

// replan reckons anew with the run times learned since; with the engine's lock held.
func (w *Workflow[D]) replan() {
	took := make([]time.Duration, len(w.steps))
	after := make([]uint64, len(w.steps))
	reference := w.engine.options.ReferenceSize
	f := &w.flow
	f.cost = [maxLevels]cost{}
	f.whole, f.mapped = cost{}, cost{}
	var all cost
	for i := range w.steps {
		s, l := &w.steps[i], &w.lines[i]
		chance := l.chance()
		took[i], after[i] = time.Duration(l.at(reference)), s.after
		all.add(chance*l.fixed, chance*l.slope)
		for level := range maxLevels {
			if s.shed == 0 || s.shed > level {
				f.cost[level].add(chance*l.fixed, chance*l.slope)
			}
		}
		if s.phase == mapped {
			f.mapped.add(chance*l.fixed, chance*l.slope)
		} else if s.shed == 0 {
			f.whole.add(chance*l.fixed, chance*l.slope)
		}
	}
	f.workers = max(w.fn.Workers(), 0.1)
	f.guarantee = w.graph.Rate * all.atReference(reference) / float64(time.Second)
	_, through, _ := criticalPath(after, took)
	w.shares = w.shares[:0]
	for i := range took {
		w.shares = append(w.shares, time.Duration(float64(w.graph.Deadline)*float64(took[i])/float64(max(through[i], 1))))
	}
}

func (c cost) atReference(size int) float64 { return c.fixed + c.slope*float64(size) }
