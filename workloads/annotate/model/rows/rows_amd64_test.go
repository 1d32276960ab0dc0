package rows

import (
	"testing"

	"pgregory.net/rapid"
)

// The vector kernels give what the plain ones give, bit by bit.
func TestVectorsAgreeWithPlain(t *testing.T) {
	if !vectors {
		t.Log("the processor has no AVX2: the plain kernels stand alone")
		return
	}
	weights := rapid.SliceOfN(rapid.Int8(), 64*64, 64*64)
	picked := rapid.SliceOfN(rapid.Uint32(), 1, Most)
	rapid.Check(t, func(t *rapid.T) {
		w, p := weights.Draw(t, "weights"), picked.Draw(t, "picked")
		wide, _ := NewTable(w, Width64)
		var got, want [Width64]int16
		wide.Sum64(&got, p)
		plainSum64(&want, w, p, wide.Mask())
		if got != want {
			t.Fatalf("64: %v, want %v", got, want)
		}
		wide.Add64(&got, p)
		plainAdd64(&want, w, p, wide.Mask())
		if got != want {
			t.Fatalf("64, added: %v, want %v", got, want)
		}
		narrow, _ := NewTable(w, Width16)
		var g, v [Width16]int16
		narrow.Sum16(&g, p)
		plainSum16(&v, w, p, narrow.Mask())
		if g != v {
			t.Fatalf("16: %v, want %v", g, v)
		}
	})
}

func TestBestAndStepAgreeWithPlain(t *testing.T) {
	if !vectors {
		t.Log("the processor has no AVX2: the plain kernels stand alone")
		return
	}
	words := func(t *rapid.T, name string, n int) []int16 {
		narrow := rapid.Int16Range(-3, 3)
		return rapid.SliceOfN(rapid.OneOf(rapid.Int16(), narrow, rapid.Just[int16](-32768)), n, n).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		sum, floor := [Width64]int16(words(t, "sum", 64)), [Width64]int16(words(t, "floor", 64))
		if got, want := best64AVX2(&sum, &floor), plainBest64(&sum, &floor); got != want {
			t.Fatalf("best %d, want %d", got, want)
		}
		before, emission := [Width16]int16(words(t, "before", 16)), [Width16]int16(words(t, "emission", 16))
		var c Chain16
		for p := range c {
			c[p] = [Width16]int16(words(t, "row", 16))
		}
		var got, want [Width16]int16
		step16AVX2(&got, &before, &emission, &c)
		plainStep16(&want, &before, &emission, &c)
		if got != want {
			t.Fatalf("step %v, want %v", got, want)
		}
	})
}
