package wire

import (
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMessage: not a message of this protocol.
var ErrMessage = errors.New("not a message of starling.v1.proto")

// field is one field of a protobuf message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64 // of varint, fixed32 and fixed64
	bytes  []byte // of bytes
}

// key is a field's tag: its number and wire type. A known number with another
// wire type is an unknown field, as in protobuf's own decoders.
func key(number protowire.Number, kind protowire.Type) uint64 {
	return uint64(number)<<3 | uint64(kind)
}

func (f *field) key() uint64 { return key(f.number, f.kind) }

// nextField splits a field off. rest is nil and ok false for what is no field.
func nextField(data []byte, f *field) (rest []byte, ok bool) {
	tag, n := varint(data)
	if n == 0 {
		return nil, false
	}
	data = data[n:]
	f.number, f.kind = protowire.Number(tag>>3), protowire.Type(tag&7)
	if tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return nil, false
	}
	switch f.kind {
	case protowire.VarintType:
		if f.value, n = varint(data); n == 0 {
			return nil, false
		}
	case protowire.Fixed64Type:
		if n = 8; len(data) < n {
			return nil, false
		}
		f.value = binary.LittleEndian.Uint64(data)
	case protowire.Fixed32Type:
		if n = 4; len(data) < n {
			return nil, false
		}
		f.value = uint64(binary.LittleEndian.Uint32(data))
	case protowire.BytesType:
		length, head := varint(data)
		if head == 0 || length > uint64(len(data)-head) {
			return nil, false
		}
		n = head + int(length)
		f.bytes = data[head:n]
	default: // groups: nobody sends them
		if n = protowire.ConsumeFieldValue(f.number, f.kind, data); n < 0 {
			return nil, false
		}
	}
	return data[n:], true
}

// varint reads a base-128 number; n is 0 for what is none.
func varint(data []byte) (v uint64, n int) {
	if len(data) > 0 && data[0] < 0x80 {
		return uint64(data[0]), 1
	}
	if len(data) > 1 && data[1] < 0x80 {
		return uint64(data[0]&0x7f) | uint64(data[1])<<7, 2
	}
	v, n = protowire.ConsumeVarint(data)
	if n < 0 {
		return 0, 0
	}
	return v, n
}
