package conn_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// receiver records what it is told.
type receiver struct {
	accepted chan conn.Conn
	messages chan []string // one slice per wake-up
	writable chan struct{}
	closed   chan error
}

func newReceiver() *receiver {
	return &receiver{accepted: make(chan conn.Conn, 1), messages: make(chan []string, 1024), writable: make(chan struct{}, 1024), closed: make(chan error, 1)}
}

func (r *receiver) Messages(_ conn.Conn, payloads [][]byte) {
	var all []string
	for _, p := range payloads {
		all = append(all, string(p))
	}
	r.messages <- all
}
func (r *receiver) Writable(conn.Conn)          { r.writable <- struct{}{} }
func (r *receiver) Closed(_ conn.Conn, e error) { r.closed <- e }

type server struct {
	*httptest.Server
	upgrader *conn.Upgrader
	receiver *receiver
}

// way is one of those behind the interface.
type way struct {
	name             string
	portable, secure bool
}

var ways = []way{{name: "polled"}, {name: "portable", portable: true}, {name: "tls", secure: true}}

// eachWay runs a test over all of them.
func eachWay(t *testing.T, run func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { run(t, w) })
	}
}

func serve(t testing.TB, options conn.Options, w way) *server {
	t.Helper()
	options.Portable = w.portable
	receiver := newReceiver()
	return serveWith(t, options, w, receiver, receiver)
}

// serveWith serves to a receiver of the test's own; r hears who came.
func serveWith(t testing.TB, options conn.Options, w way, r *receiver, told conn.Receiver) *server {
	t.Helper()
	upgrader, err := conn.NewUpgrader(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upgrader.Close)
	s := &server{upgrader: upgrader, receiver: r}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, func(conn.Conn) conn.Receiver { return told })
		if err == nil {
			s.receiver.accepted <- c
		}
	})
	if w.secure {
		s.Server = httptest.NewTLSServer(handler)
	} else {
		s.Server = httptest.NewServer(handler)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) dial(t testing.TB, subprotocol string) (*websocket.Conn, conn.Conn) {
	t.Helper()
	ws := s.connect(t, subprotocol)
	return ws, <-s.receiver.accepted
}

func (s *server) connect(t testing.TB, subprotocol string) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{subprotocol}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

func text(s string) []byte {
	return append(conn.AppendHeader(nil, conn.OpText, len(s)), s...)
}

func TestBothWays(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{}, w)
		ws, c := s.dial(t, conn.JSONSubprotocol)
		if !c.JSON() {
			t.Error("not JSON")
		}
		if err := ws.WriteMessage(websocket.TextMessage, []byte("up")); err != nil {
			t.Fatal(err)
		}
		if got := <-s.receiver.messages; len(got) != 1 || got[0] != "up" {
			t.Errorf("received %q", got)
		}
		if n := c.Write([][]byte{text("one"), text(""), text(strings.Repeat("x", 70000))}); n != 3 {
			t.Errorf("accepted %d of 3", n)
		}
		for _, want := range []string{"one", "", strings.Repeat("x", 70000)} {
			if _, got, err := ws.ReadMessage(); err != nil || string(got) != want {
				t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(want))
			}
		}
		c.Close(starlingv1.CloseCode_FULL, "reconnect in 1.0s: full")
		_, _, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4003 || closed.Text != "reconnect in 1.0s: full" {
			t.Errorf("closed by %v", err)
		}
		_ = ws.Close()
		<-s.receiver.closed
	})
}

// Several messages that one read of the network brings come as one wake-up, and
// a message cut anywhere stays whole.
func TestBatches(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{ReadBuffer: 1024}, w)
		ws, _ := s.dial(t, conn.ProtoSubprotocol)
		raw := ws.NetConn()
		var burst bytes.Buffer
		for i := range 10 {
			burst.Write(masked(websocket.BinaryMessage, []byte(fmt.Sprint("message ", i))))
		}
		last := masked(websocket.BinaryMessage, []byte("the last one"))
		burst.Write(last[:9])
		if _, err := raw.Write(burst.Bytes()); err != nil {
			t.Fatal(err)
		}
		wakeUps, total := 0, 0
		for total < 10 {
			total += len(<-s.receiver.messages)
			wakeUps++
		}
		if wakeUps > 3 {
			t.Errorf("10 messages of one write came with %d wake-ups", wakeUps)
		}
		if _, err := raw.Write(last[9:]); err != nil {
			t.Fatal(err)
		}
		if got := <-s.receiver.messages; len(got) != 1 || got[0] != "the last one" {
			t.Errorf("after the cut: %q", got)
		}
	})
}

