package hub

import (
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/world"
)

// frame is one encoded CellFrame, as a websocket frame shared by all who get it.
type frame struct {
	buffer   []byte // with room before the payload
	start    int    // of the websocket frame
	payload  int    // of the ServerMessage
	json     []byte // the same as a text frame, once somebody needs it
	sequence uint64 // after it
	events   uint64 // the cell's count of events after it
	left     int    // watchers who have yet to get it
	order    uint64 // in a crowd: when it was begun, or sealed
	arrivals []time.Time
}

func (f *frame) bytes(json bool) []byte {
	if !json {
		return f.buffer[f.start:]
	}
	if f.json == nil {
		f.json = toJSON(f.buffer[f.payload:])
	}
	return f.json
}

// toJSON turns an encoded ServerMessage into a websocket text frame.
func toJSON(payload []byte) []byte {
	var message starlingv1.ServerMessage
	if err := message.UnmarshalVT(payload); err != nil {
		return nil // we encoded it ourselves: a step in it is no Steps of this version
	}
	return encodeJSON(&message)
}

func encodeJSON(message *starlingv1.ServerMessage) []byte {
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil
	}
	out := conn.AppendHeader(make([]byte, 0, conn.MaxHeader+len(text)), conn.OpText, len(text))
	return append(out, text...)
}

// room before a CellFrame's fields: websocket header, tag and length.
const room = conn.MaxHeader + 1 + 5

// frameHead holds the plain fields of a CellFrame.
type frameHead struct {
	cell      world.Cell
	place     world.PlaceID
	epoch     uint32
	from      uint64
	sequence  uint64
	baseline  bool
	missed    uint32
	watchers  uint32
	unwatched bool
	conflated bool
	thinned   bool
	partial   bool
}

// begin starts a CellFrame in buffer; commits are appended next.
func (f *frame) begin(h frameHead) {
	b := append(f.buffer[:0], make([]byte, room)...)
	b = append(b, tagFrameCell)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.cell))
	b = appendNumber(b, tagFramePlace, uint64(h.place))
	b = appendNumber(b, tagFrameEpoch, uint64(h.epoch))
	b = appendNumber(b, tagFrameFrom, h.from)
	b = appendNumber(b, tagFrameSequence, h.sequence)
	b = appendTrue(b, tagFrameBaseline, h.baseline)
	b = appendNumber(b, tagFrameMissed, uint64(h.missed))
	b = appendNumber(b, tagFrameWatchers, uint64(h.watchers))
	b = appendTrue(b, tagFrameUnwatched, h.unwatched)
	b = appendTrue(b, tagFrameConflated, h.conflated)
	b = appendTrue(b, tagFrameThinned, h.thinned)
	f.buffer = appendTrue(b, tagFramePartial, h.partial)
	f.json, f.sequence, f.arrivals = nil, h.sequence, f.arrivals[:0]
}

// commit appends one commit's steps with their age.
func (f *frame) commit(steps []byte, age time.Duration) {
	f.buffer = appendCommit(f.buffer, steps, age)
}

func appendCommit(b, steps []byte, age time.Duration) []byte {
	b = append(b, tagFrameCommits)
	b = protowire.AppendVarint(b, uint64(len(steps)+5))
	b = append(b, steps...)
	return appendAge(b, age)
}

func appendAge(b []byte, age time.Duration) []byte {
	microseconds := max(0, min(age.Microseconds(), 1<<32-1))
	return binary.LittleEndian.AppendUint32(append(b, tagStepsAge), uint32(microseconds))
}

// end writes what stands before the fields.
func (f *frame) end() {
	fields := len(f.buffer) - room
	head := 1 + protowire.SizeVarint(uint64(fields))
	f.payload = room - head
	protowire.AppendVarint(append(f.buffer[f.payload:f.payload], tagServerFrame), uint64(fields))
	f.start = f.payload - conn.MaxHeader
	f.start += conn.PutHeader(f.buffer[f.start:f.payload], conn.OpBinary, head+fields)
}

func appendNumber(b []byte, tag byte, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(append(b, tag), value)
}

func appendTrue(b []byte, tag byte, value bool) []byte {
	if !value {
		return b
	}
	return append(b, tag, 1)
}
