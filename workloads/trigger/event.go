package trigger

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Event is a selected event on its way through the chain. It belongs to the stage
// that runs, until that returns.
type Event struct {
	// Record is the event summary, a copy.
	Record []byte
	// Score is by how much the strongest signal beat the background, in the units of
	// the network of Version.
	Score   int32
	Version uint64
	// Poller and Sequence say which record it was, Due when it was due.
	Poller   int
	Sequence uint64
	Due      invoke.Instant

	// Energy in GeV is what measure_energy finds.
	Energy float64
	// Class is the most likely class, Logits are the network's outputs; format_event
	// finds them. Class is -1 and Logits are empty if the network of Version is gone.
	Class  int
	Logits []int32
	// Encoded is what serialise_event makes and archive_event keeps.
	Encoded []byte

	trigger    *Trigger
	stage      int
	deadline   invoke.Instant
	invocation invoke.Invocation
}

// An encoded event, little-endian: uint16 version (1), int16 class, uint32 record
// length, uint64 model version, uint64 sequence, uint32 poller, int32 score, float64
// energy (GeV), uint32 number of logits, int32 logits, the record.
const (
	eventVersion = 1
	eventHeader  = 2 + 2 + 4 + 8 + 8 + 4 + 4 + 8 + 4
)

// AppendEvent encodes e behind b.
func AppendEvent(b []byte, e *Event) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, eventVersion)
	b = le.AppendUint16(b, uint16(int16(e.Class)))
	b = le.AppendUint32(b, uint32(len(e.Record)))
	b = le.AppendUint64(b, e.Version)
	b = le.AppendUint64(b, e.Sequence)
	b = le.AppendUint32(b, uint32(e.Poller))
	b = le.AppendUint32(b, uint32(e.Score))
	b = le.AppendUint64(b, math.Float64bits(e.Energy))
	b = le.AppendUint32(b, uint32(len(e.Logits)))
	for _, y := range e.Logits {
		b = le.AppendUint32(b, uint32(y))
	}
	return append(b, e.Record...)
}

// EncodingError says why bytes are no encoded event.
type EncodingError struct{ Why string }

func (e *EncodingError) Error() string { return "trigger: encoded event: " + e.Why }

// DecodeEvent reads an encoded event. The record points into b. The error is an
// *EncodingError.
func DecodeEvent(b []byte) (*Event, error) {
	le := binary.LittleEndian
	if len(b) < eventHeader {
		return nil, &EncodingError{fmt.Sprintf("%d bytes", len(b))}
	}
	if v := le.Uint16(b); v != eventVersion {
		return nil, &EncodingError{fmt.Sprintf("version %d, this program reads %d", v, eventVersion)}
	}
	e := &Event{
		Class: int(int16(le.Uint16(b[2:]))), Version: le.Uint64(b[8:]), Sequence: le.Uint64(b[16:]),
		Poller: int(le.Uint32(b[24:])), Score: int32(le.Uint32(b[28:])), Energy: math.Float64frombits(le.Uint64(b[32:])),
	}
	size, logits := int(le.Uint32(b[4:])), int(le.Uint32(b[40:]))
	if logits > network.MostLogits || len(b) != eventHeader+4*logits+size {
		return nil, &EncodingError{fmt.Sprintf("%d bytes for %d logits and a record of %d", len(b), logits, size)}
	}
	for i := range logits {
		e.Logits = append(e.Logits, int32(le.Uint32(b[eventHeader+4*i:])))
	}
	e.Record = b[eventHeader+4*logits:]
	return e, nil
}

// take fills e from what the stream selected.
func (e *Event) take(s *stream.Sample) {
	e.Record = append(e.Record[:0], s.Record...)
	e.Score, e.Version = scoreOf(s.Decision), s.Version
	e.Poller, e.Sequence, e.Due = s.Poller, s.Sequence, s.Due
	e.Energy, e.Class = 0, -1
	e.Logits, e.Encoded = e.Logits[:0], e.Encoded[:0]
}
