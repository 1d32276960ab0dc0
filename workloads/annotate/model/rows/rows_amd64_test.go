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
		narrow, _ := NewTable(w, Width16)
		var g, v [Width16]int16
		narrow.Sum16(&g, p)
		plainSum16(&v, w, p, narrow.Mask())
		if g != v {
			t.Fatalf("16: %v, want %v", g, v)
		}
	})
}
