package stream

import (
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func newArena(t testing.TB, count, size int) *Arena {
	t.Helper()
	a, err := NewArena(count, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestRecordsLieAlignedOneAfterAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, size := rapid.IntRange(1, 300).Draw(t, "count"), rapid.IntRange(1, 5000).Draw(t, "size")
		a, err := NewArena(count, size)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if a.Len() < count || a.Len() >= 2*count || a.Len()&(a.Len()-1) != 0 || a.Size() != size || a.Stride() < size {
			t.Fatalf("%d records of %d, stride %d", a.Len(), a.Size(), a.Stride())
		}
		for i := range a.Len() {
			at := uintptr(unsafe.Pointer(&a.Record(i)[0]))
			if at%uintptr(min(a.Stride(), 64)) != 0 {
				t.Fatalf("record %d at %x is not aligned", i, at)
			}
			if i > 0 && at-uintptr(unsafe.Pointer(&a.Record(i - 1)[0])) != uintptr(a.Stride()) {
				t.Fatalf("record %d is not a stride behind the one before", i)
			}
			a.Record(i)[size-1] = 1 // it is there
		}
		// Whole batches may be read from the last record on.
		beyond := Ref{unsafe.Add(a.refs[a.Len()-1].Pointer(), a.Stride())}.Bytes((MostAtOnce - 1) * a.Stride())
		for i := range beyond {
			if beyond[i] != 0 {
				t.Fatal("something lies beyond")
			}
		}
	})
}

func TestArenasThatMakeNoSense(t *testing.T) {
	for _, bad := range [][2]int{{0, 1}, {1, 0}, {-1, 16}, {1 << 50, 16}, {1, 1 << 50}} {
		if _, err := NewArena(bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), "an arena of") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestAnArenaInHugePages(t *testing.T) {
	a := newArena(t, 1<<16, 64)
	if huge := a.HugeBytes(); huge < 0 || huge > a.Bytes() || a.Bytes() != 4<<20 {
		t.Errorf("%d of %d bytes in huge pages", huge, a.Bytes())
	}
}

func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		d                   Decision
		selected, malformed bool
		value               uint32
	}{
		{0, false, false, 0}, {7, false, false, 7}, {Selected | 3, true, false, 3},
		{Malformed | 1, false, true, 1}, {Malformed | Selected, false, true, 0},
	} {
		if c.d.Selected() != c.selected || c.d.Malformed() != c.malformed || c.d.Value() != c.value {
			t.Errorf("%x: %v %v %d", uint32(c.d), c.d.Selected(), c.d.Malformed(), c.d.Value())
		}
	}
}

func TestAnyFlagIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out [MostAtOnce]Decision
		n := rapid.IntRange(1, MostAtOnce).Draw(t, "n")
		for i := range out {
			out[i] = (Selected - 1) &^ Malformed
			if i >= n { // what is beyond means nothing
				out[i] = Selected
			}
		}
		if flagged(out[:n]) {
			t.Fatal("nothing has a flag")
		}
		out[rapid.IntRange(0, n-1).Draw(t, "which")] |= rapid.SampledFrom([]Decision{Selected, Malformed}).Draw(t, "flag")
		if !flagged(out[:n]) {
			t.Fatal("the flag was not seen")
		}
	})
}
