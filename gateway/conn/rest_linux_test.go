package conn_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"

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
