package hugepages

import (
	"testing"
	"unsafe"
)

func TestMake(t *testing.T) {
	for _, n := range []int{0, 1, Size/8 - 1, Size / 8, Size/4 + 1, Size} {
		b := Make[uint32](n)
		if len(b) != n {
			t.Fatalf("%d of %d", len(b), n)
		}
		for i, x := range b {
			if x != 0 {
				t.Fatalf("%d at %d of %d", x, i, n)
			}
			b[i] = uint32(i)
		}
		if n*4 >= Size/4 && uintptr(unsafe.Pointer(&b[0]))%Size != 0 {
			t.Errorf("%d numbers are not at the beginning of a page", n)
		}
	}
}
