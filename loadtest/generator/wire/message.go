package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Kind is what a ServerMessage holds.
type Kind byte

// The kinds of ServerMessage; Other is one of a later version.
const (
	Other   Kind = 0
	Welcome Kind = 1
	Outcome Kind = 2
	Cell    Kind = 3
	Pong    Kind = 4
	Notice  Kind = 5
)

// Message tells what a ServerMessage holds and gives its encoding.
func Message(payload []byte) (kind Kind, body []byte, err error) {
	var f field
	for len(payload) > 0 {
		rest, ok := nextField(payload, &f)
		if !ok {
			return 0, nil, ErrMessage
		}
		payload = rest
		if f.number < 1 || f.number > 5 || f.kind != protowire.BytesType {
			continue
		}
		if Kind(f.number) == kind { // parts of one message are merged: see the encoding's specification
			body = append(body[:len(body):len(body)], f.bytes...)
			continue
		}
		kind, body = Kind(f.number), f.bytes
	}
	return kind, body, nil
}

// Result is what the generator reads of an Outcome.
type Result struct {
	Number       uint64
	Code         starlingv1.Code
	Entity       uint64
	Expected     uint64
	RetryAfterMs uint32
}

// ReadOutcome reads an Outcome.
func ReadOutcome(body []byte) (r Result, err error) {
	var f field
	for len(body) > 0 {
		rest, ok := nextField(body, &f)
		if !ok {
			return r, ErrMessage
		}
		body = rest
		switch f.key() {
		case key(1, protowire.VarintType):
			r.Number = f.value
		case key(2, protowire.VarintType):
			r.Code = starlingv1.Code(int32(f.value))
		case key(4, protowire.Fixed64Type):
			r.Entity = f.value
		case key(5, protowire.VarintType):
			r.Expected = f.value
		case key(6, protowire.VarintType):
			r.RetryAfterMs = uint32(f.value)
		}
	}
	return r, nil
}

// CellFrame is what the generator reads of the head of a CellFrame.
type CellFrame struct {
	Cell         uint64
	Epoch        uint32
	From         uint64
	Sequence     uint64
	MissedEvents uint32
	Baseline     bool
	Unwatched    bool
	Conflated    bool
	Partial      bool
	body         []byte
}

// ReadCellFrame reads all but the steps.
func ReadCellFrame(body []byte) (c CellFrame, err error) {
	c.body = body
	var f field
	for len(body) > 0 {
		rest, ok := nextField(body, &f)
		if !ok {
			return c, ErrMessage
		}
		body = rest
		switch f.key() {
		case key(1, protowire.Fixed64Type):
			c.Cell = f.value
		case key(3, protowire.VarintType):
			c.Epoch = uint32(f.value)
		case key(4, protowire.VarintType):
			c.From = f.value
		case key(5, protowire.VarintType):
			c.Sequence = f.value
		case key(6, protowire.VarintType):
			c.Baseline = f.value != 0
		case key(8, protowire.VarintType):
			c.MissedEvents = uint32(f.value)
		case key(10, protowire.VarintType):
			c.Unwatched = f.value != 0
		case key(11, protowire.VarintType):
			c.Conflated = f.value != 0
		case key(13, protowire.VarintType):
			c.Partial = f.value != 0
		}
	}
	return c, nil
}

// Steps walks over the steps of the frame.
func (c *CellFrame) Steps() Steps { return Steps{frame: c.body} }

// Version orders what is said of one entity.
type Version struct {
	Handovers, Epoch uint32
	Sequence         uint64
}

// Less says whether v is older than w.
func (v Version) Less(w Version) bool {
	if v.Handovers != w.Handovers {
		return v.Handovers < w.Handovers
	}
	if v.Epoch != w.Epoch {
		return v.Epoch < w.Epoch
	}
	return v.Sequence < w.Sequence
}

// Step is what the generator reads of a step: an update of an entity, or an
// event.
type Step struct {
	Event   bool
	Entity  uint64 // of an update
	Actor   uint64 // whose action it was: Update.by or Event.actor
	Number  uint64 // of that action
	Version Version
}

// Steps walks over the steps of a CellFrame. Next until it says false, then Err.
type Steps struct {
	frame  []byte // what is left of the fields of the frame
	commit []byte // what is left of the fields of the commit
	failed bool
}

// Err says whether the walk ended at what is no encoding.
func (s *Steps) Err() error {
	if s.failed {
		return ErrMessage
	}
	return nil
}

// Next goes to the next step; false at the end.
func (s *Steps) Next(out *Step) bool {
	var f field
	for {
		for len(s.commit) > 0 {
			rest, ok := nextField(s.commit, &f)
			if !ok {
				return s.fail()
			}
			s.commit = rest
			if f.key() != key(1, protowire.BytesType) {
				continue
			}
			known, ok := out.read(f.bytes)
			if !ok {
				return s.fail()
			}
			if known {
				return true
			}
		}
		if len(s.frame) == 0 {
			return false
		}
		rest, ok := nextField(s.frame, &f)
		if !ok {
			return s.fail()
		}
		s.frame = rest
		if f.key() == key(7, protowire.BytesType) {
			s.commit = f.bytes
		}
	}
}

func (s *Steps) fail() bool {
	s.failed, s.frame, s.commit = true, nil, nil
	return false
}

// read reads a Step. known is false for a kind of a later version.
func (out *Step) read(body []byte) (known, ok bool) {
	var f field
	for len(body) > 0 {
		rest, fine := nextField(body, &f)
		if !fine {
			return false, false
		}
		body = rest
		if f.number != 1 && f.number != 2 || f.kind != protowire.BytesType {
			continue
		}
		event := f.number == 2
		if !known || out.Event != event {
			*out = Step{Event: event}
		}
		known = true
		if event {
			ok = out.readEvent(f.bytes)
		} else {
			ok = out.readUpdate(f.bytes)
		}
		if !ok {
			return false, false
		}
	}
	return known, true
}

func (out *Step) readUpdate(body []byte) bool {
	var f field
	for len(body) > 0 {
		rest, ok := nextField(body, &f)
		if !ok {
			return false
		}
		body = rest
		switch f.key() {
		case key(1, protowire.Fixed64Type):
			out.Entity = f.value
		case key(2, protowire.BytesType):
			if !out.Version.read(f.bytes) {
				return false
			}
		case key(10, protowire.Fixed64Type):
			out.Actor = f.value
		case key(11, protowire.VarintType):
			out.Number = f.value
		}
	}
	return true
}

func (out *Step) readEvent(body []byte) bool {
	var f field
	for len(body) > 0 {
		rest, ok := nextField(body, &f)
		if !ok {
			return false
		}
		body = rest
		switch f.key() {
		case key(1, protowire.Fixed64Type):
			out.Actor = f.value
		case key(2, protowire.VarintType):
			out.Number = f.value
		case key(3, protowire.BytesType):
			if !out.Version.read(f.bytes) {
				return false
			}
		}
	}
	return true
}

func (v *Version) read(body []byte) bool {
	var f field
	for len(body) > 0 {
		rest, ok := nextField(body, &f)
		if !ok {
			return false
		}
		body = rest
		switch f.key() {
		case key(1, protowire.VarintType):
			v.Handovers = uint32(f.value)
		case key(2, protowire.VarintType):
			v.Epoch = uint32(f.value)
		case key(3, protowire.VarintType):
			v.Sequence = f.value
		}
	}
	return true
}
