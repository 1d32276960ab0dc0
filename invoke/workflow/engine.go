package workflow

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Options of an engine. The zero value is usable.
type Options struct {
	// ReferenceSize is the size of a document, in the unit of Run.Size, for which
	// functions state RunTime, Bound and Memory. Default 1.
	ReferenceSize int
	// Margin is the share (0..1) of a deadline that predictions keep free: what is
	// predicted to end within it counts as late. Default 0.1.
	Margin float64
	// ShedMargin is the share (0..1) of a hard deadline that shedding keeps free: optional
	// steps are left out once what waits would end within it. More than Margin makes room
	// for what has not come yet, at the price of steps that there would have been time for.
	// Default: Margin.
	ShedMargin float64
	// MaxHung is how many workers may be held by functions that hang and be replaced by
	// others at the same time. Beyond it documents are still answered. Default: four
	// times the workers.
	MaxHung int
}

// Engine holds functions and the workflows made of them. Its methods may be
// called from many goroutines.
type Engine[D any] struct {
	scheduler *invoke.Scheduler
	options   Options

	mu         sync.Mutex // guards all below, and the accounts of the workflows
	functions  map[string]*Function[D]
	workflows  []*Workflow[D]
	policy     *policy
	active     []*Run[D] // by slot: what a worker is at
	watch      watchdog
	free       []int // slots of active
	hung       int   // functions that hang now
	partitions []*partition[D]
}

// New makes an engine on a scheduler. It needs no closing: undeploy its workflows,
// or close the scheduler.
func New[D any](scheduler *invoke.Scheduler, options Options) *Engine[D] {
	options.ReferenceSize = max(options.ReferenceSize, 1)
	if options.Margin <= 0 || options.Margin >= 1 {
		options.Margin = 0.1
	}
	if options.ShedMargin <= 0 || options.ShedMargin >= 1 {
		options.ShedMargin = options.Margin
	}
	if options.MaxHung <= 0 {
		options.MaxHung = 4 * scheduler.Workers()
	}
	e := &Engine[D]{
		scheduler: scheduler, options: options,
		functions: map[string]*Function[D]{},
		policy:    newPolicy(scheduler.Now(), scheduler.Workers(), options.Margin, options.ShedMargin),
	}
	e.watch.look = e.look
	return e
}

// Register adds a function. The error is a *GraphError.
func (e *Engine[D]) Register(functions ...Function[D]) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range functions {
		problem := ""
		switch {
		case f.Name == "":
			problem = "has no name"
		case f.Run == nil:
			problem = "has no Run"
		case e.functions[f.Name] != nil:
			problem = "is registered already"
		case f.RunTime < 0 || f.Bound < 0 || f.Memory < 0 || f.Leak < 0:
			problem = "RunTime, Bound, Memory or Leak is negative"
		}
		if problem != "" {
			return &GraphError{Graph: "function", Step: f.Name, Problem: problem}
		}
		e.functions[f.Name] = &f
	}
	return nil
}

// Functions returns the names of the registered functions, sorted.
func (e *Engine[D]) Functions() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.functions))
	for name := range e.functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Workflows returns what is deployed, sorted by name.
func (e *Engine[D]) Workflows() []*Workflow[D] {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Clone(e.workflows)
	slices.SortFunc(all, func(a, b *Workflow[D]) int { return cmp.Compare(a.name, b.name) })
	return all
}

// now reads the scheduler's clock.
func (e *Engine[D]) now() invoke.Instant { return e.scheduler.Now() }

// boundOf is how long a function may run on documents of the reference size.
func boundOf[D any](f *Function[D], deadline time.Duration) time.Duration {
	if f.Bound > 0 {
		return f.Bound
	}
	return max(100*f.RunTime, deadline, time.Second)
}
