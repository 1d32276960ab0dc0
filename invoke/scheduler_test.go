package invoke_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// lasts stands for work that takes d of the bubble's time.
func lasts(d time.Duration) { <-time.After(d) }

func mustDeploy(t testing.TB, s *invoke.Scheduler, spec invoke.Spec) *invoke.Function {
	t.Helper()
	if spec.Refused == nil {
		spec.Refused = func(_ *invoke.Invocation, r *invoke.Refusal) { t.Error("unexpected refusal:", r) }
	}
	f, err := s.Deploy(spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustSubmit(t testing.TB, f *invoke.Function, inv *invoke.Invocation) {
	t.Helper()
	if err := f.Submit(inv); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, s *invoke.Scheduler) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func reasonOf(t testing.TB, err error) invoke.Reason {
	t.Helper()
	var refusal *invoke.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("%v is not a Refusal", err)
	}
	return refusal.Reason
}

// A counter per key that is not synchronised: the race detector sees two workers
// in one key, and AfterRun outside of it.
func TestKeyedRunsOneAtATimeInArrivalOrder(t *testing.T) {
	type shard struct {
		next   [4]int // per submitter
		ran    int
		sealed int
	}
	type call struct{ submitter, number int }
	s := invoke.New(invoke.Config{Workers: 4})
	keys := s.Keys("shards", invoke.KeyOptions{
		AfterRun: func(k *invoke.Key) { sh := k.Value().(*shard); sh.sealed = sh.ran },
		MaxRun:   8,
	})
	fn := mustDeploy(t, s, invoke.Spec{
		Name: "count", Keys: keys, Queue: invoke.Bounds{Count: 1 << 20, Age: time.Minute},
		Run: func(inv *invoke.Invocation) {
			sh, c := inv.Key.Value().(*shard), inv.Payload.(call)
			if sh.next[c.submitter] != c.number {
				t.Errorf("submitter %d: %d ran when %d was next", c.submitter, c.number, sh.next[c.submitter])
			}
			sh.next[c.submitter]++
			sh.ran++
		},
	})
	var shards [8]shard
	var opened [8]*invoke.Key
	for i := range shards {
		opened[i] = keys.Open(&shards[i])
	}
	const each = 2000
	var submitters sync.WaitGroup
	for submitter := range 4 {
		submitters.Go(func() {
			for n := range each {
				for _, key := range opened {
					if err := fn.Submit(&invoke.Invocation{Key: key, Payload: call{submitter, n}}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	submitters.Wait()
	mustClose(t, s)
	for i := range shards {
		if shards[i].ran != 4*each || shards[i].sealed != shards[i].ran {
			t.Errorf("shard %d ran %d, sealed %d", i, shards[i].ran, shards[i].sealed)
		}
	}
}

func TestInvocationMayBeReusedInsideRun(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 2})
	const rounds = 10_000
	done := make(chan struct{})
	var ran atomic.Int64
	var fn *invoke.Function
	fn = mustDeploy(t, s, invoke.Spec{Name: "again", Run: func(inv *invoke.Invocation) {
		if ran.Add(1) == rounds {
			close(done)
			return
		}
		*inv = invoke.Invocation{Sender: inv.Sender}
		mustSubmit(t, fn, inv)
	}})
	mustSubmit(t, fn, &invoke.Invocation{Sender: 1})
	<-done
	mustClose(t, s)
}

// A long run on one worker, and the other serves short deadlines meanwhile.
func TestLongRunsLeaveAWorkerForShortDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2})
		encode := mustDeploy(t, s, invoke.Spec{
			Name: "encode", Contract: invoke.Contract{RunTime: time.Second}, Queue: invoke.Bounds{Age: time.Minute},
			Run: func(*invoke.Invocation) { lasts(time.Second) },
		})
		move := mustDeploy(t, s, invoke.Spec{
			Name: "move", Contract: invoke.Contract{Rate: 1000, Deadline: 4 * time.Millisecond, RunTime: 100 * time.Microsecond},
			Run: func(*invoke.Invocation) { lasts(100 * time.Microsecond) },
		})
		for range 3 {
			mustSubmit(t, encode, &invoke.Invocation{})
		}
		for range 2000 {
			mustSubmit(t, move, &invoke.Invocation{})
			lasts(time.Millisecond)
		}
		mustClose(t, s)
		for _, a := range s.Accounts().Functions {
			if a.Misses > 0 || a.Name == "move" && (a.Invocations != 2000 || a.QueueTime.Max() > 0) {
				t.Errorf("%s: %d ran, %d missed, queue time up to %v", a.Name, a.Invocations, a.Misses, a.QueueTime.Max())
			}
		}
	})
}

