package trigger

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
)

// Stage is a function of the chain behind the selection.
type Stage struct {
	// Name identifies the function in accounts and errors.
	Name string
	// RunTime and Memory are of the function's contract; RunTime 0 means learned, Memory
	// 0 what an event takes.
	RunTime time.Duration
	Memory  int64
	// Run does the stage's part. It may return ErrRejected: the event is of no
	// interest after all. A run that takes longer than Settings.Bound is given up, and
	// while some of a stage's runs hang it is given no more.
	Run func(*Event) error
}

// ErrRejected ends an event's way through the chain, and is no failure.
var ErrRejected = errors.New("trigger: event rejected")

// StageError says which function of the chain failed, for which event.
type StageError struct {
	Function string
	Poller   int
	Sequence uint64
	Err      error
}

func (e *StageError) Error() string {
	return fmt.Sprintf("trigger: %s: event %d of poller %d: %v", e.Function, e.Sequence, e.Poller, e.Err)
}

func (e *StageError) Unwrap() error { return e.Err }

// PanicError is the cause of a StageError, or what updateModel failed with, when a
// function panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// stage is a deployed Stage.
type stage struct {
	Stage
	guarded
	completed, rejected, failed, hung, refused, tooLate atomic.Uint64
}

// StageStats is what a stage did.
type StageStats struct {
	Name string
	// Completed events went on, Rejected ones ended here, Failed ones ended in a
	// StageError, Hung ones of these because they took longer than Settings.Bound.
	// Refused ones had no place in the queue or waited too long, or the stage hangs.
	// TooLate ones could not meet the chain's deadline any more.
	Completed, Rejected, Failed, Hung, Refused, TooLate uint64
	// Hanging is how many of those Hung have not returned yet.
	Hanging int
}

func (s *stage) stats() StageStats {
	return StageStats{
		Name: s.Name, Completed: s.completed.Load(), Rejected: s.rejected.Load(), Failed: s.failed.Load(), Hung: s.hung.Load(),
		Refused: s.refused.Load(), TooLate: s.tooLate.Load(), Hanging: int(s.hanging.Load()),
	}
}

func (s *stage) gaveUp() {
	s.hung.Add(1)
	s.failed.Add(1)
}

// DefaultChain measures the energy, keeps what has at least least GeV, finds the
// class, encodes the event, and archives it.
func (t *Trigger) defaultChain() []Stage {
	least := t.settings.LeastEnergy
	return []Stage{
		{Name: "measure_energy", Run: func(e *Event) error {
			e.Energy = t.settings.Energy(e.Record)
			return nil
		}},
		{Name: "select_event", Run: func(e *Event) error {
			if e.Energy < least {
				return ErrRejected
			}
			return nil
		}},
		{Name: "format_event", Run: t.format},
		{Name: "serialise_event", Run: func(e *Event) error {
			e.Encoded = AppendEvent(e.Encoded, e)
			return nil
		}},
		{Name: "archive_event", RunTime: t.settings.ArchiveRunTime, Run: func(e *Event) error { return t.settings.Archive.Append(e.Encoded) }},
	}
}

// eventMemory is the bytes that an event takes: its record, what the network says of it,
// and both encoded.
func (t *Trigger) eventMemory() int64 {
	shape := t.settings.Network.Shape
	return int64(2*(shape.Size+4*shape.Units[len(shape.Units)-1]) + eventHeader)
}

// deployChain deploys the stages; the first takes what the stream selects.
func (t *Trigger) deployChain(s *invoke.Scheduler, stages []Stage) error {
	for i, one := range stages {
		st := &stage{Stage: one, guarded: guarded{name: one.Name}}
		st.guarded.gaveUp = st.gaveUp
		t.chain = append(t.chain, st)
		if one.Memory == 0 {
			one.Memory = t.eventMemory()
		}
		spec := invoke.Spec{
			Name: one.Name, Alone: true, Failures: st.failed.Load,
			Contract: invoke.Contract{
				Rate: t.settings.ChainRate, Deadline: t.settings.ChainDeadline, RunTime: one.RunTime, Memory: one.Memory,
				Hard: t.settings.ChainHard, MissTarget: t.settings.ChainMissTarget,
			},
		}
		if i == 0 {
			spec = stream.Receive(spec, t.enter)
		} else {
			spec.Run = func(inv *invoke.Invocation) { t.runStage(inv.Payload.(*Event)) }
			spec.Refused = func(inv *invoke.Invocation, r *invoke.Refusal) { t.refused(inv.Payload.(*Event), r) }
		}
		function, err := s.Deploy(spec)
		if err != nil {
			return err
		}
		t.deployed = append(t.deployed, function)
		st.function = function
	}
	return nil
}

// enter is the first stage's function: it copies what was selected, and runs.
func (t *Trigger) enter(s *stream.Sample) {
	e, _ := t.events.Get().(*Event)
	if e == nil {
		e = &Event{trigger: t}
	}
	e.take(s)
	e.stage, e.deadline = 0, e.Due.Add(t.settings.ChainDeadline)
	t.runStage(e)
}

// runStage runs the event's stage and submits it to the next.
func (t *Trigger) runStage(e *Event) {
	st := t.chain[e.stage]
	run := t.watch.begin(&st.guarded, e.Poller, e.Sequence)
	if run == nil {
		st.refused.Add(1)
		t.keep(e)
		return
	}
	err := call(func() error { return st.Run(e) })
	if !t.watch.end(run) {
		t.keep(e) // it has been told of
		return
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrRejected):
		st.rejected.Add(1)
		t.keep(e)
		return
	default:
		st.failed.Add(1)
		t.tell(&StageError{st.Name, e.Poller, e.Sequence, err})
		t.keep(e)
		return
	}
	st.completed.Add(1)
	if e.stage++; e.stage == len(t.chain) {
		if t.now() > e.deadline {
			t.chainLate.Add(1)
		}
		t.keep(e)
		return
	}
	inv := &e.invocation
	inv.Key, inv.Sender, inv.Arrived, inv.Deadline, inv.Payload = nil, 0, 0, e.deadline, e
	if err := t.chain[e.stage].function.Submit(inv); err != nil {
		t.refused(e, err)
	}
}

// mostKept is how many bytes beside its record an event may hold that is kept to be used again: what a
// stage makes of one must not stay.
const mostKept = 1 << 20

func (t *Trigger) keep(e *Event) {
	if cap(e.Encoded)+cap(e.Record)+4*cap(e.Logits) > mostKept+8*t.settings.Network.Shape.Size {
		return
	}
	t.events.Put(e)
}

// refused counts an event that a stage did not take.
func (t *Trigger) refused(e *Event, err error) {
	st := t.chain[e.stage]
	var refusal *invoke.Refusal
	if errors.As(err, &refusal) && refusal.Reason == invoke.TooLate {
		st.tooLate.Add(1)
	} else {
		st.refused.Add(1)
	}
	t.keep(e)
}

// call runs f and makes an error of its panic.
func call(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}
