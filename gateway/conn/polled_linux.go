package conn

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// polled implements Conn over a plain socket that a poller reads. It owns the
// descriptor: nothing of net, net/http and gorilla is left.
type polled struct {
	poller   *poller
	receiver Receiver

	lastRead     atomic.Int64 // nanoseconds since started
	lastProgress atomic.Int64

	// Of the poller's goroutine.
	decoder decoder
	ending  *ending

	mu     sync.Mutex
	unsent *unsent // what a full socket is still to take
	fd     int32
	slot   int32

	json    bool
	full    bool // the socket is, or there is no receiver yet
	refused bool // frames were offered before there was a receiver
	closing bool
	dead    bool // the socket is cut off, or closed
	gone    bool // the descriptor is closed

	over atomic.Bool // closing or dead, for the poller: others hold mu while they write to many sockets
}

// ending is a connection that the peer ended by a mistake: it is to hear of it,
// and what it still says is thrown away.
type ending struct {
	err       error
	discarded int
}

// unsent waits for a full socket.
type unsent struct {
	rest []byte // of a frame that was begun
	last []byte // the close frame
}

func (p *poller) newPolled(fd int, json bool) *polled {
	c := &polled{poller: p, fd: int32(fd), json: json, full: true}
	now := int64(time.Since(started))
	c.lastRead.Store(now)
	c.lastProgress.Store(now)
	return c
}

// JSON implements Conn.
func (c *polled) JSON() bool { return c.json }

// LastRead implements Conn.
func (c *polled) LastRead() time.Time { return started.Add(time.Duration(c.lastRead.Load())) }

// LastProgress implements Conn.
func (c *polled) LastProgress() time.Time {
	return started.Add(time.Duration(c.lastProgress.Load()))
}

// begin brings the receiver and has the socket watched.
func (c *polled) begin(receiver Receiver) {
	c.mu.Lock()
	c.receiver = receiver
	c.full = c.refused || c.unsent != nil // the first event says that it is not
	err := c.poller.add(c)
	if err == nil && c.closing {
		c.poller.expire(c)
	}
	c.mu.Unlock()
	if err != nil {
		c.release()
		receiver.Closed(c, err)
	}
}

// ready does what the socket is ready for.
func (c *polled) ready(events uint32, now time.Time) {
	if c.gone { // since the event was taken
		return
	}
	if events&syscall.EPOLLOUT != 0 {
		c.writable()
	}
	if events&(syscall.EPOLLIN|epollEnding) != 0 && !c.gone {
		c.read(events, now)
	}
}

// read takes what the socket has, up to one buffer.
func (c *polled) read(events uint32, now time.Time) {
	p := c.poller
	at := now.Sub(started)
	for {
		n, stamp, errno := p.receiver.Receive(int(c.fd))
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno != 0:
			c.finish(os.NewSyscallError("read", errno))
			return
		case n == 0:
			c.finish(errEnded)
			return
		}
		c.lastRead.Store(int64(p.clock.Since(stamp, at)))
		if !c.incoming(p.receiver.Buffer[:n]) {
			return
		}
		switch {
		case n == len(p.receiver.Buffer): // there may be more: let others have their turn
			p.again = append(p.again, wakeUp{c, events &^ syscall.EPOLLOUT})
			return
		case events&epollEnding == 0: // read dry: what comes makes a new event
			return
		}
	}
}

// incoming takes what was read and says whether the connection lives on.
func (c *polled) incoming(input []byte) bool {
	if c.over.Load() {
		return c.discard(input)
	}
	p := c.poller
	box := &p.box
	err := c.decoder.decode(input, rules{limit: p.options.MaxMessage, text: c.json}, box)
	if box.pinged {
		c.control(opPong, box.ping)
	}
	if len(box.payloads) > 0 {
		c.receiver.Messages(c, box.payloads)
	}
	box.reset()
	return err == nil || c.ended(err)
}

// discard goes on with a connection that is closing: only the peer's close frame
// matters still.
func (c *polled) discard(input []byte) bool {
	if c.ending == nil {
		c.ending = &ending{}
	}
	if c.ending.discarded += len(input); c.ending.discarded > maxDiscarded {
		c.finish(net.ErrClosed)
		return false
	}
	if c.ending.err != nil {
		return true
	}
	p := c.poller
	err := c.decoder.decode(input, rules{limit: p.options.MaxMessage, text: c.json}, &p.box)
	p.box.reset()
	return err == nil || c.ended(err)
}

// ended tells the peer why the connection ends, and says whether it is to be
// given time to hear it.
func (c *polled) ended(err error) bool {
	var closed *websocket.CloseError
	frame := []byte(nil)
	switch {
	case errors.As(err, &closed):
		frame = echo(closed.Code)
	case errors.Is(err, ErrTooLarge):
		frame = closeFrame(starlingv1.CloseCode_TOO_LARGE, err.Error())
	default:
		frame = closeFrame(starlingv1.CloseCode_BAD_MESSAGE, err.Error())
	}
	c.mu.Lock()
	c.closeWith(frame)
	dead := c.dead
	c.mu.Unlock()
	if closed != nil || dead {
		c.finish(err)
		return false
	}
	if c.ending == nil {
		c.ending = &ending{}
	}
	c.ending.err = err
	return true
}

