package conn

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Opcodes of websocket frames. Source: RFC 6455, section 5.2.
const (
	OpText   byte = 0x1
	OpBinary byte = 0x2
	opClose  byte = 0x8
	opPing   byte = 0x9
	opPong   byte = 0xA

	finalFrame = 0x80
	// maxControl is the longest payload of a control frame.
	maxControl = 125
	// MaxHeader is the longest header of a frame that a server sends.
	MaxHeader = 10
)

// HeaderSize gives the bytes of the header for a payload of so many bytes.
func HeaderSize(payload int) int {
	switch {
	case payload <= 125:
		return 2
	case payload <= 0xffff:
		return 4
	}
	return MaxHeader
}

// AppendHeader appends the header of a whole, unmasked frame with a payload of
// so many bytes. Source: RFC 6455, section 5.2.
func AppendHeader(dst []byte, opcode byte, payload int) []byte {
	dst = append(dst, finalFrame|opcode)
	switch HeaderSize(payload) {
	case 2:
		return append(dst, byte(payload))
	case 4:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(payload))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(payload))
}

// PutHeader writes the header into the end of space, which has MaxHeader bytes
// and lies just before the payload, and gives the offset at which the frame
// starts.
func PutHeader(space []byte, opcode byte, payload int) int {
	start := MaxHeader - HeaderSize(payload)
	AppendHeader(space[start:start], opcode, payload)
	return start
}

// closeFrame encodes a close frame; the reason is cut to fit a control frame.
func closeFrame(code starlingv1.CloseCode, reason string) []byte {
	reason = strings.ToValidUTF8(reason, "?")
	if limit := maxControl - 2; len(reason) > limit {
		for limit > 0 && !utf8.RuneStart(reason[limit]) {
			limit--
		}
		reason = reason[:limit]
	}
	frame := AppendHeader(make([]byte, 0, 4+len(reason)), opClose, 2+len(reason))
	frame = binary.BigEndian.AppendUint16(frame, uint16(code))
	return append(frame, reason...)
}
