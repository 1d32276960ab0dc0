package kernels

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/preset"
	"github.com/starling-vr/starling/workloads/trigger/training"
	"pgregory.net/rapid"
)

var jetShape = network.Shape{Size: 16, Pool: 1, Units: []int{64, 32, 32, 5}}

// weaken makes a network's weights smaller until the words of jet kernels hold their
// sums: barely, since each step takes one from one weight.
func weaken(n *network.Network, random *rand.Rand) {
	most := anyByte(16)
	for l := range n.Layers {
		layer := &n.Layers[l]
		for o, s := range halves(layer, most) {
			row := layer.Row(o)
			for !fits(&s, int(layer.Bias[o]), l == len(n.Layers)-1) {
				i := random.IntN(len(row))
				half := &s[i/2%2]
				switch {
				case row[i] > 0:
					row[i]--
					half.high -= most[i]
				case row[i] < 0:
					row[i]++
					half.low += most[i]
				}
			}
		}
		most = reach(layer, most)
	}
}

func fits(s *pairSpans, bias int, last bool) (ok bool) {
	if last {
		_, ok = s.widened()
	} else {
		_, ok = s.joined(bias)
	}
	return ok
}

// extremes are the inputs that the words must hold: all inputs of one sign of weight at
// their most, the others 0.
func extremes(row []int8) (high, low []byte) {
	high, low = make([]byte, len(row)), make([]byte, len(row))
	for i, w := range row {
		if w > 0 {
			high[i] = 255
		} else {
			low[i] = 255
		}
	}
	return high, low
}

// Weights as large as the words may hold, on the processor itself: what is decided is
// what Go decides, for the records that reach furthest, too.
func TestWordsAreBitEqualToGoWhereTheyBarelyHold(t *testing.T) {
	if !AVX2.Available() {
		t.Log("this machine lacks avx2: its kernels were not run")
		return
	}
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		n := network.Random(jetShape, random)
		for l := range n.Layers {
			n.Layers[l].Shift = 0
		}
		weaken(n, random)
		p, ok := packJetWords(n)
		if !ok {
			t.Fatal("the words should hold these weights")
		}
		memory := make([]byte, 16*2*stream.MostAtOnce)
		var refs []stream.Ref
		for o := range stream.MostAtOnce / 2 {
			high, low := extremes(n.Layers[0].Row(o))
			for _, record := range [][]byte{high, low} {
				at := memory[16*len(refs):][:16]
				copy(at, record)
				refs = append(refs, stream.RefTo(at))
			}
		}
		want := make([]stream.Decision, len(refs))
		for i, ref := range refs {
			record := ref.Bytes(16)
			want[i] = decision(network.Score(n.Logits(record)), n.Threshold, record[0])
		}
		for _, kernel := range jetWords(&p.b[0]) {
			out := make([]stream.Decision, stream.MostAtOnce)
			for from := 0; from < len(refs); from += kernel.Size {
				kernel.Run(refs[from:from+kernel.Size], out[from:])
			}
			for i, got := range out {
				if got != want[i] {
					t.Fatalf("%d at once, record %d: %#x, want %#x", kernel.Size, i, got, want[i])
				}
			}
		}
	})
}

// One weight more than the words hold, and they are not used.
func TestWordsThatMayNotHoldAreNotUsed(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	n := network.Random(jetShape, random)
	if _, ok := packJetWords(n); ok {
		t.Error("words for random weights of all sizes")
	}
	most := make([]int, 64)
	for i := range most {
		most[i] = 127
	}
	row := func(weights ...int8) *network.Layer {
		l := &network.Layer{Inputs: 64, Units: 1, Weights: make([]int8, 64)}
		for i, w := range weights { // into the even pairs
			l.Weights[i/2*4+i%2] = w
		}
		return l
	}
	barely := []int8{64, 64, 64, 64, 64, 64, 64, 64, -4} // 8 x 64 x 127 = 65,024; 65,535 are the most
	begin, ok := halves(row(barely...), most)[0].widened()
	if !ok || begin[0]+65024 > 32767 || begin[0]-4*127 < -32768 {
		t.Error(begin, ok)
	}
	barely[8] = -5
	if _, ok := halves(row(barely...), most)[0].widened(); ok {
		t.Error("a span of 65,659 in a word")
	}
}

