package conn

import (
	"encoding/binary"
	"io"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// decoder takes the frames of one client apart, whatever the pieces in which
// they come. It keeps memory for a connection only while a frame or a message
// is incomplete.
//
// It accepts and refuses what gorilla/websocket does (compression is not
// offered), lengths that are not minimal and close frames of one byte included.
// Of the pings of one call only the latest is noted: RFC 6455, section 5.5.3,
// lets the others go unanswered.
type decoder struct {
	rest   *incomplete
	opcode byte // of the message whose fragments come; 0: none
}

// incomplete is what has to wait for more bytes.
type incomplete struct {
	frame   []byte // the beginning of a frame as it came
	message []byte // unmasked fragments of a message
}

// inbox is what decoders of one goroutine share: what the latest call found,
// and buffers. The zero value is ready.
type inbox struct {
	payloads [][]byte // whole messages, in order; they lie in the input or in lent
	ping     []byte   // the latest ping's payload
	pinged   bool
	lent     [][]byte // buffers of messages that did not come in one piece
	free     [][]byte
}

// Bounds of what an inbox keeps for reuse.
const (
	maxFreeBuffers  = 16
	maxFreeCapacity = 4 << 10
)

// reset forgets what was found: it was used.
func (in *inbox) reset() {
	clear(in.payloads)
	in.payloads, in.ping, in.pinged = in.payloads[:0], nil, false
	for i, b := range in.lent {
		in.release(b)
		in.lent[i] = nil
	}
	in.lent = in.lent[:0]
}

func (in *inbox) buffer() []byte {
	last := len(in.free) - 1
	if last < 0 {
		return make([]byte, 0, 64)
	}
	b := in.free[last]
	in.free[last] = nil
	in.free = in.free[:last]
	return b[:0]
}

func (in *inbox) release(b []byte) {
	if c := cap(b); c > 0 && c <= maxFreeCapacity && len(in.free) < maxFreeBuffers {
		in.free = append(in.free, b)
	}
}

// rules are what a connection's messages have to obey.
type rules struct {
	limit int64 // bytes of a message
	text  bool  // text messages, not binary ones
}

// decode takes in what came next and puts into box what is complete. It
// unmasks in place and keeps nothing of input. On an error, a
// *websocket.CloseError for a close frame, what came before it is in box, and
// nothing more may be decoded.
func (d *decoder) decode(input []byte, r rules, box *inbox) error {
	if d.rest != nil && len(d.rest.frame) > 0 {
		var err error
		if input, err = d.resume(input, r, box); err != nil {
			return err
		}
	}
	for len(input) > 0 {
		h, err := d.header(input, r)
		if err != nil {
			return err
		}
		if h.missing(len(input)) > 0 {
			d.keep(input, box)
			return nil
		}
		end := h.size + int(h.payload)
		if err := d.take(h, input[h.size:end], r, box); err != nil {
			return err
		}
		input = input[end:]
	}
	return nil
}

// keep sets the beginning of a frame aside.
func (d *decoder) keep(input []byte, box *inbox) {
	if d.rest == nil {
		d.rest = &incomplete{}
	}
	d.rest.frame = append(box.buffer(), input...)
}

// resume completes the frame that was set aside, as far as input goes, and gives
// what is left of input.
func (d *decoder) resume(input []byte, r rules, box *inbox) ([]byte, error) {
	rest := d.rest
	for len(input) > 0 {
		h, err := d.header(rest.frame, r)
		if err != nil {
			return nil, err
		}
		n := min(h.missing(len(rest.frame)), len(input))
		rest.frame = append(rest.frame, input[:n]...)
		input = input[n:]
		if h, err = d.header(rest.frame, r); err != nil {
			return nil, err
		}
		if h.missing(len(rest.frame)) > 0 {
			continue // the header was completed, or input is used up
		}
		whole := rest.frame
		rest.frame = nil
		d.tidy()
		box.lent = append(box.lent, whole)
		return input, d.take(h, whole[h.size:], r, box)
	}
	return nil, nil
}

// tidy lets go of memory that an idle connection need not have.
func (d *decoder) tidy() {
	if d.rest != nil && d.rest.frame == nil && d.rest.message == nil {
		d.rest = nil
	}
}

// take handles a whole frame; payload is still masked.
func (d *decoder) take(h frameHeader, payload []byte, r rules, box *inbox) error {
	unmask(payload, h.mask)
	switch h.opcode {
	case opPong:
		return nil
	case opPing:
		box.ping, box.pinged = payload, true
		return nil
	case opClose:
		return closedBy(payload)
	}
	if h.opcode != opContinuation && h.final {
		return deliver(payload, r, box)
	}
	if d.rest == nil {
		d.rest = &incomplete{}
	}
	if d.rest.message == nil {
		d.rest.message = box.buffer()
	}
	d.rest.message = append(d.rest.message, payload...)
	if !h.final {
		if h.opcode != opContinuation {
			d.opcode = h.opcode
		}
		return nil
	}
	message := d.rest.message
	d.rest.message, d.opcode = nil, 0
	d.tidy()
	box.lent = append(box.lent, message)
	return deliver(message, r, box)
}

func deliver(message []byte, r rules, box *inbox) error {
	if r.text && !utf8.Valid(message) {
		return ErrNotText
	}
	box.payloads = append(box.payloads, message)
	return nil
}

// closedBy is the error for a close frame.
func closedBy(payload []byte) error {
	if len(payload) < 2 {
		return &websocket.CloseError{Code: websocket.CloseNoStatusReceived}
	}
	code, text := int(binary.BigEndian.Uint16(payload)), payload[2:]
	if !validCloseCode(code) || !utf8.Valid(text) {
		return ErrProtocol
	}
	return &websocket.CloseError{Code: code, Text: string(text)}
}

// validCloseCode says whether a client may send this code. Source: RFC 6455,
// section 7.4, and the IANA registry of close codes.
func validCloseCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code < 1000 || code > 1013:
		return false
	}
	return code != 1004 && code != websocket.CloseNoStatusReceived && code != websocket.CloseAbnormalClosure
}

