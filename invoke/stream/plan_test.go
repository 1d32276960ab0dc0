package stream

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func ladder(run func([]Ref, []Decision), sizes ...int) []Kernel {
	var kernels []Kernel
	for _, size := range sizes {
		kernels = append(kernels, Kernel{Size: size, Run: run})
	}
	return kernels
}

// The ladder of a measured network: one is quickest alone, 16 are cheap, 64 pay only
// when far behind.
func TestTheRungIsPickedByWhatIsDue(t *testing.T) {
	c := compile(ladder(empty, 1, 2, 4, 8, 16, 64), []uint64{48, 50, 60, 110, 200, 560}, 0, 1)
	for due, size := range map[int]int{1: 1, 2: 2, 3: 4, 4: 4, 5: 4, 8: 8, 16: 16, 17: 16, 32: 16, 64: 64} {
		if got := c.kernels[c.plan[due]].Size; got != size {
			t.Errorf("%d due: kernel of %d, want %d", due, got, size)
		}
	}
}

func TestThePlanIsTheQuickest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sizes []int
		for size := 1; size <= MostAtOnce; size *= 2 {
			if len(sizes) == 0 || rapid.Bool().Draw(t, "size") {
				sizes = append(sizes, size)
			}
		}
		costs := make([]uint64, len(sizes))
		for i := range costs {
			costs[i] = rapid.Uint64Range(1, 1000).Draw(t, "cost")
		}
		c := compile(ladder(empty, sizes...), costs, 0, 1)
		var best [MostAtOnce + 1]float64
		for due := 1; due <= MostAtOnce; due++ {
			best[due] = math.Inf(1)
			for k, size := range sizes {
				best[due] = min(best[due], float64(costs[k])+best[max(due-size, 0)])
			}
			took := 0.0
			for left := due; left > 0; left -= sizes[c.plan[left]] {
				took += float64(costs[c.plan[left]])
			}
			if took != best[due] {
				t.Fatalf("%d due take %g, %g would do", due, took, best[due])
			}
		}
	})
}

func TestProgramsThatCannotRun(t *testing.T) {
	for name, p := range map[string]*Program{
		"nil": nil, "no kernels": {}, "too large": {Kernels: ladder(empty, 1, 65)}, "size 0": {Kernels: ladder(empty, 0)},
		"twice": {Kernels: ladder(empty, 4, 4)}, "no Run": {Kernels: ladder(nil, 1)},
	} {
		var bad *ProgramError
		if _, err := p.check(); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKernelThatPanicsIsTheDearest(t *testing.T) {
	arena := newArena(t, 4, 16)
	kernels := []Kernel{{Size: 1, Run: empty}, {Size: 8, Run: func([]Ref, []Decision) { panic("no") }}}
	costs := timeKernels(kernels, arena, ProcessorClock())
	if costs[0] == 0 || costs[0] >= unknown || costs[1] != unknown {
		t.Errorf("costs %v", costs)
	}
	c := compile(kernels, []uint64{10, unknown}, 0, 1)
	if c.costOf(1) != 10 || c.costOf(4) != 40 || c.perRecord() != 10 {
		t.Errorf("%d for one, %d for four, %g each", c.costOf(1), c.costOf(4), c.perRecord())
	}
}
