package workflow_test

import (
	"fmt"
	"testing"
	"time"
)

// chain deploys n steps, each after the one before, that do nothing.
func chain(t testing.TB, n int, optional int) *flow {
	var functions []function
	var g graph
	for i := range n {
		f := function{Name: fmt.Sprintf("step%d", i), Run: func(*run) error { return nil }}
		if i > 0 {
			f.Needs = []string{functions[i-1].Name}
		}
		functions = append(functions, f)
		s := step{Function: f.Name}
		if i >= n-optional {
			s.Shed = n - i
		}
		g.Steps = append(g.Steps, s)
	}
	g.Name, g.Deadline, g.Hard = "chain", time.Hour, true // a test may stand still for long
	return deploy(t, engine(t, functions...), g)
}

// BenchmarkFused is the price of a document with 12 steps that do nothing, on one
// goroutine.
func BenchmarkFused(b *testing.B) {
	for _, n := range []int{1, 12} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := chain(b, n, min(2, n-1))
			r := &run{Document: &page{}, Size: 300, Done: func(*run) {}}
			b.ReportAllocs()
			for b.Loop() {
				r.Arrived, r.Deadline = 0, 0
				if err := w.Execute(r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/step")
		})
	}
}

// BenchmarkSubmit is the same through the queue, 64 documents under way.
func BenchmarkSubmit(b *testing.B) {
	const n = 12
	w := chain(b, n, 2)
	free := make(chan *run, 64)
	for range cap(free) {
		free <- &run{Document: &page{}, Done: func(r *run) { free <- r }}
	}
	b.ReportAllocs()
	for b.Loop() {
		r := <-free
		r.Size, r.Arrived, r.Deadline = 300, 0, 0
		if err := w.Submit(r); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(free) {
		<-free
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/step")
}

func TestNothingIsAllocatedPerDocument(t *testing.T) {
	w := chain(t, 12, 2)
	done := make(chan struct{}, 1)
	r := &run{Document: &page{}, Size: 300, Done: func(*run) { done <- struct{}{} }}
	one := func() {
		r.Arrived, r.Deadline = 0, 0
		if err := w.Submit(r); err != nil {
			t.Fatal(err)
		}
		<-done
	}
	for range 600 {
		one()
	}
	if n := testing.AllocsPerRun(400, one); n > 0.1 { // accounts are planned anew now and then
		t.Errorf("%v allocations a document", n)
	}
}
