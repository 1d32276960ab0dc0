package hex_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
	"github.com/uber/h3-go/v4"
	"pgregory.net/rapid"
)

// spots are where a projection, a wrapped longitude or a bent edge could go wrong.
var spots = map[string]world.Geo{
	"Taipei":           {Lat: 25.033, Lng: 121.565},
	"equator":          {Lat: 0, Lng: 0},
	"antimeridian":     {Lat: 52.1, Lng: 180},
	"west of it":       {Lat: -17.3, Lng: -180},
	"north pole":       {Lat: 90, Lng: 0},
	"south pole":       {Lat: -90, Lng: 37},
	"near the pole":    {Lat: 89.9999, Lng: -120},
	"near south pole":  {Lat: -89.99999, Lng: 179.99},
	"middle of face 0": {Lat: 45.98, Lng: 71.6},
}

// neverWrong checks one position against the library.
func neverWrong(t interface{ Fatalf(string, ...any) }, b *hex.Bounds, lat, lng float64) {
	if !b.Contains(lat, lng) {
		return
	}
	cell, err := h3.LatLngToCell(h3.LatLng{Lat: lat, Lng: lng}, hex.Resolution(b.Cell()))
	if err != nil {
		t.Fatalf("%v, %v: %v", lat, lng, err)
	}
	if world.Cell(cell) != b.Cell() {
		t.Fatalf("%.17g, %.17g was proven inside %x, the library says %x", lat, lng, uint64(b.Cell()), uint64(cell))
	}
}

// anywhere draws positions in and a little around a cell.
func anywhere(r *rand.Rand, boundary []world.Geo, middle world.Geo) (lat, lng float64) {
	return fromMiddle(r, boundary, middle, 1.3*math.Sqrt(r.Float64()))
}

// atEdge draws positions on either side of the edge, a billionth of the cell's
// size to all of it away.
func atEdge(r *rand.Rand, boundary []world.Geo, middle world.Geo) (lat, lng float64) {
	return fromMiddle(r, boundary, middle, 1+math.Pow(10, -9*r.Float64())*float64(1-2*r.IntN(2)))
}

// fromMiddle draws a position that is out times as far from the middle as the
// edge is.
func fromMiddle(r *rand.Rand, boundary []world.Geo, middle world.Geo, out float64) (lat, lng float64) {
	i := r.IntN(len(boundary))
	a, b := point(boundary[i]), point(boundary[(i+1)%len(boundary)])
	m := point(middle)
	along := r.Float64()
	var at [3]float64
	for k := range at {
		edge := a[k] + along*(b[k]-a[k])
		at[k] = m[k] + out*(edge-m[k])
	}
	return degrees(at)
}

func point(g world.Geo) [3]float64 {
	sinLat, cosLat := math.Sincos(g.Lat * math.Pi / 180)
	sinLng, cosLng := math.Sincos(g.Lng * math.Pi / 180)
	return [3]float64{cosLat * cosLng, cosLat * sinLng, sinLat}
}

func degrees(p [3]float64) (lat, lng float64) {
	return math.Atan2(p[2], math.Hypot(p[0], p[1])) * 180 / math.Pi, math.Atan2(p[1], p[0]) * 180 / math.Pi
}

// checkCell tries n positions around a cell and n at its edge.
func checkCell(t testing.TB, r *rand.Rand, cell world.Cell, n int) {
	t.Helper()
	b, err := hex.NewBounds(cell)
	if err != nil {
		t.Fatal(err)
	}
	boundary, err := hex.Boundary(cell)
	if err != nil {
		t.Fatal(err)
	}
	middle, err := hex.Center(cell)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Contains(middle.Lat, middle.Lng) && hex.Resolution(cell) < 15 {
		t.Errorf("the middle of %x is not proven inside", uint64(cell))
	}
	for range n {
		lat, lng := anywhere(r, boundary, middle)
		neverWrong(t, b, lat, lng)
		lat, lng = atEdge(r, boundary, middle)
		neverWrong(t, b, lat, lng)
	}
}

