package kernels

import (
	"encoding/binary"

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

// offsets gives for each unit of a layer what its words begin with, if all of them hold
// their sums: input i goes into word lane(i), and is at most most[i].
func offsets(l *network.Layer, words int, lane func(input int) int, most []int) (begin [][]int, ok bool) {
	begin = make([][]int, l.Units)
	for o := range begin {
		spans := make([]span, words)
		for i, w := range l.Row(o) {
			spans[lane(i)].take(w, most[i])
		}
		begin[o] = make([]int, words)
		for j := range spans {
			if begin[o][j], ok = spans[j].offset(); !ok {
				return nil, false
			}
		}
	}
	return begin, true
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

// packJetWords packs for the kernels whose sums are words; ok is false if a sum may
// not fit.
func packJetWords(n *network.Network) (p *packing, ok bool) {
	p = newPacking(16 << 10)
	p.constants(n.Threshold)
	most := anyByte(n.Shape.Inputs())
	for l := range n.Layers {
		layer, order, missing := &n.Layers[l], packed256, int32(0)
		if l == 0 {
			order = asRead
		}
		if l == len(n.Layers)-1 {
			missing = never
		}
		begin, ok := offsets(layer, 2, func(input int) int { return input % 4 / 2 }, most)
		if !ok {
			return nil, false
		}
		p.words(layer, begin, order, missing)
		most = reach(layer, most)
	}
	return p, true
}

// words appends a layer for kernels whose sums are words: for each 32 units or fewer
// what their words begin with, their weights for each four inputs, and their biases less
// what the words began with.
func (p *packing) words(l *network.Layer, begin [][]int, order order, missing int32) {
	padded := (l.Units + 7) &^ 7
	for from := 0; from < padded; from += 32 {
		to := min(from+32, padded)
		for o := from; o < to; o++ {
			for j := range 2 {
				if o < l.Units {
					p.word(begin[o][j])
				} else {
					p.word(0)
				}
			}
		}
		for d := range l.Inputs / 4 {
			for o := from; o < to; o++ {
				p.group(l, o, order(d))
			}
		}
		for o := from; o < to; o++ {
			if o < l.Units {
				p.dword(l.Bias[o] - int32(begin[o][0]+begin[o][1]))
			} else {
				p.dword(missing)
			}
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
