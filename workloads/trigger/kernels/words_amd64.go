package kernels

import (
	"encoding/binary"
	"math"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// span is what a sum of products may be.
type span struct{ low, high int }

// take adds a product to the sum: of a weight and an input of 0 to most.
func (s *span) take(weight int8, most int) {
	if weight < 0 {
		s.low += int(weight) * most
	} else {
		s.high += int(weight) * most
	}
}

// offset is what the sum may begin with so that it ends within 16 bits with sign,
// whatever it goes through: 16-bit additions wrap around. ok is false if there is no
// such value.
func (s *span) offset() (begin int, ok bool) {
	spare := 1<<16 - 1 - (s.high - s.low)
	return -1<<15 - s.low + spare/2, spare >= 0
}

// reach gives what a hidden layer's activations are at most.
func reach(l *network.Layer, most []int) []int {
	all := make([]int, l.Units)
	for o := range all {
		sum := span{high: int(l.Bias[o])}
		for i, w := range l.Row(o) {
			sum.take(w, most[i])
		}
		all[o] = int(network.Activation(int32(sum.high), l.Shift))
	}
	return all
}

// anyByte is what the inputs of a first layer may be at most.
func anyByte(n int) []int {
	most := make([]int, n)
	for i := range most {
		most[i] = 255
	}
	return most
}

func (p *packing) word(v int) { p.b = binary.LittleEndian.AppendUint16(p.b, uint16(int16(v))) }

// packJetWords packs for the jet kernels whose sums are words; ok is false if a sum may not
// fit.
func packJetWords(n *network.Network) (p *packing, ok bool) {
	p = newPacking(16 << 10)
	p.constants(n.Threshold)
	p.wordConstants()
	most := anyByte(n.Shape.Inputs())
	last := len(n.Layers) - 1
	for l := range n.Layers {
		layer := &n.Layers[l]
		spans := halves(layer, most)
		begin := make([][2]int, layer.Units)
		for o := range begin {
			if l == last {
				begin[o], ok = spans[o].widened()
			} else {
				begin[o], ok = spans[o].joined(int(layer.Bias[o]))
			}
			if !ok {
				return nil, false
			}
		}
		p.rows(layer, begin)
		if l == last {
			p.evenAndOdd(layer, begin)
			p.asPacked(layer)
		}
		most = reach(layer, most)
	}
	return p, true
}

// pairSpans are what a unit's sums over its even and its odd pairs of inputs may be.
type pairSpans [2]span

// halves gives these for all units: input i is at most most[i].
func halves(l *network.Layer, most []int) []pairSpans {
	all := make([]pairSpans, l.Units)
	for o := range all {
		for i, w := range l.Row(o) {
			all[o][i/2%2].take(w, most[i])
		}
	}
	return all
}

// widened is what the words of both sums may begin with if they are widened before they are
// added.
func (s *pairSpans) widened() (begin [2]int, ok bool) {
	for half := range s {
		if begin[half], ok = s[half].offset(); !ok {
			return begin, false
		}
	}
	return begin, true
}

// joined is what they may begin with so that one addition that saturates to 16 bits gives
// the saturation of their sum and the bias: the first with d, the second with bias - d,
// and neither leaves 16 bits.
func (s *pairSpans) joined(bias int) (begin [2]int, ok bool) {
	low := max(math.MinInt16-s[0].low, s[1].high+bias-math.MaxInt16)
	high := min(math.MaxInt16-s[0].high, s[1].low+bias-math.MinInt16)
	d := low + (high-low)/2
	return [2]int{d, bias - d}, low <= high
}

// rows appends a layer for these kernels: what the even sums begin with, what the odd ones
// do, and the weights of each pair of inputs, a row for all units each.
func (p *packing) rows(l *network.Layer, begin [][2]int) {
	padded := (l.Units + 7) &^ 7
	row := func(word func(o int)) {
		for o := range padded {
			if o < l.Units {
				word(o)
			} else {
				p.word(0)
			}
		}
	}
	for half := range 2 {
		row(func(o int) { p.word(begin[o][half]) })
	}
	for i := 0; i < l.Inputs; i += 2 {
		row(func(o int) { p.b = append(p.b, byte(l.Row(o)[i]), byte(l.Row(o)[i+1])) })
	}
}

// evenAndOdd appends the last layer's biases less what its words began with: of even
// units, then of odd ones.
func (p *packing) evenAndOdd(l *network.Layer, begin [][2]int) {
	for half := range 2 {
		for o := half; o < 8; o += 2 {
			if o < l.Units {
				p.dword(l.Bias[o] - int32(begin[o][0]+begin[o][1]))
			} else {
				p.dword(never)
			}
		}
	}
}

// asPacked appends the last layer for kernels of few events: the weights of each unit in
// the order in which packing leaves activations, and biases less the background's.
func (p *packing) asPacked(l *network.Layer) {
	for o := range l.Units {
		for d := range l.Inputs / 4 {
			p.group(l, o, packed256x2(d))
		}
	}
	for range 2 {
		for _, b := range l.Bias[1:] {
			p.dword(b - l.Bias[0])
		}
	}
}

// packed256x2 is the order in which packing 32 units from two 256-bit registers of words
// leaves them.
func packed256x2(d int) int { return d%4/2*16 + d/4*8 + d%2*4 }

// wordConstants is what stands before the weights of these kernels, in the order that
// package generate gives.
func (p *packing) wordConstants() {
	for _, v := range []int32{1, 1 << 16} {
		for range 8 {
			p.dword(v)
		}
	}
	for range 4 {
		p.dword(math.MinInt32)
		p.dword(0)
	}
	// Of each two words of an event their high bytes.
	for _, units := range []int{2, 4} {
		for pair := range units / 2 {
			p.shuffle(units, func(event int) (a, b int) {
				first := 2*units*event + 4*pair
				return first + 1, first + 3
			})
		}
	}
	for pair := range 2 { // dwords stand side by side
		p.shuffle(2, func(event int) (a, b int) { return 4*event + 2*pair, 4*event + 2*pair + 1 })
	}
	for pair := range 4 { // two events' words by turns
		p.shuffle(4, func(event int) (a, b int) { return 4*pair + 2*event, 4*pair + 2*event + 1 })
	}
}

// shuffle appends which bytes of 128 bits each event has, as often as it has units.
func (p *packing) shuffle(units int, from func(event int) (a, b int)) {
	for range 2 {
		for word := range 8 {
			a, b := from(word / units)
			p.b = append(p.b, byte(a), byte(b))
		}
	}
}

// lineWords are the words of a unit in the wide kernels: input i goes into word
// i % 32 / 2.
const lineWords = 16

// linesWords appends a first layer for the wide kernels whose sums are words, four
// units a block. A run takes as many lines as the words hold: two at least (8 x 255 x 32 =
// 65,280).
func (p *packing) linesWords(l *network.Layer) {
	for from := 0; from < l.Units; from += 4 {
		units := min(4, l.Units-from)
		head := len(p.b)
		p.bias(l, from, 4, 0)
		p.dword(0)
		p.dword(0)
		p.dword(0)
		p.dword(0)
		runs := uint64(0)
		for k := 0; k < l.Inputs; runs++ {
			k = p.run(l, from, units, k, head)
		}
		binary.LittleEndian.PutUint64(p.b[head+16:], runs)
	}
}

// run appends the run that begins at input k, and returns where the next one does. What
// its words begin with is taken from the biases at head.
func (p *packing) run(l *network.Layer, from, units, k, head int) (next int) {
	var spans [4][lineWords]span
	for next = k; next < l.Inputs; next += 64 {
		longer := spans
		for u := range units {
			for i, w := range l.Row(from + u)[next : next+64] {
				longer[u][i%32/2].take(w, 255)
			}
		}
		if !held(&longer) {
			break
		}
		spans = longer
	}
	p.b = binary.LittleEndian.AppendUint64(p.b, uint64((next-k)/64))
	p.b = append(p.b, make([]byte, 24)...)
	for u := range spans {
		for j := range spans[u] {
			begin, _ := spans[u][j].offset()
			if u >= units {
				begin = 0
			}
			p.word(begin)
			bias := p.b[head+4*u:]
			binary.LittleEndian.PutUint32(bias, binary.LittleEndian.Uint32(bias)-uint32(int32(begin)))
		}
	}
	for ; k < next; k += 64 {
		p.lineWeights(l, from, k)
	}
	return next
}

// held says whether words hold all these sums.
func held(spans *[4][lineWords]span) bool {
	for u := range spans {
		for j := range spans[u] {
			if _, ok := spans[u][j].offset(); !ok {
				return false
			}
		}
	}
	return true
}

func jetWords(w *byte) []stream.Kernel {
	return ladder(func(size int) func([]stream.Ref, []stream.Decision) {
		switch size {
		case 1:
			return func(batch []stream.Ref, out []stream.Decision) { jetWordsx1(first(batch), &out[0], w, 1) }
		case 2:
			return func(batch []stream.Ref, out []stream.Decision) { jetWordsx2(first(batch), &out[0], w, 1) }
		case 4:
			return func(batch []stream.Ref, out []stream.Decision) { jetWordsx4(first(batch), &out[0], w, 1) }
		}
		return func(batch []stream.Ref, out []stream.Decision) {
			jetWordsx8(first(batch), &out[0], w, (len(batch)+7)/8)
		}
	})
}