func TestBoundsNeverSayInsideWronglyAtAwkwardPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, at := range spots {
		t.Run(name, func(t *testing.T) {
			for resolution := range hex.MaxResolution + 1 {
				cell, err := hex.Cell(at.Lat, at.Lng, resolution)
				if err != nil {
					t.Fatal(err)
				}
				for _, near := range hex.Disk(cell, 1) {
					checkCell(t, r, near, 100)
				}
			}
		})
	}
}

func TestBoundsNeverSayInsideWronglyAtPentagons(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, resolution := range []int{0, 1, 2, 5, 7, 8, 9, 10, 11, 13, 15} {
		pentagons, err := h3.Pentagons(resolution)
		if err != nil || len(pentagons) != 12 {
			t.Fatalf("%d pentagons, %v", len(pentagons), err)
		}
		for _, p := range pentagons {
			if !hex.Pentagon(world.Cell(p)) {
				t.Fatalf("%v is no pentagon", p)
			}
			for _, near := range hex.Disk(world.Cell(p), 1) {
				checkCell(t, r, near, 60)
			}
		}
	}
}

// Cells over an edge of the icosahedron bend: random great circles between
// neighbouring pentagons run along its edges.
func TestBoundsNeverSayInsideWronglyAlongEdgesOfTheIcosahedron(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	pentagons, err := h3.Pentagons(0)
	if err != nil {
		t.Fatal(err)
	}
	var corners [][3]float64
	for _, p := range pentagons {
		c, err := hex.Center(world.Cell(p))
		if err != nil {
			t.Fatal(err)
		}
		corners = append(corners, point(c))
	}
	for i, a := range corners {
		for _, b := range corners[:i] {
			if a[0]*b[0]+a[1]*b[1]+a[2]*b[2] < 0.4 { // neighbours are 63.4 degrees apart
				continue
			}
			for range 10 {
				f := r.Float64()
				lat, lng := degrees([3]float64{a[0] + f*(b[0]-a[0]), a[1] + f*(b[1]-a[1]), a[2] + f*(b[2]-a[2])})
				resolution := r.IntN(hex.MaxResolution + 1)
				cell, err := hex.Cell(lat, lng, resolution)
				if err != nil {
					t.Fatal(err)
				}
				checkCell(t, r, cell, 100)
			}
		}
	}
}

func TestBoundsNeverSayInsideWronglyAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.Float64Range(-1, 1).Draw(t, "sine of latitude")
		lat, lng := math.Asin(z)*180/math.Pi, rapid.Float64Range(-180, 180).Draw(t, "longitude")
		cell, err := hex.Cell(lat, lng, rapid.IntRange(0, 15).Draw(t, "resolution"))
		if err != nil {
			t.Fatalf("%v", err)
		}
		b, err := hex.NewBounds(cell)
		if err != nil {
			t.Fatalf("%v", err)
		}
		neverWrong(t, b, lat, lng)
		for range 20 {
			neverWrong(t, b,
				lat+rapid.Float64Range(-1e-3, 1e-3).Draw(t, "north"),
				lng+rapid.Float64Range(-1e-3, 1e-3).Draw(t, "east"))
		}
	})
}

// The bounds are worth having only if they prove nearly all that is inside.
func TestBoundsProveMostOfACell(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for name, at := range spots {
		cell, err := hex.Cell(at.Lat, at.Lng, 10)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := hex.NewBounds(cell)
		boundary, _ := hex.Boundary(cell)
		middle, _ := hex.Center(cell)
		proven, inside := 0, 0
		for range 4000 {
			lat, lng := anywhere(r, boundary, middle)
			if b.Contains(lat, lng) {
				proven++
			}
			if found, err := hex.Cell(lat, lng, 10); err == nil && found == cell {
				inside++
			}
		}
		if share := float64(proven) / float64(inside); share < 0.995 {
			t.Errorf("%s: proved %.2f %% of the positions inside", name, 100*share)
		}
	}
}

