package starling

import (
	"math"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

const (
	trackSamples = 6
	// longestSpan bounds both how long a movement between two samples is taken
	// to have lasted and how long one goes on after the last sample.
	longestSpan = 500 * time.Millisecond
	// Farther than this, and than twice what the velocities explain, is a jump.
	jumpMetres = 20
	jumpFactor = 2

	earthRadius     = 6371008.8 // metres: mean radius (IUGG)
	metresPerDegree = math.Pi * earthRadius / 180
)

// trackSample is where something was at a time.
type trackSample struct {
	at   time.Time
	pose *starlingv1.Pose
}

// track is the recent past of one entity: its last samples, oldest first.
type track struct {
	samples [trackSamples]trackSample
	count   int
}

// add appends a sample. One that is not later than the last replaces it.
func (t *track) add(s trackSample) {
	if t.count > 0 && !s.at.After(t.samples[t.count-1].at) {
		t.samples[t.count-1].pose = s.pose
		return
	}
	if t.count == trackSamples {
		copy(t.samples[:], t.samples[1:])
		t.count--
	}
	t.samples[t.count] = s
	t.count++
}

// at gives the pose at a time: between two samples interpolated, before the
// first one the first, after the last one carried on with its velocity for a
// short while.
func (t *track) at(when time.Time) *starlingv1.Pose {
	if t.count == 0 {
		return nil
	}
	for i := t.count - 1; i >= 0; i-- {
		if t.samples[i].at.After(when) {
			continue
		}
		if i == t.count-1 {
			return extrapolate(t.samples[i], when)
		}
		return interpolate(t.samples[i], t.samples[i+1], when)
	}
	return t.samples[0].pose
}

// extrapolate moves a pose on with its velocity, at most for longestSpan.
func extrapolate(s trackSample, when time.Time) *starlingv1.Pose {
	v := velocity(s.pose)
	if v == (metres{}) {
		return s.pose
	}
	span := min(when.Sub(s.at), longestSpan).Seconds()
	return &starlingv1.Pose{
		Position:    shift(s.pose.Position, v.times(span)),
		Orientation: s.pose.Orientation,
		Velocity:    s.pose.Velocity,
	}
}

// interpolate gives the pose between two samples: a cubic Hermite curve through
// both positions with both velocities, or a straight line when neither has one.
// Tangents longer than three times the distance are shortened to that, so that
// the curve does not overshoot (Fritsch and Carlson 1980). Orientations turn the
// short way (Shoemake 1985).
func interpolate(a, b trackSample, when time.Time) *starlingv1.Pose {
	distance, comparable := between(a.pose.GetPosition(), b.pose.GetPosition())
	span := b.at.Sub(a.at)
	if !comparable || jumped(a.pose, b.pose, distance, span) {
		return a.pose // until b's own time
	}
	if span > longestSpan {
		begin := b.at.Add(-longestSpan)
		held := extrapolate(a, begin)
		if !when.After(begin) {
			return extrapolate(a, when)
		}
		a, span = trackSample{begin, held}, longestSpan
		distance, _ = between(a.pose.Position, b.pose.Position)
	}
	u := float64(when.Sub(a.at)) / float64(span)
	va, vb := velocity(a.pose), velocity(b.pose)
	offset := distance.times(u)
	if va != (metres{}) || vb != (metres{}) {
		longest := 3 * distance.length()
		offset = hermite(distance, va.times(span.Seconds()).shortened(longest), vb.times(span.Seconds()).shortened(longest), u)
	}
	return &starlingv1.Pose{
		Position:    shift(a.pose.Position, offset),
		Orientation: slerp(a.pose.Orientation, b.pose.Orientation, u),
		Velocity:    b.pose.Velocity,
	}
}

// hermite is the cubic with value 0 at 0 and distance at 1 and the given
// tangents there.
func hermite(distance, tangentA, tangentB metres, u float64) metres {
	u2, u3 := u*u, u*u*u
	return tangentA.times(u3 - 2*u2 + u).plus(distance.times(3*u2 - 2*u3)).plus(tangentB.times(u3 - u2))
}

func jumped(a, b *starlingv1.Pose, distance metres, span time.Duration) bool {
	speed := max(velocity(a).length(), velocity(b).length())
	return distance.length() > jumpMetres+jumpFactor*speed*span.Seconds()
}

// metres is a way or a velocity: east, north, up.
type metres struct{ east, north, up float64 }

func (m metres) times(f float64) metres { return metres{m.east * f, m.north * f, m.up * f} }
func (m metres) plus(o metres) metres {
	return metres{m.east + o.east, m.north + o.north, m.up + o.up}
}
func (m metres) length() float64 { return math.Sqrt(m.east*m.east + m.north*m.north + m.up*m.up) }
func (m metres) shortened(longest float64) metres {
	if l := m.length(); l > longest {
		return m.times(longest / l)
	}
	return m
}

func velocity(p *starlingv1.Pose) metres {
	v := p.GetVelocity()
	return metres{float64(v.GetEast()), float64(v.GetNorth()), float64(v.GetUp())}
}

// between is the way from a to b; false if one is on the map and the other in a
// place.
func between(a, b *starlingv1.Position) (metres, bool) {
	if from, to := a.GetLocal(), b.GetLocal(); from != nil && to != nil {
		return metres{float64(to.East - from.East), float64(to.North - from.North), float64(to.Up - from.Up)}, true
	}
	from, to := a.GetGeo(), b.GetGeo()
	if from == nil || to == nil {
		return metres{}, false
	}
	return metres{
		east:  wrapped(to.Longitude-from.Longitude) * eastPerDegree(from.Latitude),
		north: (to.Latitude - from.Latitude) * metresPerDegree,
		up:    float64(to.Altitude - from.Altitude),
	}, true
}

// shift goes a way from a position.
func shift(from *starlingv1.Position, way metres) *starlingv1.Position {
	if l := from.GetLocal(); l != nil {
		return LocalPosition(l.East+float32(way.east), l.North+float32(way.north), l.Up+float32(way.up))
	}
	g := from.GetGeo()
	return Geographic(
		max(-90, min(90, g.GetLatitude()+way.north/metresPerDegree)),
		wrapped(g.GetLongitude()+way.east/eastPerDegree(g.GetLatitude())),
		g.GetAltitude()+float32(way.up))
}

// eastPerDegree is the length of a degree of longitude, never quite 0.
func eastPerDegree(latitude float64) float64 {
	return max(1, metresPerDegree*math.Cos(latitude*math.Pi/180))
}

// wrapped brings degrees into [-180, 180).
func wrapped(degrees float64) float64 {
	if degrees >= -180 && degrees < 180 {
		return degrees
	}
	return degrees - 360*math.Floor((degrees+180)/360)
}

func slerp(a, b *starlingv1.Orientation, u float64) *starlingv1.Orientation {
	if a == nil || b == nil {
		if b != nil {
			return b
		}
		return a
	}
	dot := float64(a.X)*float64(b.X) + float64(a.Y)*float64(b.Y) + float64(a.Z)*float64(b.Z) + float64(a.W)*float64(b.W)
	sign := 1.0
	if dot < 0 {
		dot, sign = -dot, -1
	}
	wa, wb := 1-u, u
	if dot < 0.9995 { // else the angle is too small to divide by its sine
		angle := math.Acos(dot)
		wa, wb = math.Sin((1-u)*angle)/math.Sin(angle), math.Sin(u*angle)/math.Sin(angle)
	}
	wb *= sign
	x, y := wa*float64(a.X)+wb*float64(b.X), wa*float64(a.Y)+wb*float64(b.Y)
	z, w := wa*float64(a.Z)+wb*float64(b.Z), wa*float64(a.W)+wb*float64(b.W)
	length := math.Sqrt(x*x + y*y + z*z + w*w)
	if length == 0 {
		return b
	}
	return &starlingv1.Orientation{X: float32(x / length), Y: float32(y / length), Z: float32(z / length), W: float32(w / length)}
}
