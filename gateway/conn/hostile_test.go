package conn_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// crowd serves any number of connections, each with a receiver of its own.
type crowd struct {
	*httptest.Server
	upgrader *conn.Upgrader
	arrived  chan *member
}

type member struct {
	*receiver
	conn conn.Conn
	ends atomic.Int32
}

func (m *member) Closed(c conn.Conn, err error) {
	m.ends.Add(1)
	m.receiver.Closed(c, err)
}

// gather serves; greet is called with each connection before it takes frames.
func gather(t testing.TB, options conn.Options, w way, greet func(conn.Conn)) *crowd {
	t.Helper()
	options.Portable = w.portable
	upgrader, err := conn.NewUpgrader(options)
	if err != nil {
		t.Fatal(err)
	}
	s := &crowd{upgrader: upgrader, arrived: make(chan *member, 1)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := &member{receiver: newReceiver()}
		_, err := upgrader.Upgrade(w, r, func(c conn.Conn) conn.Receiver {
			m.conn = c
			if greet != nil {
				greet(c)
			}
			return m
		})
		if err == nil {
			s.arrived <- m
		}
	})
	if w.secure {
		s.Server = httptest.NewTLSServer(handler)
	} else {
		s.Server = httptest.NewServer(handler)
	}
	t.Cleanup(upgrader.Close)
	t.Cleanup(s.Close)
	return s
}

func (s *crowd) dial(t testing.TB) (*websocket.Conn, *member) {
	t.Helper()
	ws := (&server{Server: s.Server}).connect(t, conn.ProtoSubprotocol)
	return ws, <-s.arrived
}

// Half-sent frames and peers that never read delay nobody.
func TestStuckPeersHoldNobody(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{Pollers: 1, SocketBuffer: 16 << 10, CloseWait: 50 * time.Millisecond}, w, nil)
		frame := append(conn.AppendHeader(nil, conn.OpBinary, 50_000), make([]byte, 50_000)...)
		half := masked(websocket.BinaryMessage, make([]byte, 1000))
		for i := range 40 {
			ws, m := s.dial(t)
			if i%2 == 0 {
				if _, err := ws.NetConn().Write(half[:1+i*20]); err != nil {
					t.Fatal(err)
				}
				continue
			}
			for m.conn.Write([][]byte{frame, frame}) == 2 {
			}
		}
		ws, m := s.dial(t)
		for i := range 20 {
			want := fmt.Sprint("message ", i)
			if err := ws.WriteMessage(websocket.BinaryMessage, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if got := <-m.messages; len(got) != 1 || got[0] != want {
				t.Fatalf("received %q, want %q", got, want)
			}
			m.conn.Write([][]byte{text(want)})
			if _, got, err := ws.ReadMessage(); err != nil || string(got) != want {
				t.Fatalf("read %q, %v", got, err)
			}
		}
	})
}

// A stream that comes byte by byte: fragments, and control frames between them.
func TestByteByByte(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{}, w, nil)
		ws, m := s.dial(t)
		fragment := func(opcode int, payload string) []byte {
			frame := masked(opcode, []byte(payload))
			frame[0] &^= 0x80
			return frame
		}
		stream := slices.Concat(fragment(websocket.BinaryMessage, "one "), masked(websocket.PingMessage, []byte("?")),
			fragment(0, strings.Repeat("two ", 50)), masked(websocket.PongMessage, nil), masked(0, []byte("three")),
			masked(websocket.BinaryMessage, nil), masked(websocket.BinaryMessage, []byte("last")))
		for i := range stream {
			if _, err := ws.NetConn().Write(stream[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for len(got) < 3 {
			got = append(got, <-m.messages...)
		}
		if want := []string{"one " + strings.Repeat("two ", 50) + "three", "", "last"}; !slices.Equal(got, want) {
			t.Errorf("received %q", got)
		}
	})
}

// More than one turn of reading brings: all of it comes, in order, and others
// are heard meanwhile.
func TestLongBurst(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{Pollers: 1}, w, nil)
		ws, m := s.dial(t)
		other, hears := s.dial(t)
		const total = 5000
		var burst bytes.Buffer
		for i := range total {
			burst.Write(masked(websocket.BinaryMessage, binary.BigEndian.AppendUint32(make([]byte, 100), uint32(i))))
		}
		var sending sync.WaitGroup
		sending.Go(func() { _, _ = ws.NetConn().Write(burst.Bytes()) })
		defer sending.Wait()
		if err := other.WriteMessage(websocket.BinaryMessage, []byte("me too")); err != nil {
			t.Fatal(err)
		}
		next := uint32(0)
		for next < total {
			for _, got := range <-m.messages {
				if n := binary.BigEndian.Uint32([]byte(got[100:])); n != next {
					t.Fatalf("message %d came for %d", n, next)
				}
				next++
			}
		}
		if got := <-hears.messages; got[0] != "me too" {
			t.Errorf("the other one said %q", got)
		}
	})
}

