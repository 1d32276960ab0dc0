package workflow_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// Whatever happens to documents, each is answered exactly once and counted once, and
// every step of every document taken has one outcome.
func TestAccountsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			s := invoke.New(invoke.Config{Workers: rapid.IntRange(1, 3).Draw(rt, "workers"), ShortWorkers: -1})
			e := workflow.New[page](s, workflow.Options{})
			release := make(chan struct{})
			work := function{Name: "work", Bound: 30 * time.Millisecond, Run: func(r *run) error {
				switch r.Document.text {
				case "fail":
					return errors.New("asked to")
				case "panic":
					panic("asked to")
				case "hang":
					<-release
				}
				<-time.After(time.Duration(r.Size) * 100 * time.Microsecond)
				return nil
			}}
			err := e.Register(work, takes("extra", 20*time.Microsecond), says("last", "work"))
			if err != nil {
				rt.Fatal(err)
			}
			w := deploy(t, e, graph{
				Name: "w", Deadline: 50 * time.Millisecond, Hard: rapid.Bool().Draw(rt, "hard"), Queue: rapid.IntRange(1, 200).Draw(rt, "queue"),
				Steps: []step{{Function: "work"}, {Function: "extra", Shed: 1}, {Function: "last", When: func(p *page) bool { return p.text != "skip" }}},
			})
			answers := make(chan *run, 10000)
			taken, refused := 0, 0
			for range rapid.IntRange(1, 12).Draw(rt, "bursts") {
				for range rapid.IntRange(0, 40).Draw(rt, "burst") {
					text := rapid.SampledFrom([]string{"", "", "", "", "skip", "fail", "panic", "hang"}).Draw(rt, "kind")
					size := rapid.IntRange(1, 100).Draw(rt, "size")
					r := &run{Document: &page{text: text}, Size: size, Sender: 1, Done: func(r *run) { answers <- r }}
					if w.Submit(r) == nil {
						taken++
					} else {
						refused++
					}
				}
				<-time.After(time.Duration(rapid.IntRange(0, 30).Draw(rt, "ms")) * time.Millisecond)
			}
			if rapid.Bool().Draw(rt, "undeploy") {
				w.Undeploy()
			}
			<-time.After(10 * time.Second)
			close(release)
			if err := s.Close(context.Background()); err != nil {
				rt.Fatal(err)
			}
			if len(answers) != taken {
				rt.Fatalf("%d answers to %d documents", len(answers), taken)
			}
			check(rt, w.Account(), taken, refused)
		})
	})
}

func check(t *rapid.T, a workflow.Account, taken, refused int) {
	ended := a.Completed + a.Failed
	for _, n := range a.Refusals {
		ended += n
	}
	if a.Submitted != uint64(taken+refused) || ended != a.Submitted || a.Hung != 0 {
		t.Fatalf("%d taken and %d refused: %+v", taken, refused, a)
	}
	for _, s := range a.Steps {
		if n := s.Runs + s.Skipped + s.Shed + s.Blocked + s.NotReached; n != uint64(taken) {
			t.Fatalf("%s: %d outcomes of %d: %+v", s.Function, n, taken, s)
		}
	}
}
