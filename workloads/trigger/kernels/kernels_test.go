package kernels_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/kernels"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"pgregory.net/rapid"
)

var (
	jet    = network.Shape{Size: 16, Pool: 1, Units: []int{64, 32, 32, 5}}
	linear = network.Shape{Size: 2048, Pool: 1, Units: []int{4}}
	image  = network.Shape{Size: 2048, Pool: 1, Units: []int{32, 16, 4}}
	large  = network.Shape{Size: 1 << 20, Pool: network.PoolLines, Units: []int{4}}
)

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// available gives the sets of instructions that the machine has, and tells which
// it lacks: those are not tested here.
func available(t testing.TB) (all []kernels.Set) {
	for _, set := range kernels.Sets() {
		if set.Available() {
			all = append(all, set)
		} else {
			t.Logf("this machine lacks %s: its kernels were not run", set)
		}
	}
	return all
}

func shapes(t *rapid.T) network.Shape {
	s := network.Shape{Pool: 1, Size: 4 * rapid.IntRange(1, 16).Draw(t, "dwords")}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return jet
	case 1, 2:
		s.Size = 64 * rapid.IntRange(2, 12).Draw(t, "lines")
	case 3:
		s.Pool = network.PoolLine
		s.Size = 64 * 64 * rapid.IntRange(1, 2).Draw(t, "pooled lines")
	}
	for range rapid.IntRange(0, 3).Draw(t, "hidden layers") {
		s.Units = append(s.Units, 4*rapid.IntRange(1, 25).Draw(t, "units"))
	}
	s.Units = append(s.Units, rapid.IntRange(2, network.MostLogits).Draw(t, "classes"))
	return s
}

// Random shapes, weights, shifts and records, of the extremes too: every kernel of
// every set decides as network.Logits says, or the trigger's decisions would depend
// on the machine.
func TestEveryKernelIsBitEqualToGo(t *testing.T) {
	perSet(t, func(t *testing.T, set kernels.Set) {
		rapid.Check(t, func(t *rapid.T) {
			seed := random(rapid.Uint64().Draw(t, "seed"))
			n := network.Random(shapes(t), seed)
			if rapid.Bool().Draw(t, "some shift") {
				n.Layers[0].Shift = 0
			} else if len(n.Layers) > 1 {
				n.Layers[0].Shift = 1 + seed.IntN(network.MostShift)
			}
			try(t, n, set)
		})
	})
}

func perSet(t *testing.T, check func(*testing.T, kernels.Set)) {
	for _, set := range available(t) {
		t.Run(set.String(), func(t *testing.T) { check(t, set) })
	}
}

