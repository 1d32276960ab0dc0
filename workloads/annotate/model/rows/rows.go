// Package rows adds up rows of 8-bit weights picked from a table: the inner loop of
// every linear model over hashed features. Sums are of 16 bits and wrap; the callers
// pick at most Most rows, which cannot.
package rows

import (
	"unsafe"

	"github.com/starling-vr/starling/workloads/annotate/model/prefetch"
)

// Numbers of weights of a row.
const (
	Width64 = 64
	Width16 = 16
)

// Most is the number of rows whose sum fits 16 bits, whatever the weights.
const Most = 256

// Table is rows of one width one after another. Its number of rows is a power of
// two, so that a hash picks one by its lowest bits.
type Table struct {
	weights []int8
	mask    uint32
}

// NewTable makes a table of weights with rows of the given width; ok is false where
// they are not a power of two of such rows. The weights are not copied.
func NewTable(weights []int8, width int) (t Table, ok bool) {
	n := len(weights) / width
	if n == 0 || n&(n-1) != 0 || n*width != len(weights) || uint64(n) > 1<<32 {
		return Table{}, false
	}
	return Table{weights: weights, mask: uint32(n - 1)}, true
}

// Mask picks the bits of a hash that number a row.
func (t *Table) Mask() uint32 { return t.mask }

// Sum64 sets sum to the sum of the rows picked from a table of rows of 64. Only the
// bits of the mask count.
func (t *Table) Sum64(sum *[Width64]int16, picked []uint32) { sum64(sum, t.weights, picked, t.mask) }

// Add64 adds the sum of the rows picked to sum.
func (t *Table) Add64(sum *[Width64]int16, picked []uint32) { add64(sum, t.weights, picked, t.mask) }

// Sum16 is Sum64 for a table of rows of 16.
func (t *Table) Sum16(sum *[Width16]int16, picked []uint32) { sum16(sum, t.weights, picked, t.mask) }

// Fetch64 asks for the rows of features that will be picked next, so that they are
// near when they are.
func (t *Table) Fetch64(next []uint32) {
	prefetch.Lines(rowsOf[[Width64]int8](t.weights), next, t.mask)
}

// Fetch16 is Fetch64 for a table of rows of 16.
func (t *Table) Fetch16(next []uint32) {
	prefetch.Lines(rowsOf[[Width16]int8](t.weights), next, t.mask)
}

// rowsOf gives weights as rows.
func rowsOf[R [Width64]int8 | [Width16]int8](weights []int8) []R {
	return unsafe.Slice((*R)(unsafe.Pointer(unsafe.SliceData(weights))), len(weights)/int(unsafe.Sizeof(*new(R))))
}

func plainSum64(sum *[Width64]int16, weights []int8, picked []uint32, mask uint32) {
	*sum = [Width64]int16{}
	plainAdd64(sum, weights, picked, mask)
}

func plainAdd64(sum *[Width64]int16, weights []int8, picked []uint32, mask uint32) {
	for _, r := range picked {
		row := (*[Width64]int8)(weights[int(r&mask)*Width64:])
		for k, w := range row {
			sum[k] += int16(w)
		}
	}
}

func plainSum16(sum *[Width16]int16, weights []int8, picked []uint32, mask uint32) {
	*sum = [Width16]int16{}
	for _, r := range picked {
		row := (*[Width16]int8)(weights[int(r&mask)*Width16:])
		for k, w := range row {
			sum[k] += int16(w)
		}
	}
}

// Best64 gives the index of the largest of sum plus floor, the lowest one of equals.
// Sums stop at the ends of 16 bits; a floor of -32768 excludes an index, and one at
// least must not be excluded.
func Best64(sum, floor *[Width64]int16) int { return best64(sum, floor) }

// Chain16 are the weights of label l after label p, at [p][l]; -32768 where l cannot
// follow p.
type Chain16 [Width16][Width16]int16

// Step is a step of Viterbi's algorithm: now[l] becomes the largest before[p] +
// chain[p][l] plus emission[l], less the largest of these, so that the best label has
// 0. Sums stop at the ends of 16 bits.
func (c *Chain16) Step(now, before, emission *[Width16]int16) { step16(now, before, emission, c) }

func saturate(x int32) int16 { return int16(max(-32768, min(32767, x))) }

func plainBest64(sum, floor *[Width64]int16) int {
	best, most := 0, int32(-1<<30)
	for k, s := range sum {
		if x := int32(saturate(int32(s) + int32(floor[k]))); x > most {
			best, most = k, x
		}
	}
	return best
}

func plainStep16(now, before, emission *[Width16]int16, c *Chain16) {
	var out [Width16]int16
	for l := range out {
		out[l] = -32768
	}
	for p, b := range before {
		row := &c[p]
		for l := range out {
			out[l] = max(out[l], saturate(int32(b)+int32(row[l])))
		}
	}
	most := int16(-32768)
	for l := range out {
		out[l] = saturate(int32(out[l]) + int32(emission[l]))
		most = max(most, out[l])
	}
	for l := range out {
		now[l] = saturate(int32(out[l]) - int32(most))
	}
}
