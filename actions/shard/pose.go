package shard

import (
	"errors"
	"fmt"
	"math"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// Position is where something is: geographic on the map, local in a place.
type Position struct {
	Geo   world.Geo   // on the map
	Local world.Local // in a place
	Place bool        // Local counts, not Geo
}

// Distance is the distance to q in metres, heights included. Positions of
// different frames are infinitely far apart.
func (p Position) Distance(q Position) float64 {
	if p.Place != q.Place {
		return math.Inf(1)
	}
	if p.Place {
		return world.Vector{East: p.Local.East - q.Local.East, North: p.Local.North - q.Local.North, Up: p.Local.Up - q.Local.Up}.Length()
	}
	return math.Hypot(world.Metres(p.Geo, q.Geo), float64(p.Geo.Alt)-float64(q.Geo.Alt))
}

// Orientation is a unit quaternion; the zero value is "not known".
type Orientation struct{ X, Y, Z, W float32 }

// Pose is what changes when something moves.
type Pose struct {
	Position
	Orientation Orientation
	Velocity    world.Vector // metres per second
}

var errPosition = errors.New("the position is missing")

// ReadPosition takes a position off the wire and checks it: on Earth, or (in a
// place) finite.
func ReadPosition(in *starlingv1.Position) (Position, error) {
	switch in := in.GetIn().(type) {
	case *starlingv1.Position_Geo:
		if in.Geo == nil {
			return Position{}, errPosition
		}
		p := Position{Geo: world.Geo{Lat: in.Geo.Latitude, Lng: in.Geo.Longitude, Alt: in.Geo.Altitude}}
		return p, p.Geo.Validate()
	case *starlingv1.Position_Local:
		if in.Local == nil {
			return Position{}, errPosition
		}
		p := Position{Place: true, Local: world.Local{East: in.Local.East, North: in.Local.North, Up: in.Local.Up}}
		return p, p.Local.Validate(world.MaxExtent)
	}
	return Position{}, errPosition
}

// maxVelocity is the fastest that a velocity may claim, metres per second.
const maxVelocity = 1000

// ReadPose takes a pose off the wire and checks every field.
func ReadPose(in *starlingv1.Pose) (Pose, error) {
	at, err := ReadPosition(in.GetPosition())
	if err != nil {
		return Pose{}, err
	}
	pose := Pose{Position: at}
	if o := in.GetOrientation(); o != nil {
		length := math.Sqrt(float64(o.X)*float64(o.X) + float64(o.Y)*float64(o.Y) + float64(o.Z)*float64(o.Z) + float64(o.W)*float64(o.W))
		if !(math.Abs(length-1) <= 0.01) {
			return Pose{}, fmt.Errorf("the orientation has length %g: send a unit quaternion", length)
		}
		pose.Orientation = Orientation{o.X, o.Y, o.Z, o.W}
	}
	if v := in.GetVelocity(); v != nil {
		pose.Velocity = world.Vector{East: v.East, North: v.North, Up: v.Up}
		if !(pose.Velocity.Length() <= maxVelocity) {
			return Pose{}, fmt.Errorf("the velocity is over %d m/s or not a number", maxVelocity)
		}
	}
	return pose, nil
}

// poseMessage is a pose with all its parts, to be filled in again and again.
type poseMessage struct {
	pose        starlingv1.Pose
	position    starlingv1.Position
	inGeo       starlingv1.Position_Geo
	geo         starlingv1.Geo
	inLocal     starlingv1.Position_Local
	local       starlingv1.Local
	orientation starlingv1.Orientation
	velocity    starlingv1.Vector
}

func (m *poseMessage) fill(p *Pose) *starlingv1.Pose {
	if p.Place {
		m.local.East, m.local.North, m.local.Up = p.Local.East, p.Local.North, p.Local.Up
		m.inLocal.Local = &m.local
		m.position.In = &m.inLocal
	} else {
		m.geo.Latitude, m.geo.Longitude, m.geo.Altitude = p.Geo.Lat, p.Geo.Lng, p.Geo.Alt
		m.inGeo.Geo = &m.geo
		m.position.In = &m.inGeo
	}
	m.pose.Position = &m.position
	m.pose.Orientation, m.pose.Velocity = nil, nil
	if p.Orientation != (Orientation{}) {
		m.orientation.X, m.orientation.Y, m.orientation.Z, m.orientation.W = p.Orientation.X, p.Orientation.Y, p.Orientation.Z, p.Orientation.W
		m.pose.Orientation = &m.orientation
	}
	if p.Velocity != (world.Vector{}) {
		m.velocity.East, m.velocity.North, m.velocity.Up = p.Velocity.East, p.Velocity.North, p.Velocity.Up
		m.pose.Velocity = &m.velocity
	}
	return &m.pose
}

// Message makes a pose for the wire.
func (p *Pose) Message() *starlingv1.Pose { return new(poseMessage).fill(p) }

// metresPerDegree of latitude on the sphere of world.EarthRadius.
const metresPerDegree = world.EarthRadius * math.Pi / 180

// ground gives the geographic position of a local one, flat around the anchor:
// only cells are found by it, and extents are at most 5 km.
func ground(anchor world.Geo, at world.Local) world.Geo {
	lat := anchor.Lat + float64(at.North)/metresPerDegree
	cos := math.Max(math.Cos(anchor.Lat*math.Pi/180), 1e-6)
	lng := math.Mod(anchor.Lng+float64(at.East)/(metresPerDegree*cos)+540, 360) - 180
	if lng < -180 {
		lng += 360
	}
	return world.Geo{Lat: math.Min(90, math.Max(-90, lat)), Lng: lng}
}
