package kernels

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

const avx2File, vnniFile = "kernels_avx2_amd64.s", "kernels_vnni_amd64.s"

func interpret(t *testing.T, file, kernel string, names []string, arguments ...any) {
	t.Helper()
	program, err := readKernel(file, kernel)
	if err != nil {
		t.Fatal(err)
	}
	p := processor{program: program}
	if err := p.run(names, arguments); err != nil {
		t.Fatalf("%s: %v", kernel, err)
	}
}

// The jet kernels, interpreted: what they decide is what Go decides, whatever
// instructions the machine has that the test runs on. The AVX2 kernels, which most
// machines run besides, vouch for the interpreter.
func TestJetKernelsInterpreted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 4))
	for range 4 {
		n := network.Random(network.Shape{Size: 16, Pool: 1, Units: []int{64, 32, 32, 5}}, random)
		few, many := packJetVNNI(n)
		for _, c := range []struct {
			file, kernel string
			weights      []byte
			events       int
		}{
			{avx2File, "jetAVX2x1", packJetAVX2(n).b, 1}, {avx2File, "jetAVX2x2", packJetAVX2(n).b, 2},
			{avx2File, "jetAVX2x4", packJetAVX2(n).b, 4}, {avx2File, "jetAVX2x8", packJetAVX2(n).b, 8},
			{vnniFile, "jetVNNIx1", few.b, 1}, {vnniFile, "jetVNNIx2", few.b, 2},
			{vnniFile, "jetVNNIx4", few.b, 4}, {vnniFile, "jetVNNIx16", many.b, 16},
		} {
			const times = 2
			records := make([]byte, 16*c.events*times)
			for i := range c.events * times {
				drawRecord(records[16*i:16*i+16], random)
			}
			out := make([]byte, 4*c.events*times)
			interpret(t, c.file, c.kernel, []string{"records", "out", "weights", "times"}, records, out, c.weights, times)
			for i := range c.events * times {
				record := records[16*i : 16*i+16]
				want := decision(network.Score(n.Logits(record)), n.Threshold, record[0])
				if got := stream.Decision(binary.LittleEndian.Uint32(out[4*i:])); got != want {
					t.Errorf("%s, event %d: %#x, want %#x", c.kernel, i, got, want)
				}
			}
		}
	}
}

// sumsOf is the definition of a layer's sums.
func sumsOf(l *network.Layer, x []byte) []int32 {
	y := append([]int32(nil), l.Bias...)
	for o := range y {
		for i, w := range l.Row(o) {
			y[o] += int32(w) * int32(x[i])
		}
	}
	return y
}

func TestWideKernelsInterpreted(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 4))
	for _, size := range []int{64, 128, 192, 320} {
		wideInterpreted(t, random, size)
	}
}

func wideInterpreted(t *testing.T, random *rand.Rand, size int) {
	const units = 8
	layer := &network.Random(network.Shape{Size: size, Pool: 1, Units: []int{units, 4}}, random).Layers[0]
	p := newPacking(units / 4 * (32 + 4*size))
	p.lines(layer)
	for _, c := range []struct {
		file, set string
		events    int
	}{{vnniFile, "VNNI", 1}, {vnniFile, "VNNI", 4}} {
		records, sums := make([]byte, size*c.events), make([]byte, 4*units*c.events)
		for i := range records {
			records[i] = byte(random.Uint32())
		}
		kernel := fmt.Sprintf("wide%sx%d", c.set, c.events)
		interpret(t, c.file, kernel, []string{"records", "stride", "sums", "weights", "lines", "blocks"}, records, size, sums, p.b, size/64, units/4)
		for e := range c.events {
			for o, want := range sumsOf(layer, records[e*size:][:size]) {
				if got := dword(sums, e*units+o); got != want {
					t.Errorf("%s, event %d, unit %d: %d, want %d", kernel, e, o, got, want)
				}
			}
		}
	}
}

func TestNarrowKernelsInterpreted(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	layer := &network.Random(network.Shape{Size: 24, Pool: 1, Units: []int{40, 4}}, random).Layers[0]
	p := newPacking(8 << 10)
	p.pairs(layer, asRead, 3, 4, 0)
	x := make([]byte, 24)
	for i := range x {
		x[i] = byte(random.Uint32())
	}
	for file, kernel := range map[string]string{avx2File: "narrowAVX2", vnniFile: "narrowVNNI"} {
		sums := make([]byte, 4*64)
		interpret(t, file, kernel, []string{"x", "sums", "weights", "pairs", "blocks"}, x, sums, p.b, 3, 2)
		for o, want := range sumsOf(layer, x) {
			if got := dword(sums, o); got != want {
				t.Errorf("%s, unit %d: %d, want %d", kernel, o, got, want)
			}
		}
	}
}
