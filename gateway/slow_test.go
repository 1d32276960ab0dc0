package gateway

import (
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// stuck joins and never reads again; its receive buffer is small.
func (r *rig) stuck(name string) {
	r.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{conn.ProtoSubprotocol}, ReadBufferSize: 256, WriteBufferSize: 256,
		NetDial: func(network, address string) (net.Conn, error) {
			c, err := net.Dial(network, address)
			if err == nil {
				err = c.(*net.TCPConn).SetReadBuffer(4096)
			}
			return c, err
		}}
	ws, _, err := dialer.Dial(r.url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = ws.Close() })
	c := &client{t: r.t, ws: ws}
	c.greet(r.hello(name))
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Three hundred readers that are stuck cost no memory that grows and hold nobody
// up: they would, if anything waited for them, for longer than the speaker waits.
func TestStuckReaders(t *testing.T) {
	const readers = 300
	r := newRig(t, func(c *Config) {
		c.SocketBuffer, c.SlowReader = 8<<10, 10*patience
		c.MessageRate, c.MessageBurst = 1e6, 1e6
	})
	for i := range readers {
		r.stuck("stuck-" + strconv.Itoa(i))
	}
	c, _ := r.join("speaker")
	number := uint64(0)
	text := strings.Repeat("la ", 160)
	speakTimes := func(times int) {
		for range times {
			number++
			c.act(speak(number, text))
			c.outcome(number)
		}
	}
	progress := func() map[*connection]time.Time {
		last := make(map[*connection]time.Time)
		r.gateway.each(func(c *connection) { last[c] = c.conn.LastProgress() })
		return last
	}
	stuck := func() (n int) {
		before := progress()
		speakTimes(50)
		for c, last := range progress() {
			if last.Equal(before[c]) {
				n++
			}
		}
		return n
	}
	for stuck() < readers {
	}
	speakTimes(500) // each holds the rest of one write now
	before := heap()
	speakTimes(500)
	after := heap()
	if grown := after - before; grown > 1<<20 {
		t.Errorf("memory grew by %d KiB over 500 messages to %d stuck readers", grown>>10, readers)
	}
	t.Logf("heap %d KiB, then %d KiB", before>>10, after>>10)
}

// Readers that are stuck are closed in the end, and who reads is not.
func TestStuckReadersAreClosed(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.SocketBuffer, c.SlowReader = 8<<10, 200*time.Millisecond
		c.MessageRate, c.MessageBurst = 1e6, 1e6
	})
	for i := range 30 {
		r.stuck("stuck-" + strconv.Itoa(i))
	}
	c, _ := r.join("speaker")
	text := strings.Repeat("la ", 160)
	number := uint64(0)
	eventually(t, "the stuck readers are closed", func() bool {
		number++
		c.act(speak(number, text))
		c.outcome(number)
		return r.gateway.Connections() == 1
	})
}

// A reader that pauses gets one baseline and what it missed is counted; then it
// follows as before.
func TestReaderThatPauses(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.SocketBuffer, c.MessageRate, c.MessageBurst = 8<<10, 1e6, 1e6
		c.FlushShare, c.SlowReader = 0, 10*patience // a thousand actions, one after the other
	})
	dialer := websocket.Dialer{Subprotocols: []string{conn.ProtoSubprotocol}, NetDial: func(network, address string) (net.Conn, error) {
		c, err := net.Dial(network, address)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(4096)
		}
		return c, err
	}}
	ws, _, err := dialer.Dial(r.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }()
	pausing := &client{t: t, ws: ws}
	pausing.greet(r.hello("pausing"))
	speaker, _ := r.join("speaker")
	text := strings.Repeat("x", 480)
	const total = 1000
	for n := range uint64(total) {
		speaker.act(speak(n+1, text))
		speaker.outcome(n + 1)
	}
	got, missed, conflated := 0, 0, false
	pausing.until(func(m *starlingv1.ServerMessage) bool {
		f := m.GetFrame()
		missed += int(f.GetMissedEvents())
		conflated = conflated || f.GetConflated()
		for _, c := range f.GetCommits() {
			for _, s := range c.Steps {
				if s.GetEvent() != nil {
					got++
				}
			}
		}
		return got+missed == total
	})
	if !conflated || missed == 0 {
		t.Errorf("%d events told, %d missed, conflated %v", got, missed, conflated)
	}
	speaker.act(speak(total+1, "after"))
	pausing.until(func(m *starlingv1.ServerMessage) bool {
		return len(m.GetFrame().GetCommits()) > 0 && !m.GetFrame().Baseline
	})
}