// finish closes the socket; the receiver hears why the connection ended.
func (c *polled) finish(err error) {
	c.mu.Lock()
	gone, dead := c.gone, c.dead
	c.mu.Unlock()
	switch {
	case gone:
		return
	case c.ending != nil && c.ending.err != nil:
		err = c.ending.err
	case dead && err == errEnded: // by our doing
		err = net.ErrClosed
	}
	c.poller.remove(c)
	c.release()
	c.receiver.Closed(c, err)
}

// release closes the descriptor, and with that ends its watch.
func (c *polled) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing, c.dead, c.gone = true, true, true
	c.over.Store(true)
	c.unsent, c.decoder = nil, decoder{}
	_ = syscall.Close(int(c.fd))
}

// expired cuts off a peer that does not answer a close frame.
func (c *polled) expired() { c.finish(os.ErrDeadlineExceeded) }

// abort cuts the connection off; the poller notices.
func (c *polled) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.over.Store(true)
	c.cut()
}

// cut ends the connection in both directions: the poller reads its end. Called
// under mu.
func (c *polled) cut() {
	if !c.dead {
		c.dead = true
		c.over.Store(true)
		_ = syscall.Shutdown(int(c.fd), syscall.SHUT_RDWR)
	}
}

// Write implements Conn.
func (c *polled) Write(frames [][]byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if accepted, done := c.refuses(len(frames)); done {
		return accepted
	}
	return c.put(frames)
}

// refuses says whether so many frames are not to be written, and how many of
// them count as accepted then. Called under mu.
func (c *polled) refuses(frames int) (accepted int, done bool) {
	if c.closing || c.dead {
		return frames, true
	}
	if c.full {
		c.refused = c.receiver == nil
	}
	return 0, c.full
}

// put writes frames into a socket that is not full; what is begun of them, and
// the first in any case, is taken. Called under mu.
func (c *polled) put(frames [][]byte) (accepted int) {
	n, errno := writeSocket(int(c.fd), frames)
	return c.took(frames, n, errno)
}

// took notes that the socket took n bytes of frames, or an error that is final.
// Called under mu.
func (c *polled) took(frames [][]byte, n int, errno syscall.Errno) (accepted int) {
	if errno != 0 {
		c.cut()
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
	c.full = true // an event follows
	c.unsent = &unsent{rest: append([]byte(nil), frames[accepted][n:]...)}
	return accepted + 1
}

func (c *polled) noteProgress() { c.lastProgress.Store(int64(time.Since(started))) }

// writable goes on with a full socket that may take more.
func (c *polled) writable() {
	c.mu.Lock()
	if !c.full || c.dead {
		c.mu.Unlock()
		return
	}
	if !c.drain() {
		c.mu.Unlock()
		return
	}
	tell := !c.closing
	c.mu.Unlock()
	if tell {
		c.receiver.Writable(c)
	}
}

// drain writes what waited, and says whether all of it went. Called under mu.
func (c *polled) drain() bool {
	if u := c.unsent; u != nil {
		for _, waiting := range []*[]byte{&u.rest, &u.last} {
			if len(*waiting) == 0 {
				continue
			}
			n, errno := writeSocket(int(c.fd), [][]byte{*waiting})
			if errno != 0 {
				c.cut()
				return false
			}
			if n > 0 {
				c.noteProgress()
			}
			if *waiting = (*waiting)[n:]; len(*waiting) > 0 {
				return false
			}
		}
		if c.unsent = nil; c.closing {
			c.halfClose()
		}
	}
	c.full = false
	return true
}

// Ping implements Conn.
func (c *polled) Ping() { c.control(opPing, nil) }

func (c *polled) control(opcode byte, data []byte) {
	var space [MaxHeader + maxControl]byte
	frame := append(AppendHeader(space[:0], opcode, len(data)), data...)
	c.Write([][]byte{frame})
}

// Close implements Conn.
func (c *polled) Close(code starlingv1.CloseCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeWith(closeFrame(code, reason))
}

// closeWith says the last words. Called under mu.
func (c *polled) closeWith(frame []byte) {
	if c.closing || c.dead {
		return
	}
	c.closing = true
	c.over.Store(true)
	if c.receiver != nil {
		c.poller.expire(c)
	}
	if c.full {
		if c.unsent == nil {
			c.unsent = &unsent{}
		}
		c.unsent.last = frame
		return
	}
	if c.put([][]byte{frame}); !c.full {
		c.halfClose()
	}
}

// halfClose tells the peer that nothing more comes. It may go on for CloseWait:
// closing a socket with unread bytes resets it, and the peer would lose the
// close frame. Called under mu.
func (c *polled) halfClose() {
	if !c.dead {
		_ = syscall.Shutdown(int(c.fd), syscall.SHUT_WR)
	}
}
