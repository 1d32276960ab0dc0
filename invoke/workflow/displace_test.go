package workflow_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

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
