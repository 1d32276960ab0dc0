package kernels

import (
	"math/bits"
	"unsafe"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// dense runs a network of any shape layer by layer.
type dense struct {
	set       Set
	size      int // of a record
	pool      int
	threshold int32
	first     packedLayer
	lines     int // of the first layer's input, 0 if it is narrow
	rest      []packedLayer
}

// packedLayer is a layer as narrow and wide take it.
type packedLayer struct {
	weights       *byte
	pairs, blocks int
	shift         int
}

// padded is units rounded up to what a block of narrow gives.
func padded(units int) int { return (units + 31) &^ 31 }

func packDense(n *network.Network, set Set) *dense {
	d := &dense{set: set, size: n.Shape.Size, pool: n.Shape.Pool, threshold: n.Threshold}
	first := &n.Layers[0]
	if n.Shape.Size > 64 {
		lines := first.Inputs / 64
		p := newPacking((first.Units + 3) / 4 * (32 + 160*((lines+1)/2) + 4*first.Inputs))
		if set == AVX2 {
			p.linesWords(first)
		} else {
			p.lines(first)
		}
		d.lines = lines
		d.first = packedLayer{weights: unsafe.SliceData(p.b), blocks: (first.Units + 3) / 4, shift: first.Shift}
	} else {
		d.first = packNarrow(first, asRead, (first.Inputs+7)/8)
	}
	for l := 1; l < len(n.Layers); l++ {
		layer := &n.Layers[l]
		d.rest = append(d.rest, packNarrow(layer, packed256, padded(layer.Inputs)/8))
	}
	return d
}

func packNarrow(l *network.Layer, order order, pairs int) packedLayer {
	blocks := padded(l.Units) / 32
	p := newPacking(blocks * (128 + 256*pairs))
	p.pairs(l, order, pairs, 4, 0)
	return packedLayer{unsafe.SliceData(p.b), pairs, blocks, l.Shift}
}

// together is how many events the wide kernels take at once.
func (s Set) together() int {
	if s == VNNI {
		return 4
	}
	return 2
}

// workspace is what a run writes on: of the caller's stack.
type workspace struct {
	sums    []int32 // of up to four events
	x       []byte  // a layer's input
	y       []int32 // a layer's sums
	classes int
}

const fewUnits = 64

// run picks a workspace no larger than needed, since Go clears it.
func (d *dense) run(classes, units int) func(batch []stream.Ref, out []stream.Decision) {
	switch {
	case d.pool > 1:
		return func(batch []stream.Ref, out []stream.Decision) { d.runPooled(batch, out, classes) }
	case len(d.rest) == 0 && d.lines > 0:
		return func(batch []stream.Ref, out []stream.Decision) { d.runOne(batch, out, classes) }
	case units <= fewUnits:
		return func(batch []stream.Ref, out []stream.Decision) { d.runFew(batch, out, classes) }
	}
	return func(batch []stream.Ref, out []stream.Decision) { d.runMany(batch, out, classes) }
}

// runOne runs the only layer, whose sums are the logits.
func (d *dense) runOne(batch []stream.Ref, out []stream.Decision, classes int) {
	var sums [4 * network.MostLogits]int32
	d.decide(batch, out, &workspace{sums: sums[:], classes: classes})
}

func (d *dense) runFew(batch []stream.Ref, out []stream.Decision, classes int) {
	var sums [4 * fewUnits]int32
	var x [fewUnits]byte
	var y [fewUnits]int32
	d.decide(batch, out, &workspace{sums: sums[:], x: x[:], y: y[:], classes: classes})
}

func (d *dense) runMany(batch []stream.Ref, out []stream.Decision, classes int) {
	var sums [4 * network.MostUnits]int32
	var x [network.MostUnits]byte
	var y [network.MostUnits]int32
	d.decide(batch, out, &workspace{sums: sums[:], x: x[:], y: y[:], classes: classes})
}

func (d *dense) runPooled(batch []stream.Ref, out []stream.Decision, classes int) {
	var inputs [network.MostBytes / network.PoolLine]byte
	var sums [network.MostUnits]int32
	var x [network.MostUnits]byte
	var y [network.MostUnits]int32
	w := workspace{sums: sums[:], x: x[:], y: y[:], classes: classes}
	for i, ref := range batch {
		poolAVX2((*byte)(ref.Pointer()), &inputs[0], 64*d.lines, d.pool/64, bits.TrailingZeros(uint(d.pool)))
		d.wideOne(&inputs[0], sums[:])
		out[i] = decision(d.finish(sums[:], &w), d.threshold, *(*byte)(ref.Pointer()))
	}
}

func (d *dense) decide(batch []stream.Ref, out []stream.Decision, w *workspace) {
	i := 0
	if d.lines > 0 {
		for n := d.set.together(); i+n <= len(batch); i += n {
			d.wide((*byte)(batch[i].Pointer()), w.sums)
			for e := range n {
				sums := w.sums[e*4*d.first.blocks:]
				out[i+e] = decision(d.finish(sums, w), d.threshold, *(*byte)(batch[i+e].Pointer()))
			}
		}
	}
	for ; i < len(batch); i++ {
		if d.lines > 0 {
			d.wideOne((*byte)(batch[i].Pointer()), w.sums)
		} else {
			clear(w.x[:fewUnits])
			copy(w.x, batch[i].Bytes(d.size))
			d.narrow(w.x, w.sums, &d.first)
		}
		out[i] = decision(d.finish(w.sums, w), d.threshold, *(*byte)(batch[i].Pointer()))
	}
}

// finish goes from the sums of the first layer to the score.
func (d *dense) finish(sums []int32, w *workspace) int32 {
	layer := &d.first
	if len(d.rest) > 0 && d.lines > 0 {
		// The wide kernels leave whole fours of units; packing takes whole 32.
		units := 4 * d.first.blocks
		copy(w.y, sums[:units])
		clear(w.y[units:padded(units)])
		sums = w.y
	}
	for l := range d.rest {
		requantiseAVX2(&sums[0], &w.x[0], layer.shift, d.rest[l].pairs/4)
		d.narrow(w.x, w.y, &d.rest[l])
		sums, layer = w.y, &d.rest[l]
	}
	return network.Score(sums[:w.classes])
}

func (d *dense) narrow(x []byte, sums []int32, l *packedLayer) {
	if d.set == VNNI {
		narrowVNNI(&x[0], &sums[0], l.weights, l.pairs, l.blocks)
	} else {
		narrowAVX2(&x[0], &sums[0], l.weights, l.pairs, l.blocks)
	}
}

func (d *dense) wide(records *byte, sums []int32) {
	if d.set == VNNI {
		wideVNNIx4(records, d.size, &sums[0], d.first.weights, d.lines, d.first.blocks)
	} else {
		wideWordsx2(records, d.size, &sums[0], d.first.weights, d.first.blocks)
	}
}

func (d *dense) wideOne(record *byte, sums []int32) {
	if d.set == VNNI {
		wideVNNIx1(record, 0, &sums[0], d.first.weights, d.lines, d.first.blocks)
	} else {
		wideWordsx1(record, 0, &sums[0], d.first.weights, d.first.blocks)
	}
}
