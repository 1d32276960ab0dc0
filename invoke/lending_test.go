package invoke_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/invoke"
)

func onOwnStack(name string) bool {
	stack := make([]byte, 16<<10)
	return strings.Contains(string(stack[:runtime.Stack(stack, false)]), name)
}

// A caller who lends its goroutine runs what is short on it, once it is known to
// be short, and AfterRun with it.
func TestShortRunsStayOnALentGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2})
		defer mustClose(t, s)
		var lent, after int
		keys := s.Keys("keys", invoke.KeyOptions{AfterRun: func(*invoke.Key) { after++ }})
		f := mustDeploy(t, s, invoke.Spec{Name: "short", Keys: keys, Run: func(*invoke.Invocation) {
			if onOwnStack("TestShortRunsStayOnALentGoroutine") {
				lent++
			}
		}})
		key := keys.Open(nil)
		for range 10 {
			if err := f.SubmitLending(&invoke.Invocation{Key: key}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if lent < 9 || after != 10 { // the first may teach that it is short
			t.Errorf("%d of 10 runs on the caller's goroutine, %d AfterRun", lent, after)
		}
	})
}

// What takes long is left to the workers.
func TestLongRunsAreNotForLentGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2})
		defer mustClose(t, s)
		var ran atomic.Int32
		f := mustDeploy(t, s, invoke.Spec{Name: "long", Run: func(*invoke.Invocation) {
			lasts(time.Millisecond)
			ran.Add(1)
		}})
		for i := range int32(10) {
			began := time.Now()
			if err := f.SubmitLending(&invoke.Invocation{}); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 0 {
				t.Errorf("submission %d took %v", i, waited)
			}
			lasts(2 * time.Millisecond)
			if ran.Load() != i+1 {
				t.Fatalf("%d ran of %d", ran.Load(), i+1)
			}
		}
	})
}

// Keys run one at a time in order, whoever runs them, and Close waits for the
// workers that somebody stands in for.
func TestLendersAndWorkersShareKeys(t *testing.T) {
	const submitters, each = 4, 2000
	s := invoke.New(invoke.Config{Workers: 3})
	keys := s.Keys("keys", invoke.KeyOptions{})
	type state struct{ next [submitters]int } // not synchronised: the race detector looks
	type item struct {
		invoke.Invocation
		from, number int
	}
	f := mustDeploy(t, s, invoke.Spec{Name: "short", Keys: keys, Queue: invoke.Bounds{Count: submitters * each, Age: time.Minute}, Run: func(inv *invoke.Invocation) {
		it, st := inv.Payload.(*item), inv.Key.Value().(*state)
		if st.next[it.from] != it.number {
			t.Errorf("%d came in place of %d", it.number, st.next[it.from])
		}
		st.next[it.from]++
	}})
	states := [2]*state{{}, {}}
	opened := [2]*invoke.Key{keys.Open(states[0]), keys.Open(states[1])}
	var all sync.WaitGroup
	for from := range submitters {
		all.Go(func() {
			items := make([]item, each)
			for n := range items {
				it := &items[n]
				it.Key, it.Payload, it.from, it.number = opened[n%2], it, from, n/2
				submit := f.Submit
				if (n+from)%3 > 0 {
					submit = f.SubmitLending
				}
				if err := submit(&it.Invocation); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, st := range states {
		for from, n := range st.next {
			if n != each/2 {
				t.Errorf("%d of %d of submitter %d ran", n, each/2, from)
			}
		}
	}
}
