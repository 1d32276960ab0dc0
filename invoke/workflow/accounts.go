package workflow

import (
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Account is what a workflow did since it was deployed. Submitted = Completed +
// Failed + all Refusals + what is under way.
type Account struct {
	Name string
	// Submitted, Completed and Failed count documents. A completed one did all that is
	// required; a failed one has a *FunctionError.
	Submitted, Completed, Failed uint64
	// Refusals counts documents by Reason.
	Refusals [reasons]uint64
	// Late is how many of the taken ones ended behind their deadline or lacked a
	// required function, by failure or refusal after they were taken.
	Late uint64
	// Split is how many were split.
	Split uint64
	// Hung is how many functions of the engine hang now, each holding a worker.
	Hung int
	// Pace is how much longer documents wait than the work before them should take.
	Pace float64
	// Level is how much is shed now: steps with Shed up to so many ranks.
	Level int
	// Steps are the accounts of the functions, in the order of execution.
	Steps []StepAccount
}

// StepAccount is what a function did in a workflow.
type StepAccount struct {
	Function  string
	Condition string
	Optional  bool
	Mapped    bool
	// Runs is how often it ran, on documents or parts, those that failed included.
	// Skipped: its condition did not hold; Shed; Blocked: what it needs failed;
	// NotReached: the document was refused or given up before.
	Runs, Skipped, Shed, Blocked, NotReached uint64
	// Failures counts by Cause.
	Failures [causes]uint64
	// Late is how often it ended behind the document's deadline or, required, was
	// missing.
	Late uint64
	// OverShare is how often it ran longer than its share of the deadline.
	OverShare uint64
	RunTime   *invoke.Histogram
	Busy      time.Duration
	// Learned is the expected run time at the reference size, Share of the deadline.
	Learned, Share time.Duration
}

type tally struct {
	submitted, completed, failed, late, split uint64
	refusals                                  [reasons]uint64
}

type stepTally struct {
	runs, skipped, shed, blocked, notReached, late, overShare uint64
	failures                                                  [causes]uint64
	runTime                                                   invoke.Histogram
}

// book adds a run to the accounts and learns from it; with the engine's lock held.
func (w *Workflow[D]) book(run *Run[D]) {
	if run.ticket.displaced { // refused, and not a miss of any function
		w.tally.refusals[TooLate]++
		for i := range w.tallies {
			w.tallies[i].notReached++
		}
		return
	}
	late := run.ended > run.Deadline
	if run.split == nil {
		w.bookSteps(run, 0, len(w.steps))
	} else { // its parts were booked
		w.bookSteps(run, 0, w.mappedFrom)
		w.bookSteps(run, w.mappedTo, len(w.steps))
	}
	switch err := run.err.(type) {
	case nil:
		w.tally.completed++
	case *Refusal:
		w.tally.refusals[err.Reason]++
	default:
		w.tally.failed++
	}
	if late || run.err != nil {
		w.tally.late++
	}
}

// bookSteps adds steps from to to (without to).
func (w *Workflow[D]) bookSteps(run *Run[D], from, to int) {
	late := run.ended > run.Deadline
	relearned := false
	for i := from; i < to; i++ {
		if w.bookStep(run, i, late) {
			relearned = true
		}
	}
	if relearned {
		w.replan()
	}
}

func (w *Workflow[D]) bookStep(run *Run[D], i int, late bool) (relearned bool) {
	r, t, l := &run.results[i], &w.tallies[i], &w.lines[i]
	switch r.outcome {
	case Ran:
		l.pass(true)
		t.runs++
		t.runTime.Record(r.took)
		if r.took > w.shares[i] {
			t.overShare++
		}
		relearned = l.record(r.size, r.took)
	case Errored:
		t.runs++
		t.runTime.Record(r.took)
		t.failures[r.err.Cause]++
	case Skipped:
		l.pass(false)
		t.skipped++
		return false
	case Shed:
		t.shed++
		return false
	case Blocked:
		t.blocked++
	case NotReached:
		t.notReached++
	}
	if r.outcome != Ran && w.steps[i].shed == 0 || late && r.outcome == Ran {
		t.late++
	}
	return relearned
}

// Account returns a copy of the workflow's account.
func (w *Workflow[D]) Account() Account {
	e := w.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	t := &w.tally
	a := Account{
		Name: w.name, Submitted: t.submitted, Completed: t.completed, Failed: t.failed, Refusals: t.refusals,
		Late: t.late, Split: t.split, Hung: e.hung, Pace: e.policy.pace, Level: e.policy.level(e.now()),
	}
	for i := range w.steps {
		a.Steps = append(a.Steps, w.stepAccount(i))
	}
	return a
}

func (w *Workflow[D]) stepAccount(i int) StepAccount {
	s, t := &w.steps[i], &w.tallies[i]
	runTime := t.runTime
	return StepAccount{
		Function: s.Name, Condition: s.condition, Optional: s.shed > 0, Mapped: s.phase == mapped,
		Runs: t.runs, Skipped: t.skipped, Shed: t.shed, Blocked: t.blocked, NotReached: t.notReached,
		Failures: t.failures, Late: t.late, OverShare: t.overShare, RunTime: &runTime, Busy: runTime.Sum(),
		Learned: time.Duration(w.lines[i].at(w.engine.options.ReferenceSize)), Share: w.shares[i],
	}
}

// publish shows each function's account beside those of the scheduler, under the name
// of the workflow and its own.
func (w *Workflow[D]) publish() error {
	for i := range w.steps {
		s := &w.steps[i]
		contract := invoke.Contract{
			Rate: w.graph.Rate, Burst: w.fn.Contract().Burst, Deadline: w.graph.Deadline, Hard: w.graph.Hard,
			MissTarget: w.graph.MissTarget, RunTime: s.RunTime, Memory: s.Memory,
		}
		r, err := w.engine.scheduler.Reserve(invoke.Reserve{
			Name: w.name + "/" + s.Name, Shape: invoke.Unary, Contract: contract, PartOf: w.name,
			Account: func() invoke.Account { return w.functionAccount(i) },
		})
		if err != nil {
			for _, kept := range w.parts {
				kept.Release()
			}
			w.fn.Undeploy()
			return err
		}
		w.parts = append(w.parts, r)
	}
	return nil
}

func (w *Workflow[D]) functionAccount(i int) invoke.Account {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	a := w.stepAccount(i)
	var failures uint64
	for _, n := range a.Failures {
		failures += n
	}
	return invoke.Account{
		Submitted: a.Runs + a.Shed, Invocations: a.Runs, Misses: a.Late, Failures: failures,
		RunTime: a.RunTime, Busy: a.Busy, LearnedRunTime: w.lines[i].p99,
	}
}