// frameHeader is a decoded header, as far as it is there.
type frameHeader struct {
	size    int   // bytes of the header
	payload int64 // bytes; -1: the header is not complete
	mask    uint32
	opcode  byte
	final   bool
}

// missing is how many bytes the header lacks, or the frame if that is complete.
func (h *frameHeader) missing(have int) int {
	if h.payload < 0 {
		return h.size - have
	}
	return max(0, h.size+int(h.payload)-have)
}

const (
	opContinuation = 0x0
	reservedBits   = 0x70
	maskBit        = 0x80
	maskSize       = 4
)

// header decodes the header at the start of b and refuses it as soon as it can.
// Source: RFC 6455, section 5.2.
func (d *decoder) header(b []byte, r rules) (h frameHeader, err error) {
	h.size, h.payload = 2, -1
	if len(b) < 2 {
		return h, nil
	}
	h.opcode, h.final = b[0]&0x0f, b[0]&finalFrame != 0
	length := b[1] &^ maskBit
	if b[0]&reservedBits != 0 || b[1]&maskBit == 0 || !d.expected(h, length) {
		return h, ErrProtocol
	}
	payload := int64(length)
	switch length {
	case 126:
		h.size += 2
		if len(b) < h.size {
			return h, nil
		}
		payload = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.size += 8
		if len(b) < h.size {
			return h, nil
		}
		if payload = int64(binary.BigEndian.Uint64(b[2:])); payload < 0 {
			return h, ErrTooLarge
		}
	}
	h.size += maskSize
	if len(b) < h.size {
		return h, nil
	}
	h.mask = binary.LittleEndian.Uint32(b[h.size-maskSize:])
	if h.opcode < opClose {
		if payload > r.limit-int64(d.gathered()) {
			return h, ErrTooLarge
		}
		if h.opcode != opContinuation && r.text != (h.opcode == OpText) {
			return h, ErrWrongOpcode
		}
	}
	h.payload = payload
	return h, nil
}

// expected says whether a frame of this kind may come now.
func (d *decoder) expected(h frameHeader, length byte) bool {
	switch h.opcode {
	case OpText, OpBinary:
		return d.opcode == 0
	case opContinuation:
		return d.opcode != 0
	case opClose, opPing, opPong:
		return h.final && length <= maxControl
	}
	return false
}

// gathered is how much of a message in fragments is here.
func (d *decoder) gathered() int {
	if d.rest == nil {
		return 0
	}
	return len(d.rest.message)
}

// unmask removes the mask from a payload. key holds the mask's first byte
// lowest. Source: RFC 6455, section 5.3.
func unmask(payload []byte, key uint32) {
	if key == 0 {
		return
	}
	wide := uint64(key)<<32 | uint64(key)
	for len(payload) >= 8 {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)^wide)
		payload = payload[8:]
	}
	for i := range payload {
		payload[i] ^= byte(wide >> (8 * i))
	}
}

// errEnded is the error for a connection that ended without a close frame.
var errEnded = &websocket.CloseError{Code: websocket.CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}
