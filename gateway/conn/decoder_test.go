package conn

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// heard is what a stream of a client's bytes amounts to.
type heard struct {
	messages []string
	ping     string // the latest
	pinged   bool
	end      string
}

// decoded is what our decoder makes of a stream that comes in pieces of the
// given sizes, again and again.
func decoded(stream []byte, pieces []byte, r rules) (h heard, left *incomplete) {
	var d decoder
	var box inbox
	var err error
	buffer := make([]byte, len(stream))
	for i := 0; len(stream) > 0 && err == nil; i++ {
		n := len(stream)
		if len(pieces) > 0 {
			n = min(n, 1+int(pieces[i%len(pieces)]))
		}
		piece := buffer[:copy(buffer, stream[:n])]
		stream = stream[n:]
		err = d.decode(piece, r, &box)
		for _, p := range box.payloads {
			h.messages = append(h.messages, string(p))
		}
		if box.pinged {
			h.ping, h.pinged = string(box.ping), true
		}
		box.reset()
		for j := range piece { // what is kept must not lie there
			piece[j] = 0xAA
		}
	}
	if err == nil {
		err = errEnded
	}
	h.end = name(err)
	return h, d.rest
}

func name(err error) string {
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &closed):
		return closed.Error()
	case errors.Is(err, ErrTooLarge), errors.Is(err, websocket.ErrReadLimit):
		return ErrTooLarge.Error()
	case errors.Is(err, ErrWrongOpcode), errors.Is(err, ErrNotText):
		return err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errEnded.Error()
	}
	return ErrProtocol.Error()
}

// stream is a network connection that brings a handshake's end and then a
// client's bytes.
type stream struct {
	net.Conn // nil: nothing else is called
	in       *bytes.Reader
}

func (s *stream) Read(p []byte) (int, error)     { return s.in.Read(p) }
func (*stream) Write(p []byte) (int, error)      { return len(p), nil }
func (*stream) Close() error                     { return nil }
func (*stream) SetDeadline(time.Time) error      { return nil }
func (*stream) SetWriteDeadline(time.Time) error { return nil }
func (s *stream) Header() http.Header            { return http.Header{} }
func (s *stream) WriteHeader(int)                {}
func (s *stream) hijacked() (r *bufio.ReadWriter) {
	return bufio.NewReadWriter(bufio.NewReader(s), bufio.NewWriter(s))
}
func (s *stream) Hijack() (net.Conn, *bufio.ReadWriter, error) { return s, s.hijacked(), nil }

// read is what gorilla makes of a stream, with the rules of ours that gorilla
// has not: which opcode, and that text is text.
func read(input []byte, r rules) (h heard, err error) {
	request, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
	if err != nil {
		return h, err
	}
	for key, value := range map[string]string{"Connection": "upgrade", "Upgrade": "websocket",
		"Sec-Websocket-Version": "13", "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		request.Header.Set(key, value)
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(&stream{in: bytes.NewReader(input)}, request, nil)
	if err != nil {
		return h, err
	}
	ws.SetReadLimit(r.limit)
	ws.SetPingHandler(func(data string) error {
		h.ping, h.pinged = data, true
		return nil
	})
	for {
		kind, reader, err := ws.NextReader()
		if err == nil && r.text != (kind == websocket.TextMessage) {
			err = ErrWrongOpcode
		}
		var message []byte
		if err == nil {
			message, err = io.ReadAll(reader)
		}
		if err == nil && r.text && !utf8.Valid(message) {
			err = ErrNotText
		}
		if err != nil {
			h.end = name(err)
			return h, nil
		}
		h.messages = append(h.messages, string(message))
	}
}

func compare(t *testing.T, input, pieces []byte, r rules) {
	t.Helper()
	want, err := read(input, r)
	if err != nil {
		t.Fatal(err)
	}
	got, left := decoded(input, pieces, r)
	if !slices.Equal(got.messages, want.messages) || got.pinged != want.pinged || got.ping != want.ping || got.end != want.end {
		t.Fatalf("decoded %+v\ngorilla %+v\nof %x in pieces of %v, %+v", got, want, input, pieces, r)
	}
	if left != nil {
		if kept := len(left.frame) + len(left.message); int64(kept) > r.limit+maxControl+MaxHeader+maskSize {
			t.Fatalf("%d bytes kept with a limit of %d", kept, r.limit)
		}
		if left.frame == nil && left.message == nil {
			t.Fatal("memory kept for nothing")
		}
	}
}

// FuzzBytes holds the decoder against gorilla over any bytes, cut anywhere.
func FuzzBytes(f *testing.F) {
	for _, text := range []bool{false, true} {
		for _, s := range shapes {
			f.Add(s.encode(), []byte{}, text)
			f.Add(s.encode(), []byte{0}, text)
			f.Add(s.encode(), []byte{2, 0, 9}, text)
		}
	}
	f.Fuzz(func(t *testing.T, input, pieces []byte, text bool) {
		compare(t, input, pieces, rules{limit: 300, text: text})
	})
}

// FuzzFrames does so over sequences of frames that are nearly right: each four
// bytes of plan are one frame.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 2, 5, 0}, []byte{}, uint64(1), false)
	f.Add([]byte{1, 1, 10, 0, 0, 9, 4, 0, 0, 0, 20, 0}, []byte{0}, uint64(2), true)
	f.Add([]byte{1, 2, 200, 0, 1, 0, 200, 0, 0, 0, 1, 0}, []byte{7, 1}, uint64(3), false)
	f.Add([]byte{0, 8, 2, 0, 0, 2, 1, 0}, []byte{3}, uint64(4), false)
	f.Add([]byte{0, 2, 126, 1, 0, 10, 125, 0, 0, 9, 126, 2}, []byte{}, uint64(5), false)
	f.Fuzz(func(t *testing.T, plan, pieces []byte, seed uint64, text bool) {
		random := rand.New(rand.NewPCG(seed, 0))
		var s shape
		for ; len(plan) >= 4 && len(s) < 32; plan = plan[4:] {
			s = append(s, planned(plan, random))
		}
		compare(t, s.encode(), pieces, rules{limit: 300, text: text})
	})
}

