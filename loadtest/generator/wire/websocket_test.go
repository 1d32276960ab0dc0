package wire_test

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/starling-vr/starling/loadtest/generator/wire"
)

// peer upgrades a pipe with gorilla's server and our upgrade.
func peer(t testing.TB) (*websocket.Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	upgraded := make(chan *websocket.Conn, 1)
	go func() {
		request, err := http.ReadRequest(bufio.NewReader(far))
		if err != nil {
			close(upgraded)
			return
		}
		upgrader := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
		ws, err := upgrader.Upgrade(hijacked{far, http.Header{}}, request, nil)
		if err != nil {
			close(upgraded)
			return
		}
		upgraded <- ws
	}()
	nonce := [16]byte{1, 2, 3}
	if _, err := near.Write(wire.UpgradeRequest("example.org", "/v1/ws", nonce)); err != nil {
		t.Fatal(err)
	}
	var answer []byte
	for {
		buffer := make([]byte, 512)
		n, err := near.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		answer = append(answer, buffer[:n]...)
		size, err := wire.UpgradeResponse(answer, nonce)
		if err != nil {
			t.Fatal(err)
		}
		if size == len(answer) {
			break
		}
	}
	ws := <-upgraded
	if ws == nil {
		t.Fatal("gorilla refused the upgrade")
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return ws, near
}

type hijacked struct {
	net.Conn
	header http.Header
}

func (h hijacked) Header() http.Header { return h.header }
func (h hijacked) WriteHeader(int)     {}
func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.Conn, bufio.NewReadWriter(bufio.NewReader(h.Conn), bufio.NewWriter(h.Conn)), nil
}

var sizes = []int{0, 1, 125, 126, 127, 4000, 65535, 65536, 70000}

func TestGorillaReadsOurFrames(t *testing.T) {
	ws, near := peer(t)
	for _, size := range sizes {
		if size > 65535 {
			continue // more than a client says
		}
		payload := bytes.Repeat([]byte{0xa5, 1, 2}, size)[:size]
		frame := append(wire.BeginFrame([]byte("before")), payload...)
		frame = wire.EndFrame(frame, len("before"), wire.OpBinary, 0xdeadbeef)
		go func() { _, _ = near.Write(frame[len("before"):]) }()
		kind, got, err := ws.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage || !bytes.Equal(got, payload) {
			t.Fatalf("size %d: kind %d, %d bytes, %v", size, kind, len(got), err)
		}
	}
}

func TestWeReadGorillasFrames(t *testing.T) {
	ws, near := peer(t)
	for _, size := range sizes {
		payload := bytes.Repeat([]byte{7, 8, 9}, size)[:size]
		written := make(chan error)
		go func() { written <- ws.WriteMessage(websocket.BinaryMessage, payload) }()
		var data []byte
		for {
			buffer := make([]byte, 1000) // cut anywhere
			n, err := near.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, buffer[:n]...)
			f, taken, err := wire.NextFrame(data)
			if err != nil {
				t.Fatal(err)
			}
			if taken > 0 {
				if taken != len(data) || f.Opcode != wire.OpBinary || !f.Final || !bytes.Equal(f.Payload, payload) {
					t.Fatalf("size %d: %d of %d bytes, %+v", size, taken, len(data), f)
				}
				break
			}
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
}

func TestControlFrames(t *testing.T) {
	ws, near := peer(t)
	ponged := make(chan string, 1)
	ws.SetPongHandler(func(data string) error { ponged <- data; return nil })
	go func() {
		_, _ = near.Write(wire.AppendControl(nil, wire.OpPong, []byte("hey"), 5))
		_, _ = near.Write(wire.AppendControl(nil, wire.OpClose, websocket.FormatCloseMessage(1000, "bye"), 6))
		_, _ = near.Read(make([]byte, 100)) // gorilla's answer
	}()
	_, _, err := ws.ReadMessage()
	if got := <-ponged; got != "hey" {
		t.Errorf("pong %q", got)
	}
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 1000 || closed.Text != "bye" {
		t.Errorf("closed by %v", err)
	}
	if code, reason := wire.CloseReason(websocket.FormatCloseMessage(4000, "reconnect in 1s: x")); code != 4000 || reason != "reconnect in 1s: x" {
		t.Errorf("%d %q", code, reason)
	}
	if code, _ := wire.CloseReason(nil); code != 1005 {
		t.Errorf("%d", code)
	}
}

func TestRefusedUpgrades(t *testing.T) {
	good := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + wire.AcceptKey([16]byte{}) +
		"\r\nSec-WebSocket-Protocol: starling.v1.proto\r\n\r\n"
	if n, err := wire.UpgradeResponse([]byte(good+"more"), [16]byte{}); err != nil || n != len(good) {
		t.Errorf("%d, %v", n, err)
	}
	for name, answer := range map[string]string{
		"garbage":     "hello there\r\n\r\n",
		"wrong key":   strings.Replace(good, wire.AcceptKey([16]byte{}), "x", 1),
		"no protocol": strings.Replace(good, "starling.v1.proto", "chat", 1),
		"no upgrade":  strings.Replace(good, "Upgrade: websocket", "Upgrade: h2c", 1),
		"endless":     strings.Repeat("x", wire.MaxResponse+1),
	} {
		if _, err := wire.UpgradeResponse([]byte(answer), [16]byte{}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var status *wire.StatusError
	if _, err := wire.UpgradeResponse([]byte("HTTP/1.1 503 Service Unavailable\r\n\r\n"), [16]byte{}); !errors.As(err, &status) || status.Code != 503 {
		t.Errorf("%v", err)
	}
}

// FuzzFrames: whatever comes, reading ends, stays within the data, and what is
// whole is read the same when it comes in pieces.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x82, 3, 1, 2, 3, 0x89, 0})
	f.Add([]byte{0x82, 126, 0, 130})
	f.Add([]byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0})
	f.Add([]byte{0x88, 2, 0x0f, 0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			frame, size, err := wire.NextFrame(data)
			if err != nil || size == 0 {
				return
			}
			if size > len(data) || len(frame.Payload) > size {
				t.Fatalf("%d bytes of %d", size, len(data))
			}
			if _, early, err := wire.NextFrame(data[:size-1]); early != 0 || err != nil {
				t.Fatalf("a cut frame: %d, %v", early, err)
			}
			data = data[size:]
		}
	})
}
