package stream

import (
	"fmt"
	"slices"
)

// MostAtOnce is the largest Size of a kernel.
const MostAtOnce = 64

// Kernel decides up to Size records at once.
type Kernel struct {
	// Size is the most records that Run takes, 1 to MostAtOnce.
	Size int
	// Run decides batch[i] into out[i]. 1 <= len(batch) == len(out) <= Size.
	//
	// The records of a batch lie one after another in memory: batch[i] is batch[0]
	// and i strides of the arena (Stride of the record's size) on.
	//
	// A kernel that always works on Size records may do so whatever len is: cap(out) is
	// at least Size, and Size records' memory from batch[0] on can be read. What it
	// finds there beyond len means nothing, and what it writes to out beyond len is
	// thrown away.
	//
	// Run must not allocate, block, or keep batch or out. Several pollers may be in
	// Run at once: what it needs to write on belongs to its stack. If it
	// panics, its batch ends as a *PanicError and the poller goes on.
	Run func(batch []Ref, out []Decision)
}

// Program is what a poller runs: a ladder of kernels with the same results, of
// which it picks one by how many records are due. Programs are immutable; new
// weights are a new Program, with kernels that refer to them.
type Program struct {
	// Kernels have different sizes, in any order; one should have Size 1.
	Kernels []Kernel
	// Version tells programs apart in accounts and samples.
	Version uint64
}

// check sorts out what cannot run, and gives the kernels by ascending size.
func (p *Program) check() ([]Kernel, error) {
	if p == nil || len(p.Kernels) == 0 {
		return nil, &ProgramError{"no kernels"}
	}
	kernels := slices.Clone(p.Kernels)
	slices.SortFunc(kernels, func(a, b Kernel) int { return a.Size - b.Size })
	for i, k := range kernels {
		switch {
		case k.Size < 1 || k.Size > MostAtOnce:
			return nil, &ProgramError{fmt.Sprintf("a kernel of size %d: want 1 to %d", k.Size, MostAtOnce)}
		case k.Run == nil:
			return nil, &ProgramError{fmt.Sprintf("the kernel of size %d has no Run", k.Size)}
		case i > 0 && kernels[i-1].Size == k.Size:
			return nil, &ProgramError{fmt.Sprintf("two kernels of size %d", k.Size)}
		}
	}
	return kernels, nil
}

// ProgramError says why a Program cannot run.
type ProgramError struct{ Why string }

func (e *ProgramError) Error() string { return "stream: program: " + e.Why }
