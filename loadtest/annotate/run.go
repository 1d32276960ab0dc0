package annotate

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/loadtest/annotate/corpus"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
)

// Spec says what to drive a target with.
type Spec struct {
	Rate     float64 // lambda: documents per second
	Words    Words   // S
	Arrivals Arrivals
	Deadline time.Duration // D: from when a document is due to its whole answer
	Warmup   time.Duration // driven before the measured time, and not counted
	Duration time.Duration // the measured time
	Workflow string        // "": the target's default
	Seed     uint64
	Corpus   *corpus.Corpus
	// MaxLate is the share of documents that may be late and the requirement still
	// count as met: 0 for a hard deadline.
	MaxLate float64
	// Grace is how long after the last document was due answers are waited for, besides
	// the deadline. Default 3 s.
	Grace   time.Duration
	Command string
	Log     *slog.Logger

	began     time.Time // set by Run
	documents int       // due in the whole run; set by Run
}

// Target takes documents.
type Target interface {
	// Begin prepares for a run. Answers are told to answered, from any goroutine, each
	// with the number of its document; numbers are those of Send.
	Begin(ctx context.Context, s *Spec, answered func(number int, a *Answer)) error
	// Send hands documents from to to (without to) over, which are due now. It must not
	// wait for answers.
	Send(from, to int)
	// End gives up what was not answered.
	End() error
	// Usage is what the server used so far.
	Usage(ctx context.Context) (Usage, error)
	// Name says what it is, for the report: "in-process", "stream" or "request".
	Name() string
}

// Usage is what a server used since it started. Nil is not known.
type Usage struct {
	generator.Usage
	// ReservedCores is reserved cores x wall time, core x s.
	ReservedCores *float64
	// InProcess says that CPU includes the load tester's own.
	InProcess bool
}

// Run drives the target once.
func Run(ctx context.Context, s Spec, target Target) (*Result, error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if !(s.Rate > 0) || s.Duration <= 0 || s.Deadline <= 0 {
		return nil, fmt.Errorf("a rate of %g/s for %v with a deadline of %v: all have to be above 0", s.Rate, s.Duration, s.Deadline)
	}
	if s.Grace <= 0 {
		s.Grace = 3 * time.Second
	}
	books := newRecord(s.Arrivals.Schedule(s.Rate, s.Warmup+s.Duration, s.Seed))
	s.documents = len(books.due)
	d := &drive{spec: &s, target: target, books: books, lag: report.NewHistogram()}
	if err := target.Begin(ctx, &s, d.answered); err != nil {
		return nil, err
	}
	machine := report.ReadMachine()
	err := d.run(ctx)
	if ended := target.End(); err == nil {
		err = ended
	}
	if err != nil {
		return nil, err
	}
	return d.result(machine), nil
}

// drive is a run in progress.
type drive struct {
	spec   *Spec
	target Target
	books  *record
	began  time.Time
	lag    *report.Histogram // us, how much later than due documents were handed over

	first, last       Usage
	firstCPU, lastCPU time.Duration // of this process
	others            [2]report.CPUTimes
	wall              time.Duration
}

func (d *drive) answered(number int, a *Answer) {
	counted := number >= 0 && number < len(d.books.due) && d.books.due[number] >= d.spec.Warmup
	if !d.books.answer(number, time.Since(d.began), a, counted) {
		d.spec.Log.Warn("an answer that belongs to no document", "number", number)
	}
}

func (d *drive) run(ctx context.Context) error {
	d.began = time.Now()
	d.spec.began = d.began
	measuring := false
	var measuredFrom time.Time
	due := d.books.due
	for next := 0; next < len(due); {
		if !measuring && due[next] >= d.spec.Warmup {
			measuring, measuredFrom = true, time.Now()
			if err := d.read(ctx, 0); err != nil {
				return err
			}
		}
		if wait := due[next] - time.Since(d.began); wait > 0 {
			if err := sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		now := time.Since(d.began)
		to := next + 1
		for to < len(due) && due[to] <= now && (due[to] >= d.spec.Warmup) == (due[next] >= d.spec.Warmup) {
			to++
		}
		if measuring {
			for _, at := range due[next:to] {
				d.lag.RecordDuration(now - at)
			}
		}
		d.target.Send(next, to)
		next = to
	}
	wait := time.NewTimer(max(d.spec.Warmup+d.spec.Duration-time.Since(d.began), 0) + d.spec.Deadline + d.spec.Grace)
	defer wait.Stop()
	select {
	case <-d.books.finished:
	case <-wait.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !measuring {
		return fmt.Errorf("no document fell due in %v at %g/s: make the run longer", d.spec.Duration, d.spec.Rate)
	}
	d.wall = time.Since(measuredFrom)
	return d.read(ctx, 1)
}

// read notes what was used so far: which is 0 at the beginning and 1 at the end.
func (d *drive) read(ctx context.Context, which int) error {
	usage, err := d.target.Usage(ctx)
	if err != nil {
		return err
	}
	d.others[which], _ = report.ReadCPUTimes()
	used, _ := processor.Time()
	if which == 0 {
		d.first, d.firstCPU = usage, used
	} else {
		d.last, d.lastCPU = usage, used
	}
	return nil
}

// sleep waits, and ends early with ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d < 200*time.Microsecond { // a timer would cost as much
		time.Sleep(d)
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
