package annotate

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// local is what targets in this process share: a scheduler of their own, and the
// numbers of the documents that are under way.
type local struct {
	scheduler *invoke.Scheduler
	spec      *Spec
	answer    func(int, *Answer)
	due       []time.Duration
	numbers   []int // of themselves: pointers into it travel with the documents
	underWay  sync.WaitGroup
}

func (l *local) begin(spec *Spec, answered func(int, *Answer)) {
	l.spec, l.answer = spec, answered
	l.due = spec.Arrivals.Schedule(spec.Rate, spec.Warmup+spec.Duration, spec.Seed)
	l.numbers = make([]int, len(l.due))
	for i := range l.numbers {
		l.numbers[i] = i
	}
}

// arrived is when a document was due, by the scheduler's clock: here it came in then,
// however busy this process was with others.
func (l *local) arrived(number int) invoke.Instant {
	return l.scheduler.Now().Add(l.due[number] - time.Since(l.spec.began))
}

// refuse answers for a document that was not taken.
func (l *local) refuse(number int, err error) {
	a := Answer{Code: codeOf(err), Message: err.Error()}
	l.answer(number, &a)
}

// codeOf is what the API calls an error.
func codeOf(err error) string {
	if refusal, ok := errors.AsType[*workflow.Refusal](err); ok {
		return refusal.Reason.String()
	}
	return "function_failed"
}

// outcome makes an answer of a run that has ended.
func outcome[D any](r *workflow.Run[D]) Answer {
	var a Answer
	if err := r.Err(); err != nil {
		a.Code, a.Message = codeOf(err), err.Error()
	}
	flow := r.Workflow()
	for i := range flow.Len() {
		switch o := r.Outcome(i); o {
		case workflow.Ran, workflow.Skipped, workflow.NotReached:
		default:
			if a.Missing == nil {
				a.Missing = map[string]string{}
			}
			a.Missing[flow.StepName(i)] = o.String()
		}
	}
	return a
}

// Name implements Target.
func (l *local) Name() string { return "in-process" }

// End waits for what is under way: the run has waited for the answers before.
func (l *local) End() error {
	l.underWay.Wait()
	return nil
}

// Close ends the scheduler.
func (l *local) Close(ctx context.Context) error { return l.scheduler.Close(ctx) }

// Usage implements Target: of this process, load tester included.
func (l *local) Usage(context.Context) (Usage, error) {
	var u Usage
	accounts := l.scheduler.Accounts()
	used, reserved, cores, compute := 0.0, 0.0, 0.0, 0.0
	for _, class := range accounts.Classes {
		used, reserved, cores = used+class.Used, reserved+class.ReservedMemory, cores+class.ReservedCores
	}
	for i := range accounts.Functions {
		if a := &accounts.Functions[i]; a.PartOf != "" {
			compute += a.Busy.Seconds()
		}
	}
	cpu, _ := processor.Time()
	u.CPU, u.InProcess = cpu.Seconds(), true
	u.Used, u.Reserved, u.ReservedCores, u.Compute = &used, &reserved, &cores, &compute
	u.RSS = residentMemory()
	return u, nil
}

// residentMemory is this process's; 0 where the system does not tell.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
