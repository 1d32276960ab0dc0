// Package wire is the client's side of the protocol as a load generator needs
// it: websocket frames and protobuf messages read in place, only as far as the
// generator looks at them, without allocation. Formats: RFC 6455 and
// docs/reference/protocol.md.
package wire

import (
	"encoding/binary"
	"errors"
)

// Opcodes of websocket frames. Source: RFC 6455, section 5.2.
const (
	OpContinuation byte = 0x0
	OpText         byte = 0x1
	OpBinary       byte = 0x2
	OpClose        byte = 0x8
	OpPing         byte = 0x9
	OpPong         byte = 0xA
)

const (
	finalBit    = 0x80
	reservedBit = 0x70
	maskBit     = 0x80
	maxControl  = 125
	maskSize    = 4
)

// MaxMessage bounds what is taken from a server in one frame.
const MaxMessage = 16 << 20

// Errors of what a server must not send.
var (
	ErrFrame    = errors.New("not a websocket frame of a server")
	ErrTooLarge = errors.New("a frame of more than 16 MiB")
)

// Frame is a websocket frame as it came from a server. Payload points into what
// was parsed.
type Frame struct {
	Opcode  byte
	Final   bool
	Payload []byte
}

// NextFrame reads the frame at the beginning of data. size is how many bytes it
// takes; 0 means that it is not all there yet.
func NextFrame(data []byte) (f Frame, size int, err error) {
	if len(data) < 2 {
		return f, 0, nil
	}
	first, second := data[0], data[1]
	f.Opcode, f.Final = first&0xf, first&finalBit != 0
	if first&reservedBit != 0 || second&maskBit != 0 || f.Opcode > OpBinary && f.Opcode < OpClose || f.Opcode > OpPong {
		return f, 0, ErrFrame
	}
	length, head := uint64(second), 2
	switch {
	case f.Opcode >= OpClose && (second > maxControl || !f.Final):
		return f, 0, ErrFrame
	case second == 126:
		if head = 4; len(data) < head {
			return f, 0, nil
		}
		length = uint64(binary.BigEndian.Uint16(data[2:]))
	case second == 127:
		if head = 10; len(data) < head {
			return f, 0, nil
		}
		length = binary.BigEndian.Uint64(data[2:])
	}
	if length > MaxMessage {
		return f, 0, ErrTooLarge
	}
	size = head + int(length)
	if len(data) < size {
		return f, 0, nil
	}
	f.Payload = data[head:size:size]
	return f, size, nil
}

// room before the payload of a frame that is being written: the longer header
// and the mask.
const room = 4 + maskSize

// BeginFrame makes room for the header of a frame; the payload, of less than 64
// KiB, is appended next and EndFrame called with the length that dst had before.
func BeginFrame(dst []byte) []byte {
	return append(dst, make([]byte, room)...)
}

// EndFrame writes header and mask of the frame that begins at start and masks
// its payload.
func EndFrame(dst []byte, start int, opcode byte, mask uint32) []byte {
	payload := dst[start+room:]
	n := len(payload)
	head := dst[start:]
	head[0] = finalBit | opcode
	at := 4
	if n <= 125 {
		copy(dst[start+2+maskSize:], payload)
		dst = dst[:len(dst)-2]
		head[1] = maskBit | byte(n)
		at = 2
	} else {
		head[1] = maskBit | 126
		binary.BigEndian.PutUint16(head[2:], uint16(n))
	}
	binary.LittleEndian.PutUint32(head[at:], mask)
	xor(dst[start+at+maskSize:], mask)
	return dst
}

// xor masks. Source: RFC 6455, section 5.3.
func xor(b []byte, mask uint32) {
	wide := uint64(mask)<<32 | uint64(mask)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * (i & 3)))
	}
}

// AppendControl appends a control frame (ping, pong, close) with a payload of at
// most 125 bytes.
func AppendControl(dst []byte, opcode byte, payload []byte, mask uint32) []byte {
	start := len(dst)
	dst = append(BeginFrame(dst), payload[:min(len(payload), maxControl)]...)
	return EndFrame(dst, start, opcode, mask)
}

// CloseReason reads the payload of a close frame. Without a code it is 1005.
// Source: RFC 6455, sections 5.5.1 and 7.1.5.
func CloseReason(payload []byte) (code int, reason string) {
	if len(payload) < 2 {
		return 1005, ""
	}
	return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
}