// A flood of pings is answered, at least with its last one.
func TestPingFlood(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{}, w, nil)
		ws, m := s.dial(t)
		const last = "the last"
		flood := append(bytes.Repeat(masked(websocket.PingMessage, []byte("again")), 1000), masked(websocket.PingMessage, []byte(last))...)
		heard := make(chan struct{})
		ws.SetPongHandler(func(data string) error {
			if data == last {
				close(heard)
			}
			return nil
		})
		go func() { _, _, _ = ws.ReadMessage() }()
		if _, err := ws.NetConn().Write(flood); err != nil {
			t.Fatal(err)
		}
		<-heard
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte("still here")); err != nil {
			t.Fatal(err)
		}
		<-m.messages
	})
}

// Closed or written to before it is served: nothing is lost.
func TestBeforeItIsServed(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		t.Run("closed", func(t *testing.T) {
			s := gather(t, conn.Options{CloseWait: 50 * time.Millisecond}, w, func(c conn.Conn) { c.Close(starlingv1.CloseCode_FULL, "no room") })
			ws, m := s.dial(t)
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, int(starlingv1.CloseCode_FULL)) {
				t.Errorf("closed by %v", err)
			}
			<-m.closed
		})
		t.Run("written to", func(t *testing.T) {
			early := make(chan int, 1)
			s := gather(t, conn.Options{}, w, func(c conn.Conn) { early <- c.Write([][]byte{text("early")}) })
			ws, m := s.dial(t)
			if n := <-early; n != 0 {
				t.Fatalf("%d frames were taken", n)
			}
			<-m.writable
			m.conn.Write([][]byte{text("in time")})
			if _, got, err := ws.ReadMessage(); err != nil || string(got) != "in time" {
				t.Errorf("read %q, %v", got, err)
			}
		})
	})
}

// A peer that does not answer a close frame, silent or talking on, is cut off.
func TestCloseUnanswered(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		for name, say := range map[string][]byte{"silent": nil, "talking": masked(websocket.BinaryMessage, make([]byte, 1000)),
			"wrong": bytes.Repeat([]byte{0xff}, 1000)} {
			t.Run(name, func(t *testing.T) {
				s := gather(t, conn.Options{CloseWait: 100 * time.Millisecond}, w, nil)
				ws, m := s.dial(t)
				var talking sync.WaitGroup
				talking.Go(func() {
					for len(say) > 0 {
						if _, err := ws.NetConn().Write(say); err != nil {
							return
						}
					}
				})
				m.conn.Close(starlingv1.CloseCode_IDLE, "said nothing")
				<-m.closed
				talking.Wait()
				if n := m.conn.Write([][]byte{text("to nobody")}); n != 1 {
					t.Errorf("%d frames accepted after the end", n)
				}
			})
		}
	})
}

// Every way to end is told once.
func TestEndings(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{CloseWait: 100 * time.Millisecond}, w, nil)
		for name, end := range map[string]func(*websocket.Conn, *member){
			"dropped": func(ws *websocket.Conn, _ *member) { _ = ws.Close() },
			"reset": func(ws *websocket.Conn, _ *member) {
				if half, ok := ws.NetConn().(interface{ SetLinger(int) error }); ok {
					_ = half.SetLinger(0)
				}
				_ = ws.Close()
			},
			"half-sent": func(ws *websocket.Conn, _ *member) {
				_, _ = ws.NetConn().Write([]byte{0x82, 0xfe, 1})
				_ = ws.Close()
			},
			"both at once": func(ws *websocket.Conn, m *member) {
				m.conn.Close(starlingv1.CloseCode_GOING_AWAY, "reconnect in 1.0s: away")
				_ = ws.Close()
			},
			"twice": func(ws *websocket.Conn, m *member) {
				m.conn.Close(starlingv1.CloseCode_GOING_AWAY, "reconnect in 1.0s: away")
				m.conn.Close(starlingv1.CloseCode_FULL, "never said")
				_, _, _ = ws.ReadMessage()
				_ = ws.Close()
			},
		} {
			ws, m := s.dial(t)
			end(ws, m)
			if err := <-m.closed; err == nil {
				t.Errorf("%s: no reason", name)
			}
			m.conn.Ping()
			if n := m.ends.Load(); n != 1 {
				t.Errorf("%s: told %d times", name, n)
			}
		}
	})
}

