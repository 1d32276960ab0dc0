package world_test

import (
	"errors"
	"math"
	"testing"

	"github.com/starling-vr/starling/world"
	"pgregory.net/rapid"
)

func TestGeoValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		at   world.Geo
		good bool
	}{
		{world.Geo{}, true},
		{world.Geo{Lat: 90, Lng: 180, Alt: world.MaxAltitude}, true},
		{world.Geo{Lat: -90, Lng: -180, Alt: world.MinAltitude}, true},
		{world.Geo{Lat: 90.0000001}, false},
		{world.Geo{Lng: -180.0000001}, false},
		{world.Geo{Lng: 181}, false},
		{world.Geo{Lat: nan}, false},
		{world.Geo{Lng: nan}, false},
		{world.Geo{Lat: -inf}, false},
		{world.Geo{Lng: inf}, false},
		{world.Geo{Alt: float32(nan)}, false},
		{world.Geo{Alt: float32(inf)}, false},
		{world.Geo{Alt: world.MinAltitude - 1}, false},
		{world.Geo{Alt: world.MaxAltitude + 1}, false},
	} {
		err := c.at.Validate()
		if (err == nil) != c.good || err != nil && !errors.Is(err, world.ErrPosition) {
			t.Errorf("%+v: %v", c.at, err)
		}
	}
}

func TestLocalValidate(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		at   world.Local
		good bool
	}{
		{world.Local{}, true},
		{world.Local{East: 30, North: -40, Up: 50}, true},
		{world.Local{East: 36, North: 36}, false},
		{world.Local{Up: -50.1}, false},
		{world.Local{East: nan}, false},
		{world.Local{North: inf}, false},
		{world.Local{Up: nan}, false},
		{world.Local{East: math.MaxFloat32, North: math.MaxFloat32}, false},
	} {
		if err := c.at.Validate(50); (err == nil) != c.good || err != nil && !errors.Is(err, world.ErrPosition) {
			t.Errorf("%+v: %v", c.at, err)
		}
	}
}

func TestVectorFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	if !(world.Vector{East: math.MaxFloat32, Up: -1}).Finite() {
		t.Error("a finite vector is not")
	}
	for _, v := range []world.Vector{{East: nan}, {North: inf}, {Up: nan}} {
		if v.Finite() {
			t.Errorf("%v is finite", v)
		}
	}
	if got := (world.Vector{East: 2, North: -3, Up: 6}).Length(); got != 7 {
		t.Errorf("length %v", got)
	}
}

// drawGeo draws positions evenly over the sphere.
func drawGeo(t *rapid.T, name string) world.Geo {
	z := rapid.Float64Range(-1, 1).Draw(t, name+": sine of latitude")
	return world.Geo{
		Lat: math.Asin(z) * 180 / math.Pi,
		Lng: rapid.Float64Range(-180, 180).Draw(t, name+": longitude"),
	}
}

// chord is the distance of two positions by their vectors: another way than
// world.Metres takes.
func chord(a, b world.Geo) float64 {
	v := func(g world.Geo) (x, y, z float64) {
		sinLat, cosLat := math.Sincos(g.Lat * math.Pi / 180)
		sinLng, cosLng := math.Sincos(g.Lng * math.Pi / 180)
		return cosLat * cosLng, cosLat * sinLng, sinLat
	}
	ax, ay, az := v(a)
	bx, by, bz := v(b)
	cross := math.Hypot(math.Hypot(ay*bz-az*by, az*bx-ax*bz), ax*by-ay*bx)
	return world.EarthRadius * math.Atan2(cross, ax*bx+ay*by+az*bz)
}

func TestMetresNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawGeo(t, "a")
		b := world.Geo{
			Lat: math.Max(-90, math.Min(90, a.Lat+rapid.Float64Range(-0.11, 0.11).Draw(t, "north"))),
			Lng: math.Remainder(a.Lng+rapid.Float64Range(-0.11, 0.11).Draw(t, "east"), 360),
		}
		got, want := world.Metres(a, b), chord(a, b)
		if math.Abs(got-want) > 0.004 {
			t.Fatalf("%v m, want %v", got, want)
		}
		if back := world.Metres(b, a); back != got {
			t.Fatalf("%v m there, %v back", got, back)
		}
	})
}

func TestMetresFar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawGeo(t, "a"), drawGeo(t, "b")
		got, want := world.Metres(a, b), chord(a, b)
		if math.Abs(got-want) > 1e-6*want+0.2 { // arc sines near the far side of the Earth
			t.Fatalf("%v m, want %v", got, want)
		}
	})
}

