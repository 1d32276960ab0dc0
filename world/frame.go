package world

import (
	"fmt"
	"math"
)

// polarDegrees is how near to a pole an anchor may not be: east and north mean
// little there.
const polarDegrees = 0.1

// Frame turns the local positions of a place into geographic ones and back.
// East and north span the plane that touches the sphere of EarthRadius at the
// anchor, and a position on the ground is where the line from the Earth's middle
// through the plane meets the sphere (the gnomonic projection). At 5 km from the
// anchor distances on the plane are 1 mm longer than on the sphere. Heights add
// to the anchor's.
type Frame struct {
	anchor          Geo
	up, east, north direction // of unit length, from the Earth's middle
}

// direction is a vector whose z axis is the Earth's, and whose x axis goes
// through latitude 0, longitude 0.
type direction struct{ x, y, z float64 }

func (a direction) dot(b direction) float64 { return a.x*b.x + a.y*b.y + a.z*b.z }

// NewFrame gives the frame of an anchor, which must lie 0.1 degrees or more from
// the poles. An error wraps ErrPosition.
func NewFrame(anchor Geo) (Frame, error) {
	if err := anchor.Validate(); err != nil {
		return Frame{}, fmt.Errorf("anchor: %w", err)
	}
	if math.Abs(anchor.Lat) > 90-polarDegrees {
		return Frame{}, fmt.Errorf("%w: an anchor at latitude %v: want one at least %v degrees from the pole",
			ErrPosition, anchor.Lat, polarDegrees)
	}
	sinLat, cosLat := math.Sincos(anchor.Lat * radian)
	sinLng, cosLng := math.Sincos(anchor.Lng * radian)
	return Frame{
		anchor: anchor,
		up:     direction{cosLat * cosLng, cosLat * sinLng, sinLat},
		east:   direction{-sinLng, cosLng, 0},
		north:  direction{-sinLat * cosLng, -sinLat * sinLng, cosLat},
	}, nil
}

// Anchor is where local positions are counted from.
func (f *Frame) Anchor() Geo { return f.anchor }

// Geo gives the geographic position of a local one.
func (f *Frame) Geo(at Local) Geo {
	east, north := float64(at.East)/EarthRadius, float64(at.North)/EarthRadius
	x := f.up.x + east*f.east.x + north*f.north.x
	y := f.up.y + east*f.east.y + north*f.north.y
	z := f.up.z + east*f.east.z + north*f.north.z
	return Geo{
		Lat: math.Atan2(z, math.Sqrt(x*x+y*y)) / radian,
		Lng: math.Atan2(y, x) / radian,
		Alt: f.anchor.Alt + at.Up,
	}
}

// Local gives the local position of a geographic one. ok is false for a
// position farther than 45 degrees from the anchor, which the plane does not show.
func (f *Frame) Local(at Geo) (local Local, ok bool) {
	sinLat, cosLat := math.Sincos(at.Lat * radian)
	sinLng, cosLng := math.Sincos(at.Lng * radian)
	p := direction{cosLat * cosLng, cosLat * sinLng, sinLat}
	up := p.dot(f.up)
	if !(up >= math.Sqrt2/2) {
		return Local{}, false
	}
	return Local{
		East:  float32(EarthRadius * p.dot(f.east) / up),
		North: float32(EarthRadius * p.dot(f.north) / up),
		Up:    at.Alt - f.anchor.Alt,
	}, true
}
