package gateway

import (
	"google.golang.org/protobuf/encoding/protowire"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// moveParts is a move on the map with its usual parts, and the message that takes
// it to its owner, in one piece of memory: nearly all that clients say is moves.
type moveParts struct {
	routed   clusterv1.RoutedAct
	act      starlingv1.Act
	function starlingv1.Act_Move
	move     starlingv1.Move
	pose     starlingv1.Pose
	position starlingv1.Position
	inGeo    starlingv1.Position_Geo
	geo      starlingv1.Geo
	velocity starlingv1.Vector
}

// Tags of fields, as they usually stand first.
const (
	tagActNumber    byte = 0x08
	tagActMove      byte = 0x12
	tagMovePose     byte = 0x0a
	tagPosePosition byte = 0x0a
	tagPoseVelocity byte = 0x1a
	tagPositionGeo  byte = 0x0a
)

// decodeMove decodes an action that is a move in its usual form; nil for all
// others.
func decodeMove(raw []byte) *moveParts {
	velocity, ok := usualMove(raw)
	if !ok {
		return nil
	}
	// What is there is decoded into the part that is in its place; what is not
	// must not be in its place.
	m := &moveParts{}
	m.act.Function, m.function.Move = &m.function, &m.move
	m.move.Pose, m.pose.Position = &m.pose, &m.position
	m.position.In, m.inGeo.Geo = &m.inGeo, &m.geo
	if velocity {
		m.pose.Velocity = &m.velocity
	}
	if m.act.UnmarshalVT(raw) != nil {
		return nil
	}
	return m
}

// usualMove says whether raw begins as a numbered move to a position on the map,
// and whether its velocity comes next.
func usualMove(raw []byte) (velocity, ok bool) {
	if len(raw) == 0 || raw[0] != tagActNumber {
		return false, false
	}
	_, n := protowire.ConsumeVarint(raw[1:])
	if n < 0 {
		return false, false
	}
	move, _ := first(raw[1+n:], tagActMove)
	pose, _ := first(move, tagMovePose)
	position, rest := first(pose, tagPosePosition)
	if geo, _ := first(position, tagPositionGeo); geo == nil {
		return false, false
	}
	of, _ := first(rest, tagPoseVelocity)
	return of != nil, true
}

// first gives the bytes of a message's first field, if that has the tag, and what
// comes after it; nil otherwise.
func first(message []byte, tag byte) (value, rest []byte) {
	if len(message) < 2 || message[0] != tag {
		return nil, nil
	}
	value, n := protowire.ConsumeBytes(message[1:])
	if n < 0 {
		return nil, nil
	}
	return value, message[1+n:]
}
