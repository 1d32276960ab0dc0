package prefetch_test

import (
	"testing"

	"github.com/starling-vr/starling/workloads/annotate/model/prefetch"
)

// Whatever the places, nothing is read that a program could tell.
func TestLinesChangesNothing(t *testing.T) {
	table := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	places := []uint32{0, 7, 1 << 31, 5}
	prefetch.Lines(table, places, 7)
	prefetch.Lines(table, nil, 7)
	prefetch.Lines([]uint64(nil), places, 7)
	for i, x := range table {
		if x != uint64(i+1) {
			t.Errorf("%d at %d", x, i)
		}
	}
	if places[2] != 1<<31 {
		t.Error(places)
	}
	if n := testing.AllocsPerRun(10, func() { prefetch.Lines(table, places, 7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