// Wherever the network cuts a burst, between the header and the payload of a
// message too: every message comes whole, once, in order.
func TestBurstsCutAnywhere(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{}, w)
		ws, _ := s.dial(t, conn.JSONSubprotocol)
		wanted := []string{"first", "the second", "3", "and the fourth"}
		var burst []byte
		var ends []int
		for _, m := range wanted {
			burst = append(burst, masked(websocket.TextMessage, []byte(m))...)
			ends = append(ends, len(burst))
		}
		for cut := 1; cut < len(burst); cut++ {
			var got []string
			receive := func(n int) {
				for len(got) < n {
					got = append(got, <-s.receiver.messages...)
				}
			}
			if _, err := ws.NetConn().Write(burst[:cut]); err != nil {
				t.Fatal(err)
			}
			whole := 0
			for whole < len(ends) && ends[whole] <= cut {
				whole++
			}
			receive(whole)
			if _, err := ws.NetConn().Write(burst[cut:]); err != nil {
				t.Fatal(err)
			}
			receive(len(wanted))
			if !slices.Equal(got, wanted) {
				t.Fatalf("cut at %d of %d: received %q", cut, len(burst), got)
			}
		}
	})
}

// masked is a client's frame.
func masked(opcode int, payload []byte) []byte {
	frame := []byte{0x80 | byte(opcode), 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		frame = binary.BigEndian.AppendUint16([]byte{frame[0], 0x80 | 126}, uint16(len(payload)))
	}
	mask := [4]byte{1, 2, 3, 4}
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	return frame
}

func TestRefusedFrames(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		for name, tc := range map[string]struct {
			frame []byte
			code  int
			err   error
		}{
			"text on proto": {masked(websocket.TextMessage, []byte("hi")), 4500, conn.ErrWrongOpcode},
			"too large":     {masked(websocket.BinaryMessage, make([]byte, 3000)), 4503, conn.ErrTooLarge},
			"not masked":    {[]byte{0x82, 2, 'h', 'i'}, 4500, conn.ErrProtocol},
			"bad opcode":    {masked(5, []byte("hi")), 4500, conn.ErrProtocol},
			"garbage":       {bytes.Repeat([]byte{0xff}, 100), 4500, conn.ErrProtocol},
		} {
			t.Run(name, func(t *testing.T) {
				s := serve(t, conn.Options{MaxMessage: 2000, CloseWait: 50 * time.Millisecond}, w)
				ws, _ := s.dial(t, conn.ProtoSubprotocol)
				if _, err := ws.NetConn().Write(tc.frame); err != nil {
					t.Fatal(err)
				}
				_, _, err := ws.ReadMessage()
				var closed *websocket.CloseError
				if !errors.As(err, &closed) || closed.Code != tc.code {
					t.Errorf("closed by %v, want code %d", err, tc.code)
				}
				if err := <-s.receiver.closed; !errors.Is(err, tc.err) {
					t.Errorf("Closed(%v), want %v", err, tc.err)
				}
			})
		}
	})
}

// A peer that reads nothing fills its socket; what was accepted arrives whole
// once it reads, and Writable comes.
func TestFullSocket(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{SocketBuffer: 16 << 10}, w)
		ws, c := s.dial(t, conn.JSONSubprotocol)
		frame := text(strings.Repeat("y", 10000))
		taken := 0
		for {
			n := c.Write([][]byte{frame, frame})
			if taken += n; n == 0 { // one that is full in the middle takes nothing more
				break
			}
		}
		for range taken {
			if _, got, err := ws.ReadMessage(); err != nil || len(got) != 10000 {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
		}
		<-s.receiver.writable
		for c.Write([][]byte{text("again")}) == 0 {
			<-s.receiver.writable
		}
		if _, got, err := ws.ReadMessage(); err != nil || string(got) != "again" {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	})
}