func try(t rapid.TB, n *network.Network, set kernels.Set) {
	t.Helper()
	program, err := kernels.Program(n, set, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := kernels.Try(n, set, program); err != nil {
		t.Fatalf("%s: %v", &n.Shape, err)
	}
}

func TestThePresetShapesAreBitEqualToGo(t *testing.T) {
	perSet(t, func(t *testing.T, set kernels.Set) {
		for _, shape := range []network.Shape{jet, linear, image, large} {
			try(t, network.Random(shape, random(1)), set)
			try(t, network.Random(shape, random(2)), set)
		}
	})
}

// Weights and inputs at their bounds are where an instruction that saturates would
// show.
func TestExtremesDoNotSaturate(t *testing.T) {
	perSet(t, func(t *testing.T, set kernels.Set) {
		for _, shape := range []network.Shape{jet, linear, image} {
			for _, sign := range []int8{1, -1} {
				n := network.Random(shape, random(9))
				for l := range n.Layers {
					extreme(&n.Layers[l], l, sign)
				}
				try(t, n, set)
			}
		}
	})
}

func extreme(layer *network.Layer, at int, sign int8) {
	limit := int8(network.HiddenLimit)
	if at == 0 {
		limit = network.FirstLimit
	}
	for i := range layer.Weights {
		layer.Weights[i] = sign * limit
	}
	layer.Shift = 0
}

func TestDecisions(t *testing.T) {
	n := network.Random(jet, random(4))
	record := make([]byte, 16)
	for _, set := range available(t) {
		score := network.Score(n.Logits(record))
		for _, threshold := range []int32{score - 1, score} {
			n.Threshold = threshold
			program, err := kernels.Program(n, set, 3)
			if err != nil {
				t.Fatal(err)
			}
			var out [1]stream.Decision
			program.Kernels[0].Run([]stream.Ref{stream.RefTo(record)}, out[:])
			if got := kernels.ScoreOf(out[0]); got != score {
				t.Errorf("%s: score %d, want %d", set, got, score)
			}
			if want := score > threshold; out[0].Selected() != want || out[0].Malformed() {
				t.Errorf("%s: %#x at threshold %d, score %d", set, out[0], threshold, score)
			}
		}
		damaged := append([]byte{network.Damaged}, record[1:]...)
		var out [1]stream.Decision
		program, _ := kernels.Program(n, set, 3)
		program.Kernels[0].Run([]stream.Ref{stream.RefTo(damaged)}, out[:])
		if !out[0].Malformed() || out[0].Selected() {
			t.Errorf("%s: a damaged record gave %#x", set, out[0])
		}
	}
}

func TestBestPassesItsTrial(t *testing.T) {
	n := network.Random(jet, random(5))
	program, set, failed, err := kernels.Best(n, 8)
	if err != nil || program.Version != 8 || len(failed) != 0 {
		t.Fatal(program, failed, err)
	}
	t.Logf("chosen: %s", set)
	for i, k := range program.Kernels {
		if k.Size != kernels.Sizes[i] {
			t.Errorf("kernel %d takes %d", i, k.Size)
		}
	}
}

// A trial that could not fail would prove nothing.
func TestTheTrialFindsAWrongWeight(t *testing.T) {
	n := network.Random(jet, random(6))
	program, err := kernels.Program(n, kernels.PureGo, 1)
	if err != nil {
		t.Fatal(err)
	}
	other := *n
	other.Layers = append([]network.Layer(nil), n.Layers...)
	other.Layers[3].Bias = append([]int32(nil), n.Layers[3].Bias...)
	for c := range other.Layers[3].Bias {
		other.Layers[3].Bias[c] += int32(c)
	}
	var mismatch *kernels.MismatchError
	if err := kernels.Try(&other, kernels.PureGo, program); !errors.As(err, &mismatch) {
		t.Error(err)
	}
}

func TestWhatCannotRunIsATypedError(t *testing.T) {
	n := network.Random(jet, random(7))
	n.Layers[0].Weights[0] = 127
	var wrong *network.Error
	if _, err := kernels.Program(n, kernels.PureGo, 1); !errors.As(err, &wrong) {
		t.Error(err)
	}
	if _, _, _, err := kernels.Best(n, 1); !errors.As(err, &wrong) {
		t.Error(err)
	}
	n.Layers[0].Weights[0] = 0
	var missing *kernels.MissingError
	if _, err := kernels.Program(n, kernels.Set(9), 1); !errors.As(err, &missing) {
		t.Error(err)
	}
}

func TestKernelsDoNotAllocate(t *testing.T) {
	for _, set := range available(t) {
		for _, shape := range []network.Shape{jet, linear, image, large} {
			program, err := kernels.Program(network.Random(shape, random(1)), set, 1)
			if err != nil {
				t.Fatal(err)
			}
			refs, out := records(shape.Size, 2), make([]stream.Decision, 2)
			if n := testing.AllocsPerRun(3, func() { program.Kernels[1].Run(refs, out) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", &shape, set, n)
			}
		}
	}
}

// records lie one after another, with room to read behind the last.
func records(size, count int) []stream.Ref {
	seed := random(3)
	arena := make([]byte, size*(count+stream.MostAtOnce))
	for i := 0; i+8 <= len(arena); i += 8 {
		binary.LittleEndian.PutUint64(arena[i:], seed.Uint64())
	}
	refs := make([]stream.Ref, count)
	for i := range refs {
		refs[i] = stream.RefTo(arena[i*size : (i+1)*size])
	}
	return refs
}

func FuzzKernels(f *testing.F) {
	f.Add(uint64(1), uint8(0), []byte("sixteen bytes ok"))
	f.Add(uint64(2), uint8(1), []byte{255, 0, 255, 255, 255})
	f.Add(uint64(3), uint8(2), []byte{})
	sets := available(f)
	f.Fuzz(func(t *testing.T, seed uint64, which uint8, content []byte) {
		shape := []network.Shape{jet, linear, image, {Size: 36, Pool: 1, Units: []int{20, 3}}}[which%4]
		n := network.Random(shape, random(seed))
		stride := stream.Stride(shape.Size)
		memory := make([]byte, 128*stride)
		refs, out := make([]stream.Ref, 64), make([]stream.Decision, 64)
		var want [64]int32
		for i := range refs {
			record := memory[i*stride:][:shape.Size]
			for j := range record {
				if len(content) > 0 {
					record[j] = content[(i+j)%len(content)]
				}
			}
			refs[i], want[i] = stream.RefTo(record), network.Score(n.Logits(record))
		}
		for _, set := range sets {
			program, err := kernels.Program(n, set, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range program.Kernels {
				clear(out)
				k.Run(refs[:k.Size], out[:k.Size])
				for i := range k.Size {
					if got := kernels.ScoreOf(out[i]); got != want[i] {
						t.Fatalf("%s, %d at once, event %d: score %d, want %d", set, k.Size, i, got, want[i])
					}
				}
			}
		}
	})
}
