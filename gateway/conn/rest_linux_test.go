package conn_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// collected says of each message whether it came while somebody collected.
type collected struct {
	*receiver
	inside atomic.Bool
	came   chan bool
}

func (c *collected) Messages(conn.Conn, [][]byte) { c.came <- c.inside.Load() }

// Closed is of no interest: there are several.
func (c *collected) Closed(conn.Conn, error) {}

// While pollers rest, what sockets bring waits for whoever collects, and for nobody
// once they do not.
func TestRestingPollersAreCollected(t *testing.T) {
	r := &collected{receiver: newReceiver(), came: make(chan bool, 64)}
	s := serveWith(t, conn.Options{Pollers: 2}, way{}, r.receiver, r)
	peers := []*websocket.Conn{s.dialWith(t, 256), s.dialWith(t, 256), s.dialWith(t, 256)}
	send := func(to int) {
		if err := peers[to].WriteMessage(websocket.BinaryMessage, []byte("up")); err != nil {
			t.Fatal(err)
		}
	}
	collect := func() (inside bool) {
		for {
			r.inside.Store(true)
			s.upgrader.Collect()
			r.inside.Store(false)
			select {
			case inside := <-r.came:
				return inside
			default:
				runtime.Gosched()
			}
		}
	}
	for range 3 {
		s.upgrader.Rest(true)
		byItself := 0
		const messages = 30
		for n := range messages {
			send(n % len(peers))
			if !collect() {
				byItself++ // it was awake still
			}
		}
		if byItself > messages/2 {
			t.Errorf("%d of %d messages came by themselves", byItself, messages)
		}
		send(0)
		s.upgrader.Rest(false)
		<-r.came
		send(1)
		<-r.came
	}
}

// A receiver that is told within a collection may collect again, to no effect.
func TestCollectingWithinACollection(t *testing.T) {
	r := &again{receiver: newReceiver(), came: make(chan struct{}, 1)}
	s := serveWith(t, conn.Options{Pollers: 1}, way{}, r.receiver, r)
	r.upgrader.Store(s.upgrader)
	ws := s.dialWith(t, 256)
	s.upgrader.Rest(true)
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("up")); err != nil {
		t.Fatal(err)
	}
	for {
		s.upgrader.Collect()
		select {
		case <-r.came:
			return
		default:
			runtime.Gosched()
		}
	}
}

type again struct {
	*receiver
	upgrader atomic.Pointer[conn.Upgrader]
	came     chan struct{}
}

func (a *again) Messages(conn.Conn, [][]byte) {
	a.upgrader.Load().Collect()
	a.came <- struct{}{}
}

// However a connection ends, its receiver hears of it though pollers rest.
func TestConnectionsEndWhilePollersRest(t *testing.T) {
	options := conn.Options{Pollers: 2, CloseWait: 20 * time.Millisecond}
	for name, end := range map[string]func(s *server, ws *websocket.Conn, c conn.Conn){
		"nobody collects any more": func(s *server, ws *websocket.Conn, _ conn.Conn) {
			_ = ws.Close()
			s.upgrader.Rest(false)
		},
		"collected": func(s *server, ws *websocket.Conn, _ conn.Conn) {
			_ = ws.Close()
			for len(s.receiver.closed) == 0 {
				s.upgrader.Collect()
				runtime.Gosched()
			}
		},
		"cut off in time": func(_ *server, _ *websocket.Conn, c conn.Conn) {
			c.Close(starlingv1.CloseCode_FULL, "full")
		},
		"all are closed": func(s *server, _ *websocket.Conn, _ conn.Conn) {
			s.upgrader.Close()
			s.upgrader.Rest(true)
			s.upgrader.Collect()
			s.upgrader.Rest(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, options, way{})
			s.upgrader.Rest(true)
			ws, c := s.dial(t, conn.ProtoSubprotocol)
			end(s, ws, c)
			<-s.receiver.closed
		})
	}
}

// Connections that no poller reads are heard while pollers rest, and those that
// came meanwhile once they do not.
func TestOthersAreHeardWhilePollersRest(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := serve(t, conn.Options{Pollers: 2}, w)
		s.upgrader.Rest(true)
		ws, _ := s.dial(t, conn.ProtoSubprotocol)
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte("up")); err != nil {
			t.Fatal(err)
		}
		if !w.portable && !w.secure {
			s.upgrader.Rest(false)
		}
		if got := <-s.receiver.messages; len(got) != 1 || got[0] != "up" {
			t.Errorf("received %q", got)
		}
	})
}