// Ending the upgrader ends what pollers read, and who comes later.
func TestUpgraderCloses(t *testing.T) {
	s := gather(t, conn.Options{}, ways[0], nil)
	var all []*member
	for range 10 {
		_, m := s.dial(t)
		all = append(all, m)
	}
	s.upgrader.Close()
	for _, m := range all {
		select {
		case err := <-m.closed:
			if err == nil {
				t.Error("no reason")
			}
		default:
			t.Error("not told before Close returned")
		}
	}
	ws, late := s.dial(t)
	<-late.closed
	if _, _, err := ws.ReadMessage(); err == nil {
		t.Error("a closed upgrader serves")
	}
}

// Everything at the same time, for the race detector.
func TestTumult(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{SocketBuffer: 8 << 10, CloseWait: 20 * time.Millisecond, Pollers: 2}, w, nil)
		frame := append(conn.AppendHeader(nil, conn.OpBinary, 3000), make([]byte, 3000)...)
		var all sync.WaitGroup
		for i := range 60 {
			ws, m := s.dial(t)
			all.Go(func() {
				for range 50 {
					if ws.WriteMessage(websocket.BinaryMessage, []byte("hello")) != nil {
						break
					}
				}
				if i%3 == 0 {
					_ = ws.Close()
				}
			})
			all.Go(func() { _, _ = io.CopyN(io.Discard, ws.NetConn(), int64(i)*2000) })
			for range 2 {
				all.Go(func() {
					for range 50 {
						m.conn.Write([][]byte{frame, frame})
						m.conn.Ping()
					}
				})
			}
			all.Go(func() {
				var err error
				for got := 0; got < min(i, 10) && err == nil; {
					select {
					case messages := <-m.messages:
						got += len(messages)
					case err = <-m.closed: // a reset loses what was not read
					}
				}
				m.conn.Close(starlingv1.CloseCode_FLOOD, "enough")
				if err == nil {
					err = <-m.closed
				}
				if err == nil {
					t.Error("no reason")
				}
				_ = m.conn.LastRead()
				_ = m.conn.LastProgress()
			})
		}
		all.Wait()
	})
}

// The lengths that a header may announce are refused before anything is kept.
func TestGiantFrames(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{CloseWait: 50 * time.Millisecond}, w, nil)
		for _, size := range []uint64{16<<10 + 1, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
			ws, m := s.dial(t)
			header := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, size)
			if _, err := ws.NetConn().Write(append(header, 1, 2, 3, 4)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, int(starlingv1.CloseCode_TOO_LARGE)) {
				t.Errorf("%d bytes: closed by %v", size, err)
			}
			if err := <-m.closed; !errors.Is(err, conn.ErrTooLarge) {
				t.Errorf("%d bytes: Closed(%v)", size, err)
			}
		}
	})
}

func TestTextHasToBeUTF8(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{CloseWait: 50 * time.Millisecond}, w)
		ws, _ := s.dial(t, conn.JSONSubprotocol)
		stream := slices.Concat(masked(websocket.TextMessage, []byte("good")), masked(websocket.TextMessage, []byte("bad \xff")), masked(websocket.TextMessage, []byte("late")))
		if _, err := ws.NetConn().Write(stream); err != nil {
			t.Fatal(err)
		}
		if got := <-s.receiver.messages; len(got) != 1 || got[0] != "good" {
			t.Errorf("received %q", got)
		}
		if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, int(starlingv1.CloseCode_BAD_MESSAGE)) {
			t.Errorf("closed by %v", err)
		}
		if err := <-s.receiver.closed; !errors.Is(err, conn.ErrNotText) {
			t.Errorf("Closed(%v)", err)
		}
	})
}

// One that never stops talking does not keep others from being cut off.
func TestEndlessTalk(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := gather(t, conn.Options{Pollers: 1, CloseWait: 50 * time.Millisecond}, w, nil)
		talker, _ := s.dial(t)
		_, silent := s.dial(t)
		pongs := bytes.Repeat(masked(websocket.PongMessage, make([]byte, 100)), 5000)
		var talking sync.WaitGroup
		talking.Go(func() {
			for {
				if _, err := talker.NetConn().Write(pongs); err != nil {
					return
				}
			}
		})
		silent.conn.Close(starlingv1.CloseCode_IDLE, "said nothing")
		<-silent.closed
		_ = talker.Close()
		talking.Wait()
	})
}
