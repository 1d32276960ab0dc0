package conn

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// started is what times are counted from: they fit an atomic and stay on the
// monotonic clock.
var started = time.Now()

// writer puts bytes into a socket. It is called under socket.mu.
type writer interface {
	// write takes what fits of frames without waiting: n bytes. An error other
	// than a full socket is final.
	write(frames [][]byte) (n int, err error)
	// drain waits until rest is written, noting each progress.
	drain(rest []byte, progress func()) error
}

// socket implements Conn over a websocket that gorilla reads.
type socket struct {
	ws       *websocket.Conn
	net      net.Conn
	buffered *bufio.Reader // gorilla's
	receiver Receiver
	writer   writer
	options  *Options
	json     bool

	lastRead     atomic.Int64 // nanoseconds since started
	lastProgress atomic.Int64
	discarded    int64 // bytes read while closing

	// Of the reading goroutine.
	batch *batch
	heard bool // something was read
	worn  bool // its stack is deep, and it may wait for long: a new one is to read on

	mu      sync.Mutex
	full    bool // a goroutine is finishing what the socket did not take, or there is no receiver yet
	refused bool // frames were offered before there was a receiver
	closing bool
	dead    bool // the network connection is closed
	last    []byte
}

func newSocket(ws *websocket.Conn, t *transport, options *Options) *socket {
	c := &socket{ws: ws, net: t.Conn, buffered: t.buffered, options: options, json: ws.Subprotocol() == JSONSubprotocol}
	c.writer = newWriter(t.Conn, options.SocketBuffer)
	c.full = true
	now := int64(time.Since(started))
	c.lastRead.Store(now)
	c.lastProgress.Store(now)
	ws.SetPingHandler(c.pong)
	ws.SetPongHandler(func(string) error { return nil })
	ws.SetCloseHandler(func(int, string) error { return nil })
	t.socket = c
	return c
}

// JSON implements Conn.
func (c *socket) JSON() bool { return c.json }

// LastRead implements Conn.
func (c *socket) LastRead() time.Time { return started.Add(time.Duration(c.lastRead.Load())) }

// LastProgress implements Conn.
func (c *socket) LastProgress() time.Time {
	return started.Add(time.Duration(c.lastProgress.Load()))
}

func (c *socket) noteProgress() { c.lastProgress.Store(int64(time.Since(started))) }

// Write implements Conn.
func (c *socket) Write(frames [][]byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.dead {
		return len(frames)
	}
	if c.full {
		c.refused = c.receiver == nil
		return 0
	}
	return c.put(frames)
}

// put writes frames into a socket that is not full; what is begun of them, and
// the first in any case, is taken.
func (c *socket) put(frames [][]byte) (accepted int) {
	n, err := c.writer.write(frames)
	if err != nil {
		c.kill()
		return len(frames)
	}
	if n > 0 {
		c.noteProgress()
	}
	for accepted < len(frames) && n >= len(frames[accepted]) {
		n -= len(frames[accepted])
		accepted++
	}
	if accepted == len(frames) {
		return accepted
	}
	rest := append([]byte(nil), frames[accepted][n:]...)
	c.full = true
	go c.finish(rest)
	return accepted + 1
}

// finish waits for a full socket.
func (c *socket) finish(rest []byte) {
	c.drained(c.writer.drain(rest, c.noteProgress))
}

// begin brings the receiver: from now on the socket takes frames.
func (c *socket) begin(receiver Receiver) {
	c.mu.Lock()
	c.receiver = receiver
	tell := c.refused || c.last != nil
	c.full = tell
	c.mu.Unlock()
	if tell {
		c.drained(nil)
	}
	go c.read()
}

// drained says that the socket takes frames again.
func (c *socket) drained(err error) {
	c.mu.Lock()
	c.full = false
	if err != nil {
		c.kill()
	}
	if c.last != nil && !c.dead {
		c.put([][]byte{c.last})
		c.last = nil
		c.halfClose()
	}
	closing := c.closing || c.dead
	c.mu.Unlock()
	if !closing {
		c.receiver.Writable(c)
	}
}

// Ping implements Conn.
func (c *socket) Ping() { c.control(opPing, "") }

func (c *socket) pong(data string) error {
	c.control(opPong, data)
	return nil
}

func (c *socket) control(opcode byte, data string) {
	frame := AppendHeader(make([]byte, 0, MaxHeader+len(data)), opcode, len(data))
	c.Write([][]byte{append(frame, data...)})
}

// Close implements Conn.
func (c *socket) Close(code starlingv1.CloseCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeWith(closeFrame(code, reason))
}

func (c *socket) closeWith(frame []byte) {
	if c.closing || c.dead {
		return
	}
	c.closing = true
	// The peer's own close ends the reading before that.
	_ = c.net.SetReadDeadline(time.Now().Add(c.options.CloseWait))
	if c.full {
		c.last = frame
		return
	}
	c.put([][]byte{frame})
	if !c.full {
		c.halfClose()
	}
}

// halfClose tells the peer that nothing more comes. The reading goroutine goes
// on for CloseWait: closing a socket with unread bytes resets it, and the peer
// would lose the close frame.
func (c *socket) halfClose() {
	if _, buffered := c.writer.(*bufferedWriter); buffered {
		return // the close frame may still be in its buffer
	}
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// kill ends the network connection; the reading goroutine notices.
func (c *socket) kill() {
	if !c.dead {
		c.dead = true
		_ = c.net.Close()
	}
}
