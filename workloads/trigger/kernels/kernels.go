// Package kernels runs the trigger's networks over batches of records, with the
// instructions that the machine has. Every kernel gives what network.Logits defines,
// bit for bit; a set of instructions that does not, on the records that it is tried
// with before it is used, is not used.
//
// There are kernels for AVX-512 VNNI and AVX2, in assembly that package generate
// writes, and Go for every machine. The jet network has kernels of its own, unrolled
// and fused over its layers; others run layer by layer.
package kernels

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Set is a set of instructions.
type Set uint8

const (
	// PureGo needs nothing of the machine.
	PureGo Set = iota
	// AVX2 multiplies 32 bytes at a time (VPMADDUBSW, VPMADDWD).
	AVX2
	// VNNI multiplies 64 bytes and adds at a time (AVX-512 VPDPBUSD).
	VNNI
	sets
)

var setNames = [sets]string{"go", "avx2", "vnni"}

func (s Set) String() string {
	if s >= sets {
		return fmt.Sprintf("set(%d)", uint8(s))
	}
	return setNames[s]
}

// Sets gives all sets of instructions, the fastest first.
func Sets() []Set { return []Set{VNNI, AVX2, PureGo} }

// Sizes are those of a ladder's kernels.
var Sizes = []int{1, 2, 4, 8, 16, 32, 64}

func ladder(kernel func(size int) func([]stream.Ref, []stream.Decision)) []stream.Kernel {
	all := make([]stream.Kernel, 0, len(Sizes))
	for _, size := range Sizes {
		all = append(all, stream.Kernel{Size: size, Run: kernel(size)})
	}
	return all
}

// MissingError says that the machine, or this build, lacks a set of instructions.
type MissingError struct{ Set Set }

func (e *MissingError) Error() string {
	return fmt.Sprintf("kernels: this machine does not have the instructions of %s", e.Set)
}

// MismatchError says that a kernel decided otherwise than Go: it must not be used.
type MismatchError struct {
	Set       Set
	Size      int
	Record    []byte
	Got, Want stream.Decision
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("kernels: %s, %d at once, decides %#x where Go decides %#x", e.Set, e.Size, e.Got, e.Want)
}

// Program compiles the network for a set of instructions. The error is what
// network.Check returns, or a *MissingError.
func Program(n *network.Network, set Set, version uint64) (*stream.Program, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	if !set.Available() {
		return nil, &MissingError{set}
	}
	kernels := assembled(n, set)
	if kernels == nil {
		kernels = ladder(func(int) func([]stream.Ref, []stream.Decision) { return pure{n}.run })
	}
	return &stream.Program{Kernels: kernels, Version: version}, nil
}

// Best compiles the network for the fastest set of instructions that passes a trial
// against Go with this very network, and says which. The errors of those that failed
// it are in failed; err is what network.Check returns.
func Best(n *network.Network, version uint64) (program *stream.Program, set Set, failed []error, err error) {
	for _, set := range Sets() {
		if !set.Available() {
			continue
		}
		program, err := Program(n, set, version)
		if err != nil {
			return nil, set, failed, err
		}
		if err := Try(n, set, program); err != nil {
			failed = append(failed, err)
			continue
		}
		return program, set, failed, nil
	}
	return nil, PureGo, failed, &MissingError{PureGo}
}

// Try runs every kernel of the program over random records, some of them of extremes,
// and holds the decisions against network.Logits. The error is a *MismatchError.
func Try(n *network.Network, set Set, program *stream.Program) error {
	random := rand.New(rand.NewPCG(uint64(n.Shape.Size), uint64(n.Threshold)))
	count := max(1, min(stream.MostAtOnce, (8<<20)/max(n.Shape.Operations(), 1)))
	stride := stream.Stride(n.Shape.Size)
	memory := make([]byte, (count+stream.MostAtOnce)*stride)
	refs := make([]stream.Ref, count)
	want := make([]stream.Decision, count)
	for i := range refs {
		record := memory[i*stride:][:n.Shape.Size]
		drawRecord(record, random)
		refs[i] = stream.RefTo(record)
		want[i] = decision(network.Score(n.Logits(record)), n.Threshold, record[0])
	}
	for _, kernel := range program.Kernels {
		for from := 0; from < len(refs); from += kernel.Size {
			length := min(1+random.IntN(kernel.Size), len(refs)-from)
			out := make([]stream.Decision, kernel.Size)
			kernel.Run(refs[from:from+length], out[:length])
			for i, got := range out[:length] {
				if got != want[from+i] {
					return &MismatchError{set, kernel.Size, bytes.Clone(refs[from+i].Bytes(n.Shape.Size)), got, want[from+i]}
				}
			}
		}
	}
	return nil
}

// drawRecord draws a record: uniform, sparse, or of the extremes, where sums
// saturate.
func drawRecord(record []byte, random *rand.Rand) {
	kind := random.IntN(4)
	for i := range record {
		switch kind {
		case 0:
			record[i] = byte(random.Uint32())
		case 1:
			record[i] = byte(255 * random.IntN(2))
		case 2:
			record[i] = byte(random.IntN(8))
		default:
			record[i] = 255
		}
	}
	if random.IntN(4) > 0 {
		record[0] = byte(random.IntN(255))
	}
}
