//go:build linux

package kernels_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/kernels"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/preset"
)

// BenchmarkKernels tells the time of an event by network, set of instructions and
// batch. Records of 16 bytes lie in the first-level cache; those of 2 KB in 512 KB
// (256 of them), which is in the second-level cache of most machines. On a machine that is
// busy with other work, cpu-ns/event is the figure to read, and on one whose host is,
// too, least-ns/event: of the quickest 256 events in a row.
func BenchmarkKernels(b *testing.B) {
	any := network.Random(jet, random(1)) // weights that no sum in 16 bits holds
	for l := range any.Layers {
		any.Layers[l].Shift = 0
	}
	networks := map[string]*network.Network{"jet, any weights": any, "image, any weights": network.Random(linear, random(1))}
	for _, name := range []string{"jet", "image", "image-deep"} {
		n, _, err := preset.Network(name)
		if err != nil {
			b.Fatal(err)
		}
		networks[name] = n
	}
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		n := networks[name]
		for _, set := range available(b) {
			program, err := kernels.Program(n, set, 1)
			if err != nil {
				b.Fatal(err)
			}
			for _, k := range program.Kernels {
				b.Run(fmt.Sprintf("%s/%s/%d", name, set, k.Size), func(b *testing.B) { benchmark(b, k, n.Shape.Size) })
			}
		}
	}
}

func benchmark(b *testing.B, k stream.Kernel, size int) {
	refs, out := records(size, 256), make([]stream.Decision, 64)
	clock := stream.ProcessorClock()
	at, least := 0, math.Inf(1)
	began := cpuTime(b)
	for i := 0; i < b.N; {
		from, begin := i, clock.Read()
		for i < from+slice {
			k.Run(refs[at:at+k.Size], out[:k.Size])
			at = (at + k.Size) % len(refs)
			i += k.Size
		}
		least = min(least, float64(clock.Duration(clock.Read()-begin))/float64(i-from))
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/event")
	b.ReportMetric(least, "least-ns/event")
}

// slice is how many events are timed together for the least time of an event.
const slice = 256
