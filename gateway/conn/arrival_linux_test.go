package conn_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-vr/starling/gateway/conn"
)

// holding keeps the poller that brings it a message until it is let go.
type holding struct {
	*receiver
	held chan struct{}
	free chan struct{}
	read chan time.Time
}

func (h *holding) Messages(c conn.Conn, payloads [][]byte) {
	h.read <- c.LastRead()
	if string(payloads[0]) == "hold" {
		h.held <- struct{}{}
		<-h.free
	}
}

// Closed is of no interest: there are two.
func (h *holding) Closed(conn.Conn, error) {}

// What waits unread because the poller is busy came when it came, not when it is
// read.
func TestWhatWaitsUnreadKeepsItsTime(t *testing.T) {
	h := &holding{receiver: newReceiver(), held: make(chan struct{}), free: make(chan struct{}), read: make(chan time.Time, 1)}
	s := serveWith(t, conn.Options{Pollers: 1}, way{}, h.receiver, h)
	busy, other := s.dialWith(t, 256), s.dialWith(t, 256)
	send := func(ws *websocket.Conn, text string) {
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // a loaded machine may bring the bytes late
		send(busy, "hold")
		<-h.held
		<-h.read
		send(other, "waits")
		sent := time.Now()
		for time.Since(sent) < 2*time.Millisecond {
			runtime.Gosched()
		}
		h.free <- struct{}{}
		at := <-h.read
		if now := time.Now(); at.After(now) {
			t.Fatalf("it came %v from now", at.Sub(now))
		}
		if at.Before(sent.Add(time.Millisecond)) {
			return
		}
	}
	t.Error("what waited for 2 ms seems to have come when it was read")
}
