package workflow_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// A burst of documents of any sizes for which there is not the time: every document is
// answered once, none of those annotated is late, the accounts add up, and about as many
// are annotated as there is time for if the largest are left out.
func TestTheLargestMakeRoom(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		if err := e.Register(takes("required", 10*time.Microsecond)); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{
			Name: "w", Deadline: 20 * time.Millisecond, Hard: true, Displace: true, Queue: 10000,
			Steps: []step{{Function: "required"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		sizes := rapid.SliceOfN(rapid.IntRange(1, 100), 1, 400).Draw(t, "sizes")
		refused := 0
		for _, size := range sizes {
			err := w.Submit(&run{Document: &page{}, Size: size, Done: func(r *run) { c.done <- r }})
			if refusal, ok := errors.AsType[*workflow.Refusal](err); ok && refusal.Reason == workflow.TooLate {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		annotated := 0
		for range len(sizes) - refused {
			r := <-c.done
			refusal, ok := errors.AsType[*workflow.Refusal](r.Err())
			switch {
			case r.Err() == nil && !r.Late():
				annotated++
			case !ok || refusal.Reason != workflow.TooLate || !refusal.Retryable:
				t.Fatalf("size %d: %v, late %v", r.Size, r.Err(), r.Late())
			}
		}
		a := w.Account()
		if int(a.Completed) != annotated || int(a.Refusals[workflow.TooLate]) != len(sizes)-annotated || a.Late != 0 {
			t.Fatalf("%d of %d annotated: %+v", annotated, len(sizes), a)
		}
		if fit := fewest(sizes); annotated < fit-2 { // those that run already cannot make room
			t.Fatalf("%d of %d annotated: %d fit in if the largest are refused", annotated, len(sizes), fit)
		}
	})
}

// fewest is how many of the documents two workers do in 3/4 of the deadline, the smallest
// first.
func fewest(sizes []int) int {
	var of [101]int
	for _, size := range sizes {
		of[size]++
	}
	left, n := 2*1500, 0 // units of 10 us
	for size, count := range of {
		for range count {
			if left -= size; left < 0 {
				return n
			}
			n++
		}
	}
	return n
}

// Nothing is displaced by what is no smaller: those that were taken stay.
func TestEqualsAreRefusedInTheOrderOfArrival(t *testing.T) {
	inBubble(t, func(t *rapid.T, c *crowd, e *workflow.Engine[page]) {
		if err := e.Register(takes("required", 10*time.Microsecond)); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{
			Name: "w", Deadline: 20 * time.Millisecond, Hard: true, Displace: rapid.Bool().Draw(t, "displace"), Queue: 10000,
			Steps: []step{{Function: "required"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		size := rapid.IntRange(1, 100).Draw(t, "size")
		for range rapid.IntRange(1, 500).Draw(t, "documents") {
			c.submit(t, w, size)
		}
		c.gather(w)
		if c.complete != c.taken || c.late > 0 {
			t.Fatalf("of %d taken %d are complete, %d late", c.taken, c.complete, c.late)
		}
	})
}

// Documents that take longer than they did when they were taken: those that are given up
// are the large ones, whatever their place in the queue, and none of the others is late.
func TestTheLargestAreGivenUpWhenItGetsSlower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := invoke.New(invoke.Config{Workers: 2, ShortWorkers: -1})
		e := workflow.New[page](s, workflow.Options{})
		if err := e.Register(function{Name: "required", RunTime: 10 * time.Microsecond, Run: func(r *run) error {
			<-time.After(time.Duration(r.Size) * 16 * time.Microsecond)
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		w, err := e.Deploy(graph{
			Name: "w", Deadline: 100 * time.Millisecond, Hard: true, Displace: true, Queue: 10000, Steps: []step{{Function: "required"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		const documents = 340 // of 50 on average: 85 of the 100 ms, if it were not slower
		done := make(chan *run, documents)
		random := rand.New(rand.NewPCG(1, 2))
		for range documents {
			r := &run{Document: &page{}, Size: 1 + random.IntN(100), Reserve: 4 * time.Millisecond, Done: func(r *run) { done <- r }}
			if err := w.Submit(r); err != nil {
				t.Fatal(err)
			}
		}
		var annotated, refused, annotatedSize, refusedSize int
		for range documents {
			switch r := <-done; {
			case r.Err() != nil:
				refused, refusedSize = refused+1, refusedSize+r.Size
			case r.Late():
				t.Errorf("size %d is late", r.Size)
			default:
				annotated, annotatedSize = annotated+1, annotatedSize+r.Size
			}
		}
		if refused == 0 || refused > documents/3 || refusedSize/refused < 3*annotatedSize/annotated/2 {
			t.Errorf("%d refused of size %d on average, %d annotated of size %d", refused, refusedSize/max(refused, 1), annotated, annotatedSize/max(annotated, 1))
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
