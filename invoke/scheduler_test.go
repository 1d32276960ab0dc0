package invoke_test

import (
	"context"
	"sync"
	"testing"

	"github.com/starling-vr/starling/invoke"
)

func TestKeyedRunsOneAtATimeInArrivalOrder(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 4})
	var afterRuns int
	keys := s.Keys("shards", invoke.KeyOptions{AfterRun: func(*invoke.Key) { afterRuns++ }})
	key := keys.Open("a")
	var got []int
	var wait sync.WaitGroup
	fn, err := s.Deploy(invoke.Spec{
		Name: "append", Keys: keys,
		Run:     func(inv *invoke.Invocation) { got = append(got, inv.Payload.(int)); wait.Done() },
		Refused: func(_ *invoke.Invocation, r *invoke.Refusal) { t.Error(r); wait.Done() },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		wait.Add(1)
		if err := fn.Submit(&invoke.Invocation{Key: key, Payload: i}); err != nil {
			t.Fatal(err)
		}
	}
	wait.Wait()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if i != v {
			t.Fatalf("position %d holds %d", i, v)
		}
	}
	if len(got) != 1000 || afterRuns == 0 {
		t.Fatalf("ran %d, after runs %d", len(got), afterRuns)
	}
}
