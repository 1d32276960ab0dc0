package workflow_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// Every worker hangs, and more than there are workers: each document is answered with
// a typed error, others go on, and in the end there are as many workers as before.
func TestFunctionsThatHang(t *testing.T) {
	t.Run("on any worker", func(t *testing.T) { testHanging(t, invoke.Config{Workers: 2, ShortWorkers: -1}) })
	t.Run("on long workers", func(t *testing.T) { testHanging(t, invoke.Config{Workers: 2, LongWorkers: 2}) })
}

func testHanging(t *testing.T, config invoke.Config) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(config)
		e := workflow.New[page](s, workflow.Options{})
		release := make(chan struct{})
		hangs := function{Name: "hangs", Bound: 20 * time.Millisecond, Run: func(r *run) error {
			if r.Document.text == "hang" {
				<-release
			}
			return nil
		}}
		if err := e.Register(says("parse"), hangs, says("last", "parse")); err != nil {
			t.Fatal(err)
		}
		w := deploy(t, e, graph{Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Steps: steps("parse", "hangs", "last")})
		const hanging = 5
		answered := make(chan *run, hanging)
		began := time.Now()
		for range hanging {
			if err := w.Submit(&run{Document: &page{text: "hang"}, Size: 1, Done: func(r *run) { answered <- r }}); err != nil {
				t.Fatal(err)
			}
		}
		for range hanging {
			r := <-answered
			var fault *workflow.FunctionError
			if !errors.As(r.Err(), &fault) || fault.Cause != workflow.Hung || fault.Function != "hangs" || !r.Abandoned() {
				t.Error(r.Err())
			}
		}
		if took := time.Since(began); took > 95*time.Millisecond {
			t.Errorf("answers took %v", took)
		}
		if r := submit(t, w, &page{}); r.Err() != nil {
			t.Error(r.Err())
		}
		a := w.Account()
		if a.Hung != hanging || a.Failed != hanging || a.Steps[w.Step("hangs")].Failures[workflow.Hung] != hanging {
			t.Errorf("%+v", a)
		}
		close(release)
		synctest.Wait()
		if n := w.Account().Hung; n != 0 {
			t.Errorf("%d still hang", n)
		}
		for range 4 {
			if r := submit(t, w, &page{}); r.Err() != nil {
				t.Error(r.Err())
			}
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Beyond MaxHung workers are not replaced, but documents are answered.
func TestWorkersAreReplacedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 1})
		e := workflow.New[page](s, workflow.Options{MaxHung: 1})
		release := make(chan struct{})
		hangs := function{Name: "hangs", Bound: 20 * time.Millisecond, Run: func(*run) error { <-release; return nil }}
		if err := e.Register(hangs); err != nil {
			t.Fatal(err)
		}
		w := deploy(t, e, graph{Name: "w", Deadline: time.Minute, Steps: steps("hangs")})
		answered := make(chan *run, 3)
		for range 3 {
			if err := w.Submit(&run{Document: &page{}, Done: func(r *run) { answered <- r }}); err != nil {
				t.Fatal(err)
			}
		}
		<-answered
		<-answered
		<-time.After(time.Second)
		if len(answered) != 0 {
			t.Error("a third worker appeared")
		}
		close(release)
		if r := <-answered; r.Err() != nil && r.Abandoned() {
			t.Error(r.Err())
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