// Every worker is busy for a second: what waits past its bound is answered anyway.
func TestRefusedInTimeWhileEveryWorkerIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 1})
		keys := s.Keys("shards", invoke.KeyOptions{})
		var at []time.Duration
		start := time.Now()
		spec := invoke.Spec{
			Name: "unary", Queue: invoke.Bounds{Age: 100 * time.Millisecond},
			Run: func(*invoke.Invocation) { lasts(time.Second) },
			Refused: func(_ *invoke.Invocation, r *invoke.Refusal) {
				if r.Reason != invoke.OverAge || !r.Retryable || r.RetryAfter == 0 {
					t.Error(r)
				}
				at = append(at, time.Since(start))
			},
		}
		unary := mustDeploy(t, s, spec)
		spec.Name, spec.Keys = "keyed", keys
		keyed := mustDeploy(t, s, spec)
		mustSubmit(t, unary, &invoke.Invocation{})
		synctest.Wait()
		mustSubmit(t, unary, &invoke.Invocation{})
		mustSubmit(t, keyed, &invoke.Invocation{Key: keys.Open(1)})
		mustClose(t, s)
		if len(at) != 2 || at[0] < 100*time.Millisecond || at[1] > 106*time.Millisecond {
			t.Errorf("refused at %v", at)
		}
	})
}

// A run of slow invocations is interrupted after a slice.
func TestUrgentWorkWaitsForASliceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 1, Slice: time.Millisecond})
		keys := s.Keys("shards", invoke.KeyOptions{})
		slow := false
		bulk := mustDeploy(t, s, invoke.Spec{Name: "bulk", Keys: keys, Queue: invoke.Bounds{Age: time.Minute},
			Run: func(*invoke.Invocation) {
				if slow {
					lasts(400 * time.Microsecond)
				}
			}})
		urgent := mustDeploy(t, s, invoke.Spec{
			Name: "urgent", Contract: invoke.Contract{Rate: 10, Deadline: 5 * time.Millisecond, RunTime: 10 * time.Microsecond},
			Run: func(*invoke.Invocation) {},
		})
		key := keys.Open(1)
		for range 60 { // it looks quick
			mustSubmit(t, bulk, &invoke.Invocation{Key: key})
		}
		synctest.Wait()
		slow = true
		for range 60 {
			mustSubmit(t, bulk, &invoke.Invocation{Key: key})
		}
		lasts(100 * time.Microsecond)
		mustSubmit(t, urgent, &invoke.Invocation{})
		mustClose(t, s)
		for _, a := range s.Accounts().Functions {
			if a.Name == "urgent" && a.QueueTime.Max() > 1100*time.Microsecond {
				t.Errorf("waited %v", a.QueueTime.Max())
			}
		}
	})
}

func TestChildTakesTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 1})
		var deadlines []invoke.Instant
		var child invoke.Invocation
		second := mustDeploy(t, s, invoke.Spec{
			Name: "second", Contract: invoke.Contract{Rate: 1, Deadline: time.Hour, RunTime: time.Microsecond},
			Run: func(inv *invoke.Invocation) { deadlines = append(deadlines, inv.Deadline) },
		})
		first := mustDeploy(t, s, invoke.Spec{
			Name: "first", Contract: invoke.Contract{Rate: 1, Deadline: time.Second, RunTime: time.Microsecond},
			Run: func(inv *invoke.Invocation) {
				deadlines = append(deadlines, inv.Deadline)
				lasts(time.Millisecond)
				mustSubmit(t, second, inv.Child(&child))
			},
		})
		arrived := s.Now().Add(-100 * time.Millisecond)
		mustSubmit(t, first, &invoke.Invocation{Arrived: arrived, Sender: 7})
		synctest.Wait()
		lasts(time.Millisecond)
		synctest.Wait()
		mustClose(t, s)
		due := arrived.Add(time.Second)
		if !slices.Equal(deadlines, []invoke.Instant{due, due}) || child.Sender != 7 {
			t.Errorf("deadlines %v, want twice %v; sender %d", deadlines, due, child.Sender)
		}
	})
}

func TestKeyClosedInsideRunRunsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2})
		keys := s.Keys("shards", invoke.KeyOptions{})
		var ran, refused []int
		fn := mustDeploy(t, s, invoke.Spec{Name: "fenced", Keys: keys,
			Run: func(inv *invoke.Invocation) {
				lasts(time.Microsecond)
				if ran = append(ran, inv.Payload.(int)); len(ran) == 3 {
					inv.Key.Close()
				}
			},
			Refused: func(inv *invoke.Invocation, r *invoke.Refusal) {
				if r.Reason != invoke.KeyClosed || !r.Retryable {
					t.Error(r)
				}
				refused = append(refused, inv.Payload.(int))
			},
		})
		key := keys.Open(1)
		for i := range 10 {
			mustSubmit(t, fn, &invoke.Invocation{Key: key, Payload: i})
		}
		lasts(time.Millisecond)
		synctest.Wait()
		if !slices.Equal(ran, []int{0, 1, 2}) || !slices.Equal(refused, []int{3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("ran %v, refused %v", ran, refused)
		}
		if r := reasonOf(t, fn.Submit(&invoke.Invocation{Key: key})); r != invoke.KeyClosed {
			t.Error(r)
		}
		mustClose(t, s)
	})
}

func TestCloseRunsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2})
		var ran atomic.Int64
		fn := mustDeploy(t, s, invoke.Spec{Name: "work", Run: func(*invoke.Invocation) {
			lasts(time.Millisecond)
			ran.Add(1)
		}})
		for range 20 {
			mustSubmit(t, fn, &invoke.Invocation{})
		}
		mustClose(t, s)
		if ran.Load() != 20 {
			t.Errorf("ran %d", ran.Load())
		}
		if r := reasonOf(t, fn.Submit(&invoke.Invocation{})); r != invoke.SchedulerClosed {
			t.Error(r)
		}
	})
}

func TestCloseRefusesTheRestWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 1})
		keys := s.Keys("shards", invoke.KeyOptions{})
		var ran, refused atomic.Int64
		spec := invoke.Spec{
			Name: "unary",
			Run:  func(*invoke.Invocation) { lasts(500 * time.Millisecond); ran.Add(1) },
			Refused: func(_ *invoke.Invocation, r *invoke.Refusal) {
				if r.Reason != invoke.SchedulerClosed {
					t.Error(r)
				}
				refused.Add(1)
			},
		}
		unary := mustDeploy(t, s, spec)
		spec.Name, spec.Keys = "keyed", keys
		keyed := mustDeploy(t, s, spec)
		key := keys.Open(1)
		for range 5 {
			mustSubmit(t, keyed, &invoke.Invocation{Key: key})
			mustSubmit(t, unary, &invoke.Invocation{})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		lasts(time.Second)
		synctest.Wait()
		if ran.Load() != 1 || refused.Load() != 9 {
			t.Errorf("ran %d, refused %d", ran.Load(), refused.Load())
		}
	})
}

func TestUndeployFreesWhatWasReserved(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 1})
	defer mustClose(t, s)
	spec := invoke.Spec{
		Name:     "big",
		Contract: invoke.Contract{Rate: 70, Deadline: time.Second, RunTime: 10 * time.Millisecond},
		Run:      func(*invoke.Invocation) {},
	}
	big := mustDeploy(t, s, spec)
	spec.Name, spec.Refused = "other", func(*invoke.Invocation, *invoke.Refusal) {}
	var notAdmitted *invoke.NotAdmittedError
	if _, err := s.Deploy(spec); !errors.As(err, &notAdmitted) || notAdmitted.Shortages[0].Resource != "cores" {
		t.Fatal(err)
	}
	big.Undeploy()
	if r := reasonOf(t, big.Submit(&invoke.Invocation{})); r != invoke.FunctionClosed {
		t.Error(r)
	}
	mustDeploy(t, s, spec)
	if short := s.Overcommitted(); len(short) > 0 {
		t.Error(short)
	}
}

func TestSubmitDoesNotAllocate(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 1})
	keys := s.Keys("shards", invoke.KeyOptions{})
	ran := make(chan struct{}, 1)
	fn := mustDeploy(t, s, invoke.Spec{Name: "empty", Keys: keys, Run: func(*invoke.Invocation) { ran <- struct{}{} }})
	key, inv := keys.Open(1), new(invoke.Invocation)
	if n := testing.AllocsPerRun(1000, func() {
		*inv = invoke.Invocation{Key: key, Sender: 1}
		mustSubmit(t, fn, inv)
		<-ran
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	mustClose(t, s)
}
