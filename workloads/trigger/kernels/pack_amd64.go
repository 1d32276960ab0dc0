package kernels

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/starling-vr/starling/workloads/trigger/network"
)

// How weights lie in memory is what package generate's kernels expect: it says how
// each walks through them.

// packing appends to memory that begins on a cache line.
type packing struct{ b []byte }

// newPacking gives memory for up to most bytes.
func newPacking(most int) *packing {
	b := make([]byte, most+64)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & 63
	return &packing{b[skip:skip]}
}

func (p *packing) dword(v int32) { p.b = binary.LittleEndian.AppendUint32(p.b, uint32(v)) }

// group appends the four weights of unit o from input k on; zeros where there are
// none.
func (p *packing) group(l *network.Layer, o, k int) {
	for i := k; i < k+4; i++ {
		if o < l.Units && i < l.Inputs {
			p.b = append(p.b, byte(l.Weights[o*l.Inputs+i]))
		} else {
			p.b = append(p.b, 0)
		}
	}
}

// never is the bias of a lane without a unit in the last layer: no logit is as low,
// and the difference to any fits into 32 bits.
const never = math.MinInt32 / 2

func (p *packing) bias(l *network.Layer, from, n int, missing int32) {
	for o := from; o < from+n; o++ {
		if o < l.Units {
			p.dword(l.Bias[o])
		} else {
			p.dword(missing)
		}
	}
}

// order says which input stands first in a dword of a layer's input.
type order func(dword int) int

func asRead(d int) int { return 4 * d }

// packed256 is the order in which packing 32 units from 256-bit registers leaves them.
func packed256(d int) int { return d/8*32 + d%4*8 + d%8/4*4 }

// packed512 is the same for 64 units of 512-bit registers, and half512 for 32.
func packed512(d int) int { return d%4*16 + d/4*4 }
func half512(g int) int   { return g%2*16 + g/2*4 }

// constants is what stands before the weights of the jet kernels.
func (p *packing) constants(threshold int32) {
	for i := range 64 {
		p.b = append(p.b, byte(i%2*8+i%16/4*2+1))
	}
	p.dword(math.MinInt32)
	for range 15 {
		p.dword(0)
	}
	for range 16 {
		p.dword(0x00010001)
	}
	for range 16 {
		p.dword(threshold)
	}
	for event := range int32(16) {
		p.dword(event%4*4 + event/4)
	}
}

// pairs appends a layer for kernels that take eight inputs at a time: for each
// tiles x 8 units their biases, then by eight inputs and tile the weights of the
// first four and the last four.
func (p *packing) pairs(l *network.Layer, order order, pairs, tiles int, missing int32) {
	for from := 0; from < l.Units; from += 8 * tiles {
		p.bias(l, from, 8*tiles, missing)
		for d := 0; d < 2*pairs; d += 2 {
			for tile := range tiles {
				for half := range 2 {
					for o := range 8 {
						p.group(l, from+8*tile+o, order(d+half))
					}
				}
			}
		}
	}
}

// byOutput512 appends a layer for 512-bit kernels that keep units in the lanes.
func (p *packing) byOutput512(l *network.Layer, order order, missing int32) {
	tiles := (l.Units + 15) / 16
	p.bias(l, 0, 16*tiles, missing)
	for g := range l.Inputs / 4 {
		for o := range 16 * tiles {
			p.group(l, o, order(g))
		}
	}
}

// byEvent appends a layer for kernels that keep events in the lanes.
func (p *packing) byEvent(l *network.Layer) {
	for from := 0; from < l.Units; from += 8 {
		p.bias(l, from, 8, 0)
		for k := 0; k < l.Inputs; k += 4 {
			for o := range 8 {
				p.group(l, from+o, k)
			}
		}
	}
}

// lines appends a first layer for the wide kernels, four units a block.
func (p *packing) lines(l *network.Layer) {
	for from := 0; from < l.Units; from += 4 {
		p.bias(l, from, 8, 0)
		for k := 0; k < l.Inputs; k += 64 {
			p.lineWeights(l, from, k)
		}
	}
}

// lineWeights appends the weights of the four units from from on for the line that
// begins at input k.
func (p *packing) lineWeights(l *network.Layer, from, k int) {
	for o := from; o < from+4; o++ {
		for i := k; i < k+64; i += 4 {
			p.group(l, o, i)
		}
	}
}