// Both sums stay within words and together are the unit's sum, whatever they go through;
// where that cannot be, it is said.
func TestWhatJoinedSumsBeginWith(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s pairSpans
		for half := range s {
			s[half] = span{rapid.IntRange(-70000, 0).Draw(t, "low"), rapid.IntRange(0, 70000).Draw(t, "high")}
		}
		bias := rapid.IntRange(-70000, 70000).Draw(t, "bias")
		begin, ok := s.joined(bias)
		fits := func(even int) bool {
			begin := [2]int{even, bias - even}
			for half, b := range begin {
				if b+s[half].low < -32768 || b+s[half].high > 32767 {
					return false
				}
			}
			return true
		}
		if ok && !(fits(begin[0]) && begin[0]+begin[1] == bias) {
			t.Fatal(s, bias, begin)
		}
		if even := rapid.IntRange(-140000, 140000).Draw(t, "even"); !ok && fits(even) {
			t.Fatalf("%v, bias %d: %d would do", s, bias, even)
		}
	})
}

// What is trained fits: the networks that come with the program, and what the trainer
// makes of them.
func TestTrainedNetworksUseWords(t *testing.T) {
	n, _, err := preset.Network("jet")
	if err != nil {
		t.Fatal(err)
	}
	model, err := training.FromNetwork(n, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := model.Quantise(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*network.Network{n, again} {
		if _, ok := packJetWords(n); !ok {
			t.Error("the sums of the jet network may not fit into words")
		}
	}
}

func TestWordKernelsInterpreted(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 4))
	n := network.Random(jetShape, random)
	for l := range n.Layers {
		n.Layers[l].Shift = 0
	}
	weaken(n, random)
	p, _ := packJetWords(n)
	for _, events := range []int{1, 2, 4, 8} {
		const times = 2
		records, out := make([]byte, 16*events*times), make([]byte, 4*events*times)
		for i := range events * times {
			drawRecord(records[16*i:16*i+16], random)
		}
		kernel := fmt.Sprintf("jetWordsx%d", events)
		interpret(t, avx2File, kernel, []string{"records", "out", "weights", "times"}, records, out, p.b, times)
		for i := range events * times {
			record := records[16*i : 16*i+16]
			want := decision(network.Score(n.Logits(record)), n.Threshold, record[0])
			if got := stream.Decision(binary.LittleEndian.Uint32(out[4*i:])); got != want {
				t.Errorf("%s, event %d: %#x, want %#x", kernel, i, got, want)
			}
		}
	}
	const size, units = 448, 8
	layer := &network.Random(network.Shape{Size: size, Pool: 1, Units: []int{units, 4}}, random).Layers[0]
	for i := range layer.Row(3)[:128] { // as large as two lines may be, and of one sign
		layer.Row(3)[i] = network.FirstLimit
	}
	q := newPacking(1 << 16)
	q.linesWords(layer)
	if runs := binary.LittleEndian.Uint64(q.b[16:]); runs < 2 {
		t.Errorf("%d runs: the words would not hold the sums", runs)
	}
	for _, events := range []int{1, 2} {
		records, sums := make([]byte, size*events), make([]byte, 4*units*events)
		for i := range records {
			records[i] = byte(255 * (random.Uint32() & 1))
		}
		kernel := fmt.Sprintf("wideWordsx%d", events)
		interpret(t, avx2File, kernel, []string{"records", "stride", "sums", "weights", "blocks"}, records, size, sums, q.b, units/4)
		for e := range events {
			for o, want := range sumsOf(layer, records[e*size:][:size]) {
				if got := dword(sums, e*units+o); got != want {
					t.Errorf("%s, event %d, unit %d: %d, want %d", kernel, e, o, got, want)
				}
			}
		}
	}
}
