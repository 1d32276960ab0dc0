package invoke_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Long runs on all of their workers leave all others to short ones, and never more of
// them run than there are workers for them.
func TestLongWorkersStandBesideTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2, LongWorkers: 3, Cores: 2})
		defer s.Close(context.Background())
		var running atomic.Int32
		ended := make(chan int32, 10)
		long := func(*invoke.Invocation) {
			now := running.Add(1)
			<-time.After(50 * time.Millisecond)
			running.Add(-1)
			ended <- now
		}
		refused := func(*invoke.Invocation, *invoke.Refusal) { t.Error("refused") }
		analyse, err := s.Deploy(invoke.Spec{Name: "analyse", Contract: invoke.Contract{RunTime: 50 * time.Millisecond}, Run: long, Refused: refused})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan time.Duration, 10)
		begun := time.Now()
		move, err := s.Deploy(invoke.Spec{Name: "move",
			Contract: invoke.Contract{Rate: 100, Deadline: 4 * time.Millisecond, RunTime: 100 * time.Microsecond},
			Run:      func(*invoke.Invocation) { <-time.After(100 * time.Microsecond); done <- time.Since(begun) }, Refused: refused})
		if err != nil {
			t.Fatal("long runs do not block what has workers of its own:", err)
		}
		for range 5 {
			if err := analyse.Submit(&invoke.Invocation{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for range 4 {
			if err := move.Submit(&invoke.Invocation{}); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			if took := <-done; took > time.Millisecond {
				t.Errorf("a short run ended after %v", took)
			}
		}
		most := int32(0)
		for range 5 {
			most = max(most, <-ended)
		}
		if most != 3 {
			t.Errorf("%d long runs at once", most)
		}
	})
}

func TestLongWorkersPromiseWhatTheCoresHold(t *testing.T) {
	p := invoke.NewPolicy(invoke.Config{Workers: 2, LongWorkers: 2}, 1)
	spec := invoke.Spec{Name: "analyse", Contract: invoke.Contract{Rate: 30, Burst: 1, Deadline: time.Second, RunTime: 60 * time.Millisecond}}
	if _, err := p.Deploy(1, spec); err == nil || !strings.Contains(err.Error(), "1.8 cores > 1.6") {
		t.Fatal(err)
	}
	spec.Contract.Rate = 20
	if _, err := p.Deploy(1, spec); err != nil {
		t.Fatal(err)
	}
}
