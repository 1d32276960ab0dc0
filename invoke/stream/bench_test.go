package stream

import (
	"fmt"
	"testing"

	"github.com/starling-vr/starling/invoke"
)

func empty([]Ref, []Decision) {}

// benchPoller is a poller that no goroutine runs: the benchmark does.
func benchPoller(b *testing.B, source Source, program *Program, batch int) *poller {
	f := &Function{name: "bench", clock: ProcessorClock(), errors: make(chan error, 1)}
	f.spec = Spec{Sources: []Source{source}, Batch: batch, Program: program, Contract: invoke.Contract{Deadline: 1000}}
	kernels, err := program.check()
	if err != nil {
		b.Fatal(err)
	}
	f.program.Store(compile(kernels, timeKernels(kernels, source.records(), f.clock), 0, 1))
	if err := f.makePollers(); err != nil {
		b.Fatal(err)
	}
	f.pollers[0].table.start(f.clock.Read(), 0)
	return f.pollers[0]
}

// BenchmarkBatch is what a batch costs beside its kernel, with so many due each time.
func BenchmarkBatch(b *testing.B) {
	arena, err := NewArena(1<<15, 16)
	if err != nil {
		b.Fatal(err)
	}
	defer arena.Close()
	for _, size := range []int{1, 2, 4, 8, 16, 32, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			const rate = 20e6
			p := benchPoller(b, &Schedule{Arena: arena, Rate: rate}, &Program{Kernels: []Kernel{{Size: size, Run: empty}}}, size)
			// The clock costs what it costs, but it is always such that size are due.
			p.read = func() uint64 {
				counter()
				return p.table.at(p.next+uint64(size)-1) + 1
			}
			p.peek = p.read
			b.ReportAllocs()
			for b.Loop() {
				p.step()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(p.counters.decided), "ns/record")
		})
	}
}

// BenchmarkIdle is one look at a source that has nothing.
func BenchmarkIdle(b *testing.B) {
	arena, err := NewArena(1<<15, 16)
	if err != nil {
		b.Fatal(err)
	}
	defer arena.Close()
	p := benchPoller(b, &Schedule{Arena: arena, Rate: 0.1}, &Program{Kernels: []Kernel{{Size: 1, Run: empty}}}, 1)
	p.step()
	for b.Loop() {
		p.step()
	}
}

func BenchmarkClock(b *testing.B) {
	read := ProcessorClock().Read
	for b.Loop() {
		read()
	}
}
