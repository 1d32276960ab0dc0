package workflow_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// page is a document: functions append what they did.
type page struct {
	log  []string
	text string
	held int
}

func (p *page) Footprint() int { return p.held }

type (
	function = workflow.Function[page]
	graph    = workflow.Graph[page]
	step     = workflow.Step[page]
	run      = workflow.Run[page]
	flow     = workflow.Workflow[page]
)

// says makes a function that writes its name.
func says(name string, needs ...string) function {
	return function{Name: name, Needs: needs, Run: func(r *run) error {
		r.Document.log = append(r.Document.log, name)
		return nil
	}}
}

func newScheduler(t testing.TB, config invoke.Config) *invoke.Scheduler {
	t.Helper()
	s := invoke.New(config)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func deploy(t testing.TB, e *workflow.Engine[page], g graph) *flow {
	t.Helper()
	w, err := e.Deploy(g)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func engine(t testing.TB, functions ...function) *workflow.Engine[page] {
	t.Helper()
	e := workflow.New[page](newScheduler(t, invoke.Config{Workers: 2, ShortWorkers: -1}), workflow.Options{})
	if err := e.Register(functions...); err != nil {
		t.Fatal(err)
	}
	return e
}

// submit runs a document and waits for it.
func submit(t testing.TB, w *flow, p *page) *run {
	t.Helper()
	done := make(chan struct{})
	r := &run{Document: p, Size: 1, Done: func(*run) { close(done) }}
	if err := w.Submit(r); err != nil {
		t.Fatal(err)
	}
	<-done
	return r
}

func steps(names ...string) (all []step) {
	for _, name := range names {
		all = append(all, step{Function: name})
	}
	return all
}

func TestStepsRunInOrder(t *testing.T) {
	e := engine(t, says("parse"), says("tokens", "parse"), says("tags", "tokens"), says("entities", "tags"), says("summary", "tokens"))
	g := graph{Name: "all", Deadline: 5 * time.Second, Steps: steps("entities", "tags", "tokens", "parse")}
	g.Steps = append([]step{{Function: "summary", Shed: 1}}, g.Steps...)
	w := deploy(t, e, g)
	p := &page{}
	r := submit(t, w, p)
	if got := strings.Join(p.log, " "); r.Err() != nil || got != "parse tokens tags entities summary" {
		t.Errorf("%v: %s", r.Err(), got)
	}
	a := w.Account()
	if a.Completed != 1 || a.Steps[0].Runs != 1 || a.Steps[0].Function != "parse" || !a.Steps[4].Optional {
		t.Errorf("%+v", a)
	}
}

func TestBranches(t *testing.T) {
	e := engine(t, says("parse"), says("sport", "parse"), says("score", "sport"), says("money", "parse"))
	about := func(topic string) func(*page) bool { return func(p *page) bool { return p.text == topic } }
	w := deploy(t, e, graph{Name: "by topic", Deadline: 5 * time.Second, Steps: []step{
		{Function: "parse"}, {Function: "sport", When: about("sport")}, {Function: "score", When: about("sport")}, {Function: "money", When: about("money")},
	}})
	p := &page{text: "sport"}
	r := submit(t, w, p)
	if got := strings.Join(p.log, " "); r.Err() != nil || got != "parse sport score" || r.Outcome(w.Step("money")) != workflow.Skipped {
		t.Errorf("%v: %s", r.Err(), got)
	}
}

func TestFunctionsFailAlone(t *testing.T) {
	fails := function{Name: "fails", Run: func(*run) error { return errors.New("no model") }}
	panics := function{Name: "panics", Run: func(r *run) error { panic("index") }}
	leaks := function{Name: "leaks", Memory: 10, Run: func(r *run) error { r.Document.held += 11; return nil }}
	e := engine(t, says("parse"), fails, panics, leaks, says("behind", "panics"), says("last", "parse"))
	w := deploy(t, e, graph{Name: "faulty", Deadline: 5 * time.Second, Steps: []step{
		{Function: "parse"}, {Function: "fails", Shed: 1}, {Function: "panics"}, {Function: "leaks", Shed: 1}, {Function: "behind"}, {Function: "last"},
	}})
	p := &page{}
	r := submit(t, w, p)
	var fault *workflow.FunctionError
	if !errors.As(r.Err(), &fault) || fault.Cause != workflow.Panicked || fault.Function != "panics" || len(fault.Stack) == 0 {
		t.Error(r.Err())
	}
	if got := strings.Join(p.log, " "); got != "parse last" {
		t.Error(got)
	}
	for name, want := range map[string]workflow.Cause{"fails": workflow.Failed, "leaks": workflow.Leaked} {
		if err := r.FunctionError(w.Step(name)); err == nil || err.Cause != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.Outcome(w.Step("behind")) != workflow.Blocked {
		t.Error(r.Outcome(w.Step("behind")))
	}
	if a := w.Account(); a.Failed != 1 || a.Late != 1 || a.Steps[w.Step("leaks")].Failures[workflow.Leaked] != 1 {
		t.Errorf("%+v", a)
	}
}