func TestMetresOutside(t *testing.T) {
	for name, at := range spots {
		t.Run(name, func(t *testing.T) {
			cell, err := hex.Cell(at.Lat, at.Lng, 10)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := hex.NewBounds(cell)
			boundary, _ := hex.Boundary(cell)
			middle, _ := hex.Center(cell)
			if got := b.MetresOutside(middle.Lat, middle.Lng); got != 0 {
				t.Errorf("the middle lies %v m outside", got)
			}
			m := point(middle)
			for i, corner := range boundary {
				a, next := point(corner), point(boundary[(i+1)%len(boundary)])
				var out, beyond [3]float64
				for k := range out {
					half := (a[k] + next[k]) / 2
					out[k] = half + 0.1*(half-m[k])
					beyond[k] = a[k] + 0.1*(a[k]-m[k])
				}
				lat, lng := degrees(beyond)
				want := world.Metres(corner, world.Geo{Lat: lat, Lng: lng})
				if got := b.MetresOutside(lat, lng); math.Abs(got-want) > 0.02*want {
					t.Errorf("beyond corner %d: %v m, want %v", i, got, want)
				}
				lat, lng = degrees(out)
				half := [3]float64{(a[0] + next[0]) / 2, (a[1] + next[1]) / 2, (a[2] + next[2]) / 2}
				hlat, hlng := degrees(half)
				want = world.Metres(world.Geo{Lat: hlat, Lng: hlng}, world.Geo{Lat: lat, Lng: lng})
				if got := b.MetresOutside(lat, lng); got > want+1e-3 || got < 0.9*want {
					t.Errorf("beyond edge %d: %v m, want about %v", i, got, want)
				}
			}
			far := b.MetresOutside(-at.Lat, at.Lng+90*math.Copysign(1, -at.Lng))
			if far < 1e6 || math.IsNaN(far) {
				t.Errorf("the far side of the Earth is %v m outside", far)
			}
		})
	}
}

func FuzzBoundsNeverSayInsideWrongly(f *testing.F) {
	for _, at := range spots {
		f.Add(at.Lat, at.Lng, 10, at.Lat+1e-5, at.Lng-1e-5)
	}
	f.Add(math.NaN(), 0.0, 10, math.NaN(), math.Inf(1))
	f.Fuzz(func(t *testing.T, lat, lng float64, resolution int, toLat, toLng float64) {
		cell, err := hex.Cell(lat, lng, resolution)
		if err != nil {
			return
		}
		b, err := hex.NewBounds(cell)
		if err != nil {
			t.Fatal(err)
		}
		neverWrong(t, b, lat, lng)
		if (world.Geo{Lat: toLat, Lng: toLng}).Validate() != nil {
			if b.Contains(toLat, toLng) {
				t.Fatalf("%v, %v is not on Earth and was proven inside", toLat, toLng)
			}
			return
		}
		neverWrong(t, b, toLat, toLng)
		if outside := b.MetresOutside(toLat, toLng); math.IsNaN(outside) || outside < 0 || outside > 2.1e7 {
			t.Fatalf("%v m outside", outside)
		}
	})
}

func BenchmarkLocate(b *testing.B) {
	middle := spots["Taipei"]
	cell, _ := hex.Cell(middle.Lat, middle.Lng, 10)
	bounds, _ := hex.NewBounds(cell)
	middle, _ = hex.Center(cell)
	corner, _ := hex.Boundary(cell)
	near := world.Geo{Lat: middle.Lat + 0.97*(corner[0].Lat-middle.Lat), Lng: middle.Lng + 0.97*(corner[0].Lng-middle.Lng)}
	for _, c := range []struct {
		name string
		at   world.Geo
		in   *hex.Bounds
	}{{"circle", middle, bounds}, {"edges", near, bounds}, {"library", middle, nil}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := hex.Locate(c.at.Lat, c.at.Lng, 10, c.in); err != nil || got != cell {
					b.Fatal(got, err)
				}
			}
		})
	}
	b.Run("new bounds", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := hex.NewBounds(cell); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func ExampleTracker() {
	tracker := hex.NewTracker(10, 1000)
	var in *hex.Bounds
	for _, lng := range []float64{121.565, 121.5651, 121.567} {
		var err error
		if in, err = tracker.Locate(25.033, lng, in); err != nil {
			panic(err)
		}
		fmt.Printf("%x\n", uint64(in.Cell()))
	}
	// Output:
	// 8a4ba0a4e20ffff
	// 8a4ba0a4e20ffff
	// 8a4ba0a4e247fff
}
