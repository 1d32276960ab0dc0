//go:build linux

package kernels_test

import (
	"fmt"
	"testing"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/kernels"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// BenchmarkKernels tells the time of an event by network, set of instructions and
// batch. Records of 16 bytes lie in the first-level cache; those of 2 KB in 512 KB
// (256 of them), which is in the second-level cache of most machines. On a machine that is
// busy with other work, cpu-ns/event is the figure to read.
func BenchmarkKernels(b *testing.B) {
	for _, c := range []struct {
		name  string
		shape network.Shape
	}{{"jet", jet}, {"2048-4", linear}, {"2048-32-16-4", image}} {
		n := network.Random(c.shape, random(1))
		for l := range n.Layers {
			if c.shape.Size == 16 {
				n.Layers[l].Shift = 0
			}
		}
		for _, set := range available(b) {
			program, err := kernels.Program(n, set, 1)
			if err != nil {
				b.Fatal(err)
			}
			for _, k := range program.Kernels {
				b.Run(fmt.Sprintf("%s/%s/%d", c.name, set, k.Size), func(b *testing.B) { benchmark(b, k, c.shape.Size) })
			}
		}
	}
}

func benchmark(b *testing.B, k stream.Kernel, size int) {
	refs, out := records(size, 256), make([]stream.Decision, 64)
	at := 0
	began := cpuTime(b)
	for i := 0; i < b.N; i += k.Size {
		k.Run(refs[at:at+k.Size], out[:k.Size])
		at = (at + k.Size) % len(refs)
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/event")
}
