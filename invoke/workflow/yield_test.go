package workflow_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// By this clock each reading takes a millisecond, so that every Yield lets others run.
func TestRunTimeStandsStillWhileOthersRun(t *testing.T) {
	const yields = 10
	var now atomic.Int64
	s := newScheduler(t, invoke.Config{Workers: 1, Clock: func() invoke.Instant { return invoke.Instant(now.Add(int64(time.Millisecond))) }})
	e := workflow.New[page](s, workflow.Options{})
	var elapsed time.Duration
	if err := e.Register(function{Name: "long", Run: func(r *run) error {
		began := s.Now()
		for range yields {
			r.Yield()
		}
		elapsed = s.Now().Sub(began)
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	w := deploy(t, e, graph{Name: "w", Deadline: time.Minute, Steps: steps("long")})
	r := submit(t, w, &page{})
	if away := elapsed - r.Took(0); r.Err() != nil || away < (yields-2)*time.Millisecond {
		t.Errorf("%v: it took %v, counted as %v", r.Err(), elapsed, r.Took(0))
	}
	(&run{}).Yield() // of no workflow
}

// Where long runs have workers of their own, those are all that documents take, however
// fast they were so far.
func TestDocumentsLeaveShortRunsTheirWorkers(t *testing.T) {
	s := newScheduler(t, invoke.Config{Workers: 2, LongWorkers: 2})
	hold := make(chan struct{})
	e := workflow.New[page](s, workflow.Options{})
	if err := e.Register(function{Name: "waits", RunTime: time.Microsecond, Run: func(*run) error { <-hold; return nil }}); err != nil {
		t.Fatal(err)
	}
	w := deploy(t, e, graph{Name: "w", Deadline: time.Minute, Steps: steps("waits")})
	done := make(chan *run, 4)
	for range cap(done) {
		if err := w.Submit(&run{Document: &page{}, Size: 1, Done: func(r *run) { done <- r }}); err != nil {
			t.Fatal(err)
		}
	}
	short := make(chan struct{})
	f, err := s.Deploy(invoke.Spec{Name: "short", Run: func(*invoke.Invocation) { close(short) }, Refused: func(*invoke.Invocation, *invoke.Refusal) {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Submit(&invoke.Invocation{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-short:
	case <-time.After(20 * time.Second):
		t.Error("the short run found no worker")
	}
	close(hold)
	for range cap(done) {
		<-done
	}
}