// A full socket that is closed leaves no goroutine behind, though its peer
// never reads.
func TestCloseWhileFull(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{SocketBuffer: 16 << 10, CloseWait: 20 * time.Millisecond}, w)
		_, c := s.dial(t, conn.ProtoSubprotocol)
		frame := text(strings.Repeat("y", 100000))
		for c.Write([][]byte{frame, frame}) == 2 {
		}
		c.Close(starlingv1.CloseCode_SLOW_READER, "reconnect in 1.0s: takes nothing")
		<-s.receiver.closed
	})
}

func TestPingPong(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{}, w)
		ws, c := s.dial(t, conn.ProtoSubprotocol)
		pinged := make(chan struct{}, 1)
		ws.SetPingHandler(func(string) error { pinged <- struct{}{}; return nil })
		ponged := make(chan string, 1)
		ws.SetPongHandler(func(data string) error { ponged <- data; return nil })
		go func() { _, _, _ = ws.ReadMessage() }()
		c.Ping()
		<-pinged
		if err := ws.WriteControl(websocket.PingMessage, []byte("hey"), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := <-ponged; got != "hey" {
			t.Errorf("pong %q", got)
		}
	})
}

func TestPeerCloses(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{}, w)
		ws, _ := s.dial(t, conn.ProtoSubprotocol)
		message := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "bye")
		if err := ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, _, err := ws.ReadMessage()
		if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("answered by %v", err)
		}
		if err := <-s.receiver.closed; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("Closed(%v)", err)
		}
	})
}

func TestCloseReasonIsCut(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{}, w)
		ws, c := s.dial(t, conn.ProtoSubprotocol)
		c.Close(starlingv1.CloseCode_BAD_MESSAGE, strings.Repeat("ä", 100)+"\xff")
		_, _, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Text != strings.Repeat("ä", 61) {
			t.Errorf("closed by %v", err)
		}
	})
}

// FuzzFrameHeader holds our frames against gorilla's reader.
func FuzzFrameHeader(f *testing.F) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		f.Add(n, byte(3))
	}
	f.Fuzz(func(t *testing.T, n int, fill byte) {
		if n < 0 || n > 1<<20 {
			return
		}
		payload := bytes.Repeat([]byte{fill}, n)
		space := make([]byte, conn.MaxHeader)
		start := conn.PutHeader(space, conn.OpBinary, n)
		appended := conn.AppendHeader(nil, conn.OpBinary, n)
		if !bytes.Equal(space[start:], appended) || len(appended) != conn.HeaderSize(n) {
			t.Fatalf("PutHeader %x, AppendHeader %x", space[start:], appended)
		}
		got, err := readByGorilla(append(appended, payload...))
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("gorilla read %d bytes, %v", len(got), err)
		}
	})
}

// readByGorilla reads one frame of a server with gorilla's client.
func readByGorilla(frame []byte) ([]byte, error) {
	near, far := net.Pipe()
	defer func() { _ = near.Close() }()
	go func() {
		defer func() { _ = far.Close() }()
		request, err := http.ReadRequest(newReader(far))
		if err != nil {
			return
		}
		_, _ = io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			acceptKey(request.Header.Get("Sec-Websocket-Key"))+"\r\n\r\n")
		_, _ = far.Write(frame)
	}()
	dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
	ws, _, err := dialer.Dial("ws://pipe/", nil)
	if err != nil {
		return nil, err
	}
	kind, got, err := ws.ReadMessage()
	if err == nil && kind != websocket.BinaryMessage {
		return nil, fmt.Errorf("opcode %d", kind)
	}
	return got, err
}

// BenchmarkWrite measures one flush of five buffers to a reading peer.
func BenchmarkWrite(b *testing.B) {
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) { benchmarkWrite(b, w) })
	}
}

func benchmarkWrite(b *testing.B, w way) {
	s := serve(b, conn.Options{}, w)
	ws, c := s.dial(b, conn.ProtoSubprotocol)
	go func() { _, _ = io.Copy(io.Discard, ws.NetConn()) }()
	frame := append(conn.AppendHeader(nil, conn.OpBinary, 100), make([]byte, 100)...)
	frames := [][]byte{frame, frame, frame, frame, frame}
	b.ReportAllocs()
	for b.Loop() {
		for c.Write(frames) < len(frames) {
			<-s.receiver.writable
		}
	}
}
