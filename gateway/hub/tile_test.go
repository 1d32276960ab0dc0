package hub

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Whoever is within the edge of a tile of somebody is at most one tile away.
func TestTilesAreNeighbours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		origin := point{a: rapid.Float64Range(-80, 80).Draw(t, "latitude"), b: rapid.Float64Range(-180, 180).Draw(t, "longitude")}
		g := newGrid(origin, rapid.Float64Range(smallestTile, largestTile).Draw(t, "size"))
		metres := func(p point, east, north float64) point {
			p.a += north / metresPerDegree
			p.b += east / g.eastPerDegree
			if p.b > 180 {
				p.b -= 360
			} else if p.b < -180 {
				p.b += 360
			}
			return p
		}
		way := rapid.Float64Range(-300, 300)
		a := metres(origin, way.Draw(t, "east"), way.Draw(t, "north"))
		angle, distance := rapid.Float64Range(0, 2*math.Pi).Draw(t, "angle"), rapid.Float64Range(0, 0.999).Draw(t, "distance")*g.size
		b := metres(a, distance*math.Cos(angle), distance*math.Sin(angle))
		if d := tilesApart(g.key(a), g.key(b)); d > 1 {
			t.Fatalf("%v and %v, %.2f m apart with tiles of %.2f m: %d tiles", a, b, distance, g.size, d)
		}
	})
}

func TestPointOf(t *testing.T) {
	for _, tc := range []struct {
		at   *starlingv1.Position
		want point
		ok   bool
	}{
		{&starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: 25.5, Longitude: -121}}}, point{a: 25.5, b: -121}, true},
		{&starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{}}}, point{}, true},
		{&starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{East: 2, North: -3, Up: 9}}}, point{local: true, a: 2, b: -3}, true},
		{nil, point{}, false},
	} {
		u := &starlingv1.Update{Entity: 7, Pose: &starlingv1.Pose{Position: tc.at, Velocity: &starlingv1.Vector{East: 1}}, By: 9, Number: 3}
		data, err := u.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := pointOf(data); got != tc.want || ok != tc.ok {
			t.Errorf("of %v got %v, %v", tc.at, got, ok)
		}
		if byOf(data) != 9 {
			t.Error("by is lost")
		}
	}
}

func tilesApart(a, b tileKey) int {
	return int(max(math.Abs(float64(a.east-b.east)), math.Abs(float64(a.north-b.north))))
}

// FuzzPoint: whatever the bytes, looking for a position ends, and finds what
// decoding finds where that works.
func FuzzPoint(f *testing.F) {
	data, _ := stateStep(1, starlingv1.Change_CREATED, 2).GetUpdate().MarshalVT()
	f.Add(data)
	f.Add([]byte{0x22, 0x02, 0x0a, 0x00})
	f.Add([]byte{0x22, 0x7f, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := pointOf(data)
		byOf(data)
		g := newGrid(got, firstTile)
		g.key(got)
		var u starlingv1.Update
		if u.UnmarshalVT(data) != nil || !ok {
			return
		}
		if again, err := u.MarshalVT(); err == nil && len(again) == len(data) { // no field twice
			if geo := u.GetPose().GetPosition().GetGeo(); geo != nil && !got.local && got.a != geo.Latitude && geo.Latitude == geo.Latitude {
				t.Fatalf("found %v, it is %v", got, geo)
			}
		}
	})
}

func TestFit(t *testing.T) {
	if got := fit(8, 4, 1); got != 4 {
		t.Errorf("four times too many: tiles of %v m", got)
	}
	if got := fit(8, 0, 1); got != 32 {
		t.Errorf("nobody in any tile: tiles of %v m", got)
	}
	if got := fit(2, 1e9, 1); got != smallestTile {
		t.Errorf("all on one spot: tiles of %v m", got)
	}
}