// planned makes a frame of four bytes: flags, opcode, length and how the length
// is written.
func planned(plan []byte, random *rand.Rand) piece {
	p := piece{opcode: plan[1] & 0xf, more: plan[0]&1 != 0, reserved: plan[0] >> 4 & 7, bare: plan[0]&0xe == 0xe, wide: int(plan[3] & 3)}
	p.payload = make([]byte, int(plan[2])+int(plan[3]>>6)*100)
	for i := range p.payload {
		p.payload[i] = byte(' ' + random.IntN(90))
	}
	if plan[0]&8 != 0 && len(p.payload) > 0 {
		p.payload[random.IntN(len(p.payload))] = byte(random.Uint32())
	}
	if p.opcode == opClose && len(p.payload) >= 2 {
		binary.BigEndian.PutUint16(p.payload, uint16(998+random.IntN(20)+int(plan[3]>>5)*1000))
	}
	p.mask = random.Uint32()
	return p
}

// piece is a frame, or nearly one.
type piece struct {
	opcode   byte
	more     bool // no FIN
	reserved byte
	bare     bool // not masked
	wide     int  // 1: length of 2 bytes, 2: of 8 bytes, needed or not; 3: of 8 bytes, giant
	mask     uint32
	payload  []byte
}

type shape []piece

func (s shape) encode() (b []byte) {
	for _, p := range s {
		first, second := p.opcode|p.reserved<<4, byte(maskBit)
		if !p.more {
			first |= finalFrame
		}
		if p.bare {
			second = 0
		}
		n := len(p.payload)
		switch {
		case p.wide == 3:
			b = binary.BigEndian.AppendUint64(append(b, first, second|127), 1<<63|uint64(n))
		case p.wide == 2 || n > 0xffff:
			b = binary.BigEndian.AppendUint64(append(b, first, second|127), uint64(n))
		case p.wide == 1 || n > 125:
			b = binary.BigEndian.AppendUint16(append(b, first, second|126), uint16(n))
		default:
			b = append(b, first, second|byte(n))
		}
		if p.bare {
			b = append(b, p.payload...)
			continue
		}
		b = binary.LittleEndian.AppendUint32(b, p.mask)
		for i, x := range p.payload {
			b = append(b, x^byte(p.mask>>(8*(i%4))))
		}
	}
	return b
}

func closing(code uint16, text string) piece {
	return piece{opcode: opClose, payload: append(binary.BigEndian.AppendUint16(nil, code), text...), mask: 9}
}

