package annotate

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

// Everything that was put before the end is taken, by one taker and in its order, however
// puts and takes fall together; then the documents end.
func TestOutboxGivesAll(t *testing.T) {
	sent := turns{of: []*outbox{newOutbox(), newOutbox(), newOutbox()}}
	taken := make([][]int, len(sent.of))
	var takers sync.WaitGroup
	for i, o := range sent.of {
		takers.Go(func() {
			var numbers []int
			for {
				var open bool
				if numbers, open = o.take(numbers); !open || len(numbers) == 0 {
					return
				}
				taken[i] = append(taken[i], numbers...)
			}
		})
	}
	for from := 0; from < 1000; from += 7 {
		sent.send(from, min(from+7, 1000))
	}
	for _, o := range sent.of {
		o.end()
	}
	takers.Wait()
	all := slices.Concat(taken...)
	for i := range taken {
		if !slices.IsSorted(taken[i]) || len(taken[i]) < 333 {
			t.Errorf("connection %d took %d documents: %v", i, len(taken[i]), taken[i])
		}
	}
	slices.Sort(all)
	if len(all) != 1000 || len(slices.Compact(all)) != 1000 {
		t.Errorf("%d documents were taken", len(all))
	}
}

// A broken connection takes nothing more, and its first reason is kept; what breaks after
// the documents ended is no failure, unless the server refused.
func TestOutboxThatBreaks(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	o := newOutbox()
	o.put(1)
	if !o.fail(first) || o.fail(second) || o.refuse(second) || o.err() != first {
		t.Errorf("broken for %v", o.err())
	}
	if numbers, open := o.take(nil); open || len(numbers) > 0 {
		t.Errorf("a broken connection was given %v", numbers)
	}
	o = newOutbox()
	o.end()
	if o.fail(first) || o.err() != nil {
		t.Errorf("broken for %v", o.err())
	}
	if numbers, open := o.take(nil); !open || len(numbers) > 0 {
		t.Errorf("%v, %t", numbers, open)
	}
	if !o.refuse(second) || o.err() != second {
		t.Errorf("broken for %v", o.err())
	}
}
