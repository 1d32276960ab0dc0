package hub

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/starling-vr/starling/world"
)

// Field tags of the client protocol, as bytes on the wire. They are all below
// 16, so each is one byte. A test holds them against the schema.
const (
	tagServerOutcome byte = 0x12 // ServerMessage.outcome
	tagServerFrame   byte = 0x1a // ServerMessage.frame

	tagFrameCell      byte = 0x09
	tagFramePlace     byte = 0x10
	tagFrameEpoch     byte = 0x18
	tagFrameFrom      byte = 0x20
	tagFrameSequence  byte = 0x28
	tagFrameBaseline  byte = 0x30
	tagFrameCommits   byte = 0x3a
	tagFrameMissed    byte = 0x40
	tagFrameWatchers  byte = 0x48
	tagFrameUnwatched byte = 0x50
	tagFrameConflated byte = 0x58
	tagFrameThinned   byte = 0x60
	tagFramePartial   byte = 0x68

	tagSteps     byte = 0x0a // Steps.steps
	tagStepsAge  byte = 0x15 // Steps.age_us
	tagUpdate    byte = 0x0a // Step.update
	tagChange    byte = 0x18 // Update.change
	changeIsHere byte = 5    // Change.PRESENT
)

// Numbers of the fields of Update.
const (
	updateEntity     protowire.Number = 1
	updateVersion    protowire.Number = 2
	updateChange     protowire.Number = 3
	updatePose       protowire.Number = 4
	updateHolder     protowire.Number = 5
	updateKind       protowire.Number = 6
	updateAttributes protowire.Number = 7
	updateTo         protowire.Number = 8
	updateFrozen     protowire.Number = 9
)

// step is one step, found by walking over its bytes.
type step struct {
	raw    []byte // the whole field "steps", tag included
	update []byte // nil for an event
	event  []byte // nil for an update
}

// nextStep splits the first step off encoded fields "steps". ok is false at the
// end, and for what is not Steps.
func nextStep(steps []byte) (s step, rest []byte, ok bool) {
	number, kind, tag := protowire.ConsumeTag(steps)
	if tag < 0 || number != 1 || kind != protowire.BytesType {
		return step{}, nil, false
	}
	body, n := protowire.ConsumeBytes(steps[tag:])
	if n < 0 {
		return step{}, nil, false
	}
	s.raw, rest = steps[:tag+n], steps[tag+n:]
	for len(body) > 0 {
		number, kind, tag := protowire.ConsumeTag(body)
		if tag < 0 {
			return step{}, nil, false
		}
		n := protowire.ConsumeFieldValue(number, kind, body[tag:])
		if n < 0 {
			return step{}, nil, false
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(body[tag:])
			switch number {
			case 1:
				s.update, s.event = value, nil
			case 2:
				s.update, s.event = nil, value
			}
		}
		body = body[tag+n:]
	}
	return s, rest, true
}

// updateHead is what the hub needs to know of an update.
type updateHead struct {
	entity  world.EntityID
	version world.Version
	change  uint64
	to      world.Cell
	kind    []byte // the fields, tag included; nil when absent
	attrs   []byte
}

// parseUpdate walks over an update. body is appended the fields that belong
// into a baseline, except kind and attributes.
func parseUpdate(update, body []byte) (h updateHead, _ []byte, ok bool) {
	for len(update) > 0 {
		number, kind, tag := protowire.ConsumeTag(update)
		if tag < 0 {
			return h, body, false
		}
		n := protowire.ConsumeFieldValue(number, kind, update[tag:])
		if n < 0 {
			return h, body, false
		}
		raw, value := update[:tag+n], update[tag:tag+n]
		update = update[tag+n:]
		switch {
		case number == updateEntity && kind == protowire.Fixed64Type:
			v, _ := protowire.ConsumeFixed64(value)
			h.entity = world.EntityID(v)
			body = append(body, raw...)
		case number == updateVersion && kind == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(value)
			if h.version, ok = parseVersion(v); !ok {
				return h, body, false
			}
			body = append(body, raw...)
		case number == updateChange && kind == protowire.VarintType:
			h.change, _ = protowire.ConsumeVarint(value)
		case number == updateKind && kind == protowire.BytesType:
			h.kind = raw
		case number == updateAttributes && kind == protowire.BytesType:
			h.attrs = raw
		case number == updateTo && kind == protowire.Fixed64Type:
			v, _ := protowire.ConsumeFixed64(value)
			h.to = world.Cell(v)
		case number == updatePose, number == updateHolder, number == updateFrozen:
			body = append(body, raw...)
		}
	}
	return h, body, true
}

func parseVersion(b []byte) (v world.Version, ok bool) {
	for len(b) > 0 {
		number, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return v, false
		}
		n := protowire.ConsumeFieldValue(number, kind, b[tag:])
		if n < 0 {
			return v, false
		}
		if kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(b[tag:])
			switch number {
			case 1:
				v.Handovers = uint32(value)
			case 2:
				v.Epoch = uint32(value)
			case 3:
				v.Sequence = value
			}
		}
		b = b[tag+n:]
	}
	return v, true
}