// shapes are the kinds of frames that there are.
var shapes = []shape{
	{{opcode: OpBinary, payload: []byte("binary"), mask: 0x01020304}},
	{{opcode: OpText, payload: []byte("text ü"), mask: 0xff00ff00}},
	{{opcode: OpText, payload: []byte("no \xff text"), mask: 1}},
	{{opcode: OpText, more: true, payload: []byte("cut \xc3"), mask: 1}, {payload: []byte("\xbc"), mask: 2}},
	{{opcode: OpBinary, payload: nil, mask: 5}, {opcode: OpBinary, payload: []byte("after nothing")}},
	{{opcode: OpBinary, more: true, mask: 3}, {more: true, mask: 3}, {mask: 3}},
	{{opcode: OpBinary, more: true, payload: []byte("one "), mask: 3}, {opcode: opPing, payload: []byte("?"), mask: 3},
		{more: true, payload: []byte("two "), mask: 4}, {opcode: opPong, payload: []byte("!"), mask: 3}, {payload: []byte("three"), mask: 5},
		{opcode: OpBinary, payload: []byte("next"), mask: 8}},
	{{opcode: OpBinary, more: true, payload: []byte("one")}, {opcode: OpBinary, payload: []byte("two")}},
	{{payload: []byte("continuation of nothing")}},
	{{opcode: OpBinary, more: true, payload: make([]byte, 200)}, {payload: make([]byte, 100)}},
	{{opcode: OpBinary, more: true, payload: make([]byte, 200)}, {payload: make([]byte, 101)}},
	{{opcode: OpBinary, payload: make([]byte, 300)}},
	{{opcode: OpBinary, payload: make([]byte, 301)}},
	{{opcode: OpBinary, wide: 1, payload: []byte("short"), mask: 7}},
	{{opcode: OpBinary, wide: 2, payload: []byte("short"), mask: 7}},
	{{opcode: OpBinary, wide: 3}},
	{{opcode: opPing, wide: 1, payload: []byte("ping")}},
	{{opcode: opPing, payload: make([]byte, 125), mask: 7}, {opcode: opPing, mask: 7}},
	{{opcode: opPing, payload: make([]byte, 126)}},
	{{opcode: opPing, more: true}},
	{{opcode: OpBinary, reserved: 1}}, {{opcode: OpBinary, reserved: 2}}, {{opcode: OpBinary, reserved: 4}},
	{{opcode: OpBinary, bare: true, payload: []byte("unmasked")}},
	{{opcode: 3}}, {{opcode: 7}}, {{opcode: 11}}, {{opcode: 15}},
	{{opcode: opClose}}, {{opcode: opClose, payload: []byte{3}}},
	{closing(1000, "bye"), {opcode: OpBinary, payload: []byte("too late")}},
	{closing(999, "")}, {closing(1004, "")}, {closing(1005, "")}, {closing(1006, "")}, {closing(1011, "")}, {closing(1014, "")},
	{closing(1015, "")}, {closing(2999, "")}, {closing(3000, "")}, {closing(4999, "")}, {closing(5000, "")}, {closing(1000, "no \xff text")},
}

// What an idle connection keeps is nothing, and messages that come whole cost no
// memory either.
func TestDecodeAllocates(t *testing.T) {
	var d decoder
	var box inbox
	source := shape{{opcode: OpBinary, payload: make([]byte, 60), mask: 1}, {opcode: opPong, mask: 2}, {opcode: OpBinary, payload: make([]byte, 10), mask: 1}}.encode()
	buffer := make([]byte, len(source))
	whole := func() {
		copy(buffer, source)
		if err := d.decode(buffer, rules{limit: 100}, &box); err != nil || len(box.payloads) != 2 {
			t.Fatal(err, len(box.payloads))
		}
		box.reset()
	}
	whole()
	if n := testing.AllocsPerRun(100, whole); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if d.rest != nil {
		t.Error("memory kept")
	}
}

func TestUnmask(t *testing.T) {
	for n := range 40 {
		for offset := range 9 {
			room := bytes.Repeat([]byte{0x5c}, offset+n+1)
			payload := room[offset : offset+n]
			key := uint32(0x04030201)
			unmask(payload, key)
			for i, b := range payload {
				if b != 0x5c^byte(key>>(8*(i%4))) {
					t.Fatalf("%d bytes at %d: byte %d is %x", n, offset, i, b)
				}
			}
			if room[offset+n] != 0x5c {
				t.Fatal("wrote past the end")
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	var d decoder
	var box inbox
	source := shape{{opcode: OpBinary, payload: make([]byte, 60), mask: 0x12345678}}.encode()
	buffer := make([]byte, len(source))
	b.ReportAllocs()
	for b.Loop() {
		copy(buffer, source)
		if d.decode(buffer, rules{limit: 16 << 10}, &box) != nil || len(box.payloads) != 1 {
			b.Fatal("not decoded")
		}
		box.reset()
	}
}
