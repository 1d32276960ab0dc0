package wire

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field tags of what the generator sends, as bytes on the wire. A test holds
// them against the schema.
const (
	tagAct       byte = 0x12 // ClientMessage.act
	tagNumber    byte = 0x08 // Act.number
	tagMove      byte = 0x12
	tagSpeak     byte = 0x1a
	tagTouch     byte = 0x22
	tagGrab      byte = 0x2a
	tagRelease   byte = 0x32
	tagLeave     byte = 0x52
	tagCall      byte = 0x5a
	tagPose      byte = 0x0a // Move.pose
	tagPosition  byte = 0x0a // Pose.position
	tagVelocity  byte = 0x1a // Pose.velocity
	tagGeo       byte = 0x0a // Position.geo
	tagLocal     byte = 0x12 // Position.local
	tagText      byte = 0x0a // Speak.text
	tagTarget    byte = 0x0a // Touch.target, Grab.target
	tagEntity    byte = 0x09 // Target.entity, Release.entity
	tagCell      byte = 0x11 // Target.cell
	tagFunction  byte = 0x0a // Call.function
	tagArguments byte = 0x1a // Call.arguments
	tagDouble1   byte = 0x09 // Geo.latitude
	tagDouble2   byte = 0x11 // Geo.longitude
	tagFloat1    byte = 0x0d // Local.east, Vector.east
	tagFloat2    byte = 0x15 // Local.north, Vector.north
)

// Pose is where somebody is and how they move.
type Pose struct {
	Place             bool    // East and North count, not Lat and Lng
	Lat, Lng          float64 // degrees
	East, North       float64 // metres from the place's anchor
	VelEast, VelNorth float64 // metres per second
}

// begin starts a message within a message; end closes it.
func begin(dst []byte, tag byte) (_ []byte, at int) {
	dst = append(dst, tag, 0)
	return dst, len(dst)
}

func end(dst []byte, at int) []byte {
	n := len(dst) - at
	if n < 0x80 {
		dst[at-1] = byte(n)
		return dst
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	dst = append(dst, make([]byte, more)...)
	copy(dst[at+more:], dst[at:at+n])
	protowire.AppendVarint(dst[:at-1], uint64(n))
	return dst
}

func beginAct(dst []byte, number uint64) (_ []byte, act int) {
	dst, act = begin(dst, tagAct)
	return protowire.AppendVarint(append(dst, tagNumber), number), act
}

// AppendMove appends a ClientMessage that moves the avatar.
func AppendMove(dst []byte, number uint64, p *Pose) []byte {
	dst, act := beginAct(dst, number)
	dst, move := begin(dst, tagMove)
	dst, pose := begin(dst, tagPose)
	dst, position := begin(dst, tagPosition)
	if p.Place {
		var local int
		dst, local = begin(dst, tagLocal)
		dst = appendFloats(dst, p.East, p.North)
		dst = end(dst, local)
	} else {
		var geo int
		dst, geo = begin(dst, tagGeo)
		dst = binary.LittleEndian.AppendUint64(append(dst, tagDouble1), math.Float64bits(p.Lat))
		dst = binary.LittleEndian.AppendUint64(append(dst, tagDouble2), math.Float64bits(p.Lng))
		dst = end(dst, geo)
	}
	dst = end(dst, position)
	if p.VelEast != 0 || p.VelNorth != 0 {
		var velocity int
		dst, velocity = begin(dst, tagVelocity)
		dst = appendFloats(dst, p.VelEast, p.VelNorth)
		dst = end(dst, velocity)
	}
	return end(end(end(dst, pose), move), act)
}

func appendFloats(dst []byte, first, second float64) []byte {
	dst = binary.LittleEndian.AppendUint32(append(dst, tagFloat1), math.Float32bits(float32(first)))
	return binary.LittleEndian.AppendUint32(append(dst, tagFloat2), math.Float32bits(float32(second)))
}

// AppendSpeak appends a ClientMessage that says a text.
func AppendSpeak(dst []byte, number uint64, text string) []byte {
	dst, act := beginAct(dst, number)
	dst, speak := begin(dst, tagSpeak)
	dst, said := begin(dst, tagText)
	return end(end(end(append(dst, text...), said), speak), act)
}

// AppendTouch appends a ClientMessage that touches an entity.
func AppendTouch(dst []byte, number, entity, cell uint64) []byte {
	return appendTargeted(dst, number, tagTouch, entity, cell)
}

// AppendGrab appends a ClientMessage that grabs a thing.
func AppendGrab(dst []byte, number, entity, cell uint64) []byte {
	return appendTargeted(dst, number, tagGrab, entity, cell)
}

func appendTargeted(dst []byte, number uint64, function byte, entity, cell uint64) []byte {
	dst, act := beginAct(dst, number)
	dst, inner := begin(dst, function)
	dst, target := begin(dst, tagTarget)
	dst = binary.LittleEndian.AppendUint64(append(dst, tagEntity), entity)
	dst = binary.LittleEndian.AppendUint64(append(dst, tagCell), cell)
	return end(end(end(dst, target), inner), act)
}

// AppendRelease appends a ClientMessage that drops a thing where it is.
func AppendRelease(dst []byte, number, entity uint64) []byte {
	dst, act := beginAct(dst, number)
	dst, release := begin(dst, tagRelease)
	dst = binary.LittleEndian.AppendUint64(append(dst, tagEntity), entity)
	return end(end(dst, release), act)
}

// AppendCall appends a ClientMessage that calls a function of a game's own.
func AppendCall(dst []byte, number uint64, function string, arguments []byte) []byte {
	dst, act := beginAct(dst, number)
	dst, call := begin(dst, tagCall)
	dst, name := begin(dst, tagFunction)
	dst = end(append(dst, function...), name)
	dst, given := begin(dst, tagArguments)
	return end(end(end(append(dst, arguments...), given), call), act)
}

// AppendLeave appends a ClientMessage that ends the session.
func AppendLeave(dst []byte, number uint64) []byte {
	dst, act := beginAct(dst, number)
	dst, leave := begin(dst, tagLeave)
	return end(end(dst, leave), act)
}
