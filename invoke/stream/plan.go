package stream

import (
	"math"
	"time"
)

// compiled is a program with the choice of a kernel for each number of records
// that may be due.
type compiled struct {
	kernels []Kernel // by ascending size
	costs   []uint64 // ticks of a full batch of each
	batch   uint64   // ticks of a batch beside its kernel
	plan    [MostAtOnce + 1]uint8
	version uint64
}

// compile chooses for each number of due records the kernel to begin with, so
// that all of them are done soonest; of equals the smallest, whose records are done
// first. done[n] = min over kernels k of cost[k] + batch + done[n-size[k]].
func compile(kernels []Kernel, costs []uint64, batch, version uint64) *compiled {
	c := &compiled{kernels: kernels, costs: costs, batch: batch, version: version}
	var done [MostAtOnce + 1]float64
	for n := 1; n <= MostAtOnce; n++ {
		done[n] = math.Inf(1)
		for k := range kernels {
			if t := float64(costs[k]+batch) + done[max(n-kernels[k].Size, 0)]; t <= done[n] {
				done[n], c.plan[n] = t, uint8(k)
			}
		}
	}
	return c
}

// costOf tells or guesses what a full batch of a kernel of that size costs: of the
// next smaller one known, in proportion.
func (c *compiled) costOf(size int) uint64 {
	cost := c.costs[0]
	for k := range c.kernels {
		if c.kernels[k].Size <= size {
			cost = max(c.costs[k]*uint64(size)/uint64(c.kernels[k].Size), 1)
		}
	}
	return cost
}

// perRecord is what a record costs in the cheapest kernel, in ticks.
func (c *compiled) perRecord() float64 {
	least := math.Inf(1)
	for k := range c.kernels {
		least = min(least, float64(c.costs[k]+c.batch)/float64(c.kernels[k].Size))
	}
	return least
}

const (
	timings    = 64                   // of each kernel
	timingTime = 2 * time.Millisecond // for each kernel, at most, but for one run
	warmups    = 8
	unknown    = math.MaxUint32 // ticks of a kernel that does not return
)

// timeKernels measures what full batches cost on records from the arena: the
// quickest of several runs, for what is slower had the processor taken away. It
// also has the code and the weights in the caches. A kernel that panics costs most.
func timeKernels(kernels []Kernel, arena *Arena, clock *Clock) []uint64 {
	costs := make([]uint64, len(kernels))
	out := make([]Decision, MostAtOnce)
	for i, k := range kernels {
		costs[i] = timeKernel(k, arena, clock, out)
	}
	return costs
}

// batchCost is what a batch costs beside its kernel, about twice as long as reading
// the clock; once is in the kernel's cost already.
func batchCost(clock *Clock) uint64 {
	least := uint64(unknown)
	for range timings {
		begin := clock.Read()
		least = min(least, clock.Read()-begin)
	}
	return least
}

func timeKernel(k Kernel, arena *Arena, clock *Clock, out []Decision) (cost uint64) {
	cost = unknown
	defer func() {
		if recover() != nil {
			cost = unknown
		}
	}()
	n := min(k.Size, arena.Len())
	end := clock.Read() + clock.Ticks(timingTime)
	for run := range warmups + timings {
		batch := arena.refs[run%(arena.Len()/n)*n:][:n]
		begin := clock.Read()
		k.Run(batch, out[:n])
		now := clock.Read()
		cost = min(cost, max(now-begin, 1))
		if now > end {
			break
		}
	}
	return cost
}
