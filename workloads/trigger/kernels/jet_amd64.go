package kernels

import (
	"slices"
	"unsafe"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// isJet says whether the unrolled kernels fit: the shape, and no shifts.
func isJet(n *network.Network) bool {
	if n.Shape.Size != 16 || n.Shape.Pool != 1 || !slices.Equal(n.Shape.Units, []int{64, 32, 32, 5}) {
		return false
	}
	for l := range n.Layers {
		if n.Layers[l].Shift != 0 {
			return false
		}
	}
	return true
}

// first is the address of the first record; the others follow it.
func first(batch []stream.Ref) *byte { return (*byte)(batch[0].Pointer()) }

func packJetAVX2(n *network.Network) *packing {
	p := newPacking(16 << 10)
	p.constants(n.Threshold)
	p.pairs(&n.Layers[0], asRead, 2, 4, 0)
	p.pairs(&n.Layers[1], packed256, 8, 4, 0)
	p.pairs(&n.Layers[2], packed256, 4, 4, 0)
	p.pairs(&n.Layers[3], packed256, 4, 1, never)
	return p
}

func jetAVX2(n *network.Network) []stream.Kernel {
	if p, ok := packJetWords(n); ok {
		return jetWords(unsafe.SliceData(p.b))
	}
	w := unsafe.SliceData(packJetAVX2(n).b)
	return ladder(func(size int) func([]stream.Ref, []stream.Decision) {
		switch size {
		case 1:
			return func(batch []stream.Ref, out []stream.Decision) { jetAVX2x1(first(batch), &out[0], w, 1) }
		case 2:
			return func(batch []stream.Ref, out []stream.Decision) { jetAVX2x2(first(batch), &out[0], w, 1) }
		case 4:
			return func(batch []stream.Ref, out []stream.Decision) { jetAVX2x4(first(batch), &out[0], w, 1) }
		}
		return func(batch []stream.Ref, out []stream.Decision) {
			jetAVX2x8(first(batch), &out[0], w, (len(batch)+7)/8)
		}
	})
}

// packJetVNNI packs for kernels of few events and for that of 16.
func packJetVNNI(n *network.Network) (few, many *packing) {
	p := newPacking(16 << 10)
	p.constants(n.Threshold)
	p.byOutput512(&n.Layers[0], asRead, 0)
	p.byOutput512(&n.Layers[1], packed512, 0)
	p.byOutput512(&n.Layers[2], half512, 0)
	p.byOutput512(&n.Layers[3], half512, never)
	q := newPacking(16 << 10)
	q.constants(n.Threshold)
	for l := range n.Layers {
		q.byEvent(&n.Layers[l])
	}
	return p, q
}

func jetVNNI(n *network.Network) []stream.Kernel {
	p, q := packJetVNNI(n)
	few, many := unsafe.SliceData(p.b), unsafe.SliceData(q.b)
	return ladder(func(size int) func([]stream.Ref, []stream.Decision) {
		switch size {
		case 1:
			return func(batch []stream.Ref, out []stream.Decision) { jetVNNIx1(first(batch), &out[0], few, 1) }
		case 2:
			return func(batch []stream.Ref, out []stream.Decision) { jetVNNIx2(first(batch), &out[0], few, 1) }
		case 4, 8:
			return func(batch []stream.Ref, out []stream.Decision) {
				jetVNNIx4(first(batch), &out[0], few, (len(batch)+3)/4)
			}
		}
		return func(batch []stream.Ref, out []stream.Decision) {
			jetVNNIx16(first(batch), &out[0], many, (len(batch)+15)/16)
		}
	})
}
