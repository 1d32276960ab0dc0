package yardstick

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/generator/wire"
)

// What a client of the load tester writes is read the same, in whatever pieces it
// comes.
func TestFramesOfTheLoadTesterAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var said [][]byte
		var stream []byte
		for range rapid.IntRange(1, 5).Draw(t, "frames") {
			payload := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "payload")
			begin := len(stream)
			stream = wire.EndFrame(append(wire.BeginFrame(stream), payload...), begin, wire.OpBinary, rapid.Uint32().Draw(t, "mask"))
			said = append(said, payload)
		}
		var got [][]byte
		for have := []byte(nil); len(stream) > 0; {
			n := rapid.IntRange(1, len(stream)).Draw(t, "piece")
			have, stream = append(have, stream[:n]...), stream[n:]
			for {
				opcode, payload, size, err := nextFrame(have)
				if err != nil {
					t.Fatal(err)
				}
				if size == 0 {
					break
				}
				if opcode != wire.OpBinary {
					t.Fatalf("opcode %d", opcode)
				}
				got, have = append(got, bytes.Clone(payload)), have[size:]
			}
		}
		if len(got) != len(said) {
			t.Fatalf("%d frames, want %d", len(got), len(said))
		}
		for i := range got {
			if !bytes.Equal(got[i], said[i]) {
				t.Fatalf("frame %d: %x, want %x", i, got[i], said[i])
			}
		}
	})
}

// FuzzNextFrame: whatever comes, reading stays within the data, and a frame that
// is cut off is not taken for whole.
func FuzzNextFrame(f *testing.F) {
	f.Add([]byte{0x82, 0x83, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte{0x82, 0xfe, 0, 200, 1, 2, 3, 4})
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{0x02, 0x80, 0, 0, 0, 0})
	f.Add([]byte{0x88, 0x80, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, payload, size, err := nextFrame(bytes.Clone(data))
		if err != nil || size == 0 {
			return
		}
		if size > len(data) || len(payload) > size || len(payload) > mostMessage {
			t.Fatalf("%d bytes with %d of payload, of %d", size, len(payload), len(data))
		}
		if _, _, early, err := nextFrame(bytes.Clone(data[:size-1])); early != 0 || err != nil {
			t.Fatalf("cut off: %d, %v", early, err)
		}
	})
}

// FuzzUpgrade: a request is taken whole or not at all, and the answer is one that
// the load tester takes.
func FuzzUpgrade(f *testing.F) {
	nonce := [16]byte{1, 2, 3}
	f.Add(wire.UpgradeRequest("localhost", "/v1/ws", nonce))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		answer, size, err := upgrade(data)
		if err != nil || size == 0 {
			return
		}
		if size > len(data) || !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) || !bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
			t.Fatalf("%d of %d bytes: %q", size, len(data), answer)
		}
	})
}

func TestUpgrade(t *testing.T) {
	nonce := [16]byte{7}
	request := wire.UpgradeRequest("localhost", "/v1/ws", nonce)
	answer, size, err := upgrade(append(request, "more"...))
	if err != nil || size != len(request) {
		t.Fatalf("%d of %d, %v", size, len(request), err)
	}
	if n, err := wire.UpgradeResponse(answer, nonce); err != nil || n != len(answer) {
		t.Errorf("%d of %d, %v", n, len(answer), err)
	}
	if _, size, err := upgrade(request[:len(request)-1]); size != 0 || err != nil {
		t.Errorf("cut off: %d, %v", size, err)
	}
	for _, bad := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"nonsense\r\n\r\n",
		string(bytes.Replace(request, []byte(wire.Subprotocol), []byte("chat"), 1)),
		string(bytes.Repeat([]byte{'x'}, mostMessage+1)),
	} {
		if _, size, err := upgrade([]byte(bad)); err == nil {
			t.Errorf("%d bytes of %.40q were taken", size, bad)
		}
	}
}
