package hex_test

import (
	"math"
	"testing"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
	"github.com/uber/h3-go/v4"
	"pgregory.net/rapid"
)

// world.Parent works on the bits alone; here it is held against the library.
func TestParentIsTheLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lat, lng := rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lng")
		cell, err := hex.Cell(lat, lng, rapid.IntRange(0, 15).Draw(t, "resolution"))
		if err != nil {
			t.Fatalf("%v", err)
		}
		wantParents(t, cell)
	})
}

func TestParentOfPentagons(t *testing.T) {
	for resolution := range hex.MaxResolution + 1 {
		pentagons, err := h3.Pentagons(resolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pentagons {
			for _, cell := range hex.Disk(world.Cell(p), 2) {
				wantParents(t, cell)
			}
		}
	}
}

func wantParents(t interface{ Fatalf(string, ...any) }, cell world.Cell) {
	own := hex.Resolution(cell)
	for resolution := range own + 1 {
		want, err := h3.Cell(cell).Parent(resolution)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if got := world.Parent(uint64(cell), resolution); got != uint64(want) {
			t.Fatalf("the parent of %x at %d is %x, the library says %v", uint64(cell), resolution, got, want)
		}
	}
	if got := world.Parent(uint64(cell), own+1); got != uint64(cell) {
		t.Fatalf("the parent of %x at a finer resolution is %x", uint64(cell), got)
	}
}

func TestShardMap(t *testing.T) {
	m := world.DefaultShardMap()
	cell, err := hex.Cell(25.033, 121.565, m.CellResolution)
	if err != nil {
		t.Fatal(err)
	}
	shard := m.Shard(0, cell)
	if hex.Resolution(world.Cell(shard.Cell)) != m.BaseResolution || !hex.Valid(world.Cell(shard.Cell)) || shard.IsPlace() || shard.IsRegister() {
		t.Errorf("shard %v", shard)
	}
	if got := m.Shard(7, cell); got != (world.ShardID{Place: 7}) {
		t.Errorf("shard of a place: %v", got)
	}
}

func TestCellRefuses(t *testing.T) {
	for _, c := range []struct {
		lat, lng   float64
		resolution int
	}{
		{math.NaN(), 0, 10}, {0, math.NaN(), 10}, {90.1, 0, 10}, {0, 180.1, 10}, {0, math.Inf(-1), 10}, {0, 0, 16}, {0, 0, -1},
	} {
		if cell, err := hex.Cell(c.lat, c.lng, c.resolution); err == nil {
			t.Errorf("%v is in %x", c, uint64(cell))
		}
	}
}

func TestDisk(t *testing.T) {
	cell, err := hex.Cell(25.033, 121.565, 10)
	if err != nil {
		t.Fatal(err)
	}
	for k := range 4 {
		disk := hex.Disk(cell, k)
		if len(disk) != 1+3*k*(k+1) {
			t.Errorf("%d cells within %d steps", len(disk), k)
		}
		for _, c := range disk {
			if steps, ok := hex.Distance(cell, c); !ok || steps > k || !hex.Valid(c) {
				t.Errorf("%x is %d steps away, %v", uint64(c), steps, ok)
			}
		}
	}
	pentagons, err := h3.Pentagons(10)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pentagons {
		if disk := hex.Disk(world.Cell(p), 1); len(disk) != 6 {
			t.Errorf("%d cells within a step of a pentagon", len(disk))
		}
	}
	for _, none := range []world.Cell{0, 12, 1<<64 - 1} {
		if hex.Valid(none) || len(hex.Disk(none, 1)) != 0 {
			t.Errorf("%x is taken for a cell", uint64(none))
		}
		if _, err := hex.NewBounds(none); err == nil {
			t.Errorf("%x has bounds", uint64(none))
		}
		if _, err := hex.Boundary(none); err == nil {
			t.Errorf("%x has a boundary", uint64(none))
		}
		if _, err := hex.Center(none); err == nil {
			t.Errorf("%x has a middle", uint64(none))
		}
	}
	if got := hex.Disk(cell, -1); len(got) != 0 {
		t.Errorf("%d cells within -1 steps", len(got))
	}
}

func TestTracker(t *testing.T) {
	tracker := hex.NewTracker(10, 3)
	rapid.Check(t, func(t *rapid.T) {
		var in *hex.Bounds
		lat, lng := 25.033, 121.565
		for range 20 {
			lat += rapid.Float64Range(-1e-3, 1e-3).Draw(t, "north")
			lng += rapid.Float64Range(-1e-3, 1e-3).Draw(t, "east")
			var err error
			if in, err = tracker.Locate(lat, lng, in); err != nil {
				t.Fatalf("%v", err)
			}
			if want, _ := hex.Cell(lat, lng, 10); in.Cell() != want {
				t.Fatalf("%v, %v is in %x, not %x", lat, lng, uint64(want), uint64(in.Cell()))
			}
		}
	})
	if _, err := tracker.Locate(math.NaN(), 0, nil); err == nil {
		t.Error("NaN is in a cell")
	}
}