func TestMetresAtTheAntimeridian(t *testing.T) {
	a, b := world.Geo{Lat: 10, Lng: 179.9999}, world.Geo{Lat: 10, Lng: -179.9999}
	if got, want := world.Metres(a, b), chord(a, b); math.Abs(got-want) > 1e-6 {
		t.Errorf("%v m, want %v", got, want)
	}
	half := world.Metres(world.Geo{}, world.Geo{Lng: 180})
	if math.Abs(half-math.Pi*world.EarthRadius) > 1 {
		t.Errorf("half way round: %v m", half)
	}
}

func TestFrameThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anchor := world.Geo{
			Lat: rapid.Float64Range(-89.9, 89.9).Draw(t, "latitude"),
			Lng: rapid.Float64Range(-180, 180).Draw(t, "longitude"),
			Alt: rapid.Float32Range(-400, 9000).Draw(t, "altitude"),
		}
		frame, err := world.NewFrame(anchor)
		if err != nil {
			t.Fatalf("%v", err)
		}
		axis := rapid.Float32Range(-world.MaxExtent, world.MaxExtent)
		at := world.Local{East: axis.Draw(t, "east"), North: axis.Draw(t, "north"), Up: axis.Draw(t, "up")}
		geo := frame.Geo(at)
		if geo.Lat < -90 || geo.Lat > 90 || geo.Lng < -180 || geo.Lng > 180 {
			t.Fatalf("%+v is not on Earth", geo)
		}
		back, ok := frame.Local(geo)
		if !ok {
			t.Fatalf("%+v has no local position", geo)
		}
		off := math.Hypot(float64(back.East-at.East), float64(back.North-at.North))
		if off > 1e-3 || math.Abs(float64(back.Up-at.Up)) > 2e-3 { // heights: float32 of up to 14 km
			t.Fatalf("%+v came back as %+v", at, back)
		}
		ground := math.Hypot(float64(at.East), float64(at.North))
		if got := chord(anchor, geo); math.Abs(got-ground) > 0.004 {
			t.Fatalf("%v m from the anchor became %v", ground, got)
		}
	})
}

func TestFrameDirections(t *testing.T) {
	for _, lat := range []float64{-89.9, -45, 0, 60, 89.9} {
		frame, err := world.NewFrame(world.Geo{Lat: lat, Lng: 179.99, Alt: 5})
		if err != nil {
			t.Fatal(err)
		}
		north := frame.Geo(world.Local{North: 1000})
		if want := lat + 1000/world.EarthRadius*180/math.Pi; math.Abs(north.Lat-want) > 1e-6 || math.Abs(north.Lng-179.99) > 1e-9 {
			t.Errorf("1 km north of %v is %+v", lat, north)
		}
		east := frame.Geo(world.Local{East: 5, Up: 2})
		turned := math.Mod(east.Lng-179.99+360, 360)
		if turned <= 0 || turned > 90 || east.Alt != 7 {
			t.Errorf("5 m east of %v is %+v", lat, east)
		}
	}
}

func TestFrameRefuses(t *testing.T) {
	for _, anchor := range []world.Geo{{Lat: 89.95}, {Lat: -90}, {Lat: math.NaN()}, {Lng: 200}} {
		if _, err := world.NewFrame(anchor); !errors.Is(err, world.ErrPosition) {
			t.Errorf("anchor %+v: %v", anchor, err)
		}
	}
	frame, err := world.NewFrame(world.Geo{Lat: 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, far := range []world.Geo{{Lat: -20, Lng: 180}, {Lat: 20, Lng: 90}, {Lat: math.NaN()}} {
		if got, ok := frame.Local(far); ok {
			t.Errorf("%+v is at %+v of the plane", far, got)
		}
	}
}

func BenchmarkMetres(b *testing.B) {
	from := world.Geo{Lat: 25.033, Lng: 121.565}
	near, far := world.Geo{Lat: 25.034, Lng: 121.566}, world.Geo{Lat: 52, Lng: 13}
	b.Run("near", func(b *testing.B) {
		for b.Loop() {
			world.Metres(from, near)
		}
	})
	b.Run("far", func(b *testing.B) {
		for b.Loop() {
			world.Metres(from, far)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	frame, _ := world.NewFrame(world.Geo{Lat: 25.033, Lng: 121.565})
	at := world.Local{East: 12, North: -40, Up: 1}
	geo := frame.Geo(at)
	b.Run("geo", func(b *testing.B) {
		for b.Loop() {
			frame.Geo(at)
		}
	})
	b.Run("local", func(b *testing.B) {
		for b.Loop() {
			frame.Local(geo)
		}
	})
}
