package world

import (
	"errors"
	"fmt"
	"math"
)

// Limits of positions: see starling.v1.Geo.
const (
	MinAltitude = -1000   // metres
	MaxAltitude = 100_000 // metres
	MaxExtent   = 5000    // metres from a place's anchor
)

// Geo is a geographic position, WGS 84.
type Geo struct {
	Lat float64 // degrees, -90..90
	Lng float64 // degrees, -180..180
	Alt float32 // metres above the ellipsoid
}

// Local is a position inside a place, in metres of its anchor.
type Local struct {
	East, North, Up float32
}

// Vector is a direction with length, east/north/up: velocities are in metres
// per second.
type Vector struct {
	East, North, Up float32
}

// ErrPosition: the position is not one on Earth, or not in a place's frame.
var ErrPosition = errors.New("bad position")

// Validate says whether g is a position on Earth within the limits.
func (g Geo) Validate() error {
	switch {
	case !(g.Lat >= -90 && g.Lat <= 90): // also catches NaN
		return fmt.Errorf("%w: latitude %v: want -90..90 degrees", ErrPosition, g.Lat)
	case !(g.Lng >= -180 && g.Lng <= 180):
		return fmt.Errorf("%w: longitude %v: want -180..180 degrees", ErrPosition, g.Lng)
	case !(g.Alt >= MinAltitude && g.Alt <= MaxAltitude):
		return fmt.Errorf("%w: altitude %v: want %d..%d metres", ErrPosition, g.Alt, MinAltitude, MaxAltitude)
	}
	return nil
}

// Validate says whether l lies in the frame of a place with this extent: within
// extent metres of the anchor on the ground, and of the anchor's height.
func (l Local) Validate(extent float64) error {
	ground := math.Hypot(float64(l.East), float64(l.North))
	if !(ground <= extent) || !(math.Abs(float64(l.Up)) <= extent) {
		return fmt.Errorf("%w: %v east, %v north, %v up: want at most %v metres from the anchor",
			ErrPosition, l.East, l.North, l.Up, extent)
	}
	return nil
}

// Finite says whether v has neither NaN nor infinity in it.
func (v Vector) Finite() bool {
	return finite(v.East) && finite(v.North) && finite(v.Up)
}

// Length is the vector's length.
func (v Vector) Length() float64 {
	e, n, u := float64(v.East), float64(v.North), float64(v.Up)
	return math.Sqrt(e*e + n*n + u*u)
}

func finite(x float32) bool { return x-x == 0 }
