package conn

import (
	"errors"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// maxDiscarded bounds what is read of a peer that goes on after we closed.
const maxDiscarded = 1 << 20

// batch collects the messages of one wake-up. It belongs to a connection only
// while there is something in it, so that idle ones hold no buffer.
type batch struct {
	bytes    []byte
	ends     []int
	start    int // of the message that is being read, or that comes next
	filling  bool
	payloads [][]byte
}

var batches = sync.Pool{New: func() any { return &batch{bytes: make([]byte, 0, 2048)} }}

// maxPooledBatch keeps large buffers out of the pool.
const maxPooledBatch = 64 << 10

// fill reads one message.
func (b *batch) fill(r io.Reader) error {
	b.filling = true
	for {
		if len(b.bytes) == cap(b.bytes) {
			b.bytes = append(b.bytes, 0)[:len(b.bytes)]
		}
		n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF {
			b.complete()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *batch) complete() {
	b.filling = false
	if len(b.ends) == 0 && b.start > 0 { // the ones before were delivered meanwhile
		b.bytes = b.bytes[:copy(b.bytes, b.bytes[b.start:])]
		b.start = 0
	}
	b.ends = append(b.ends, len(b.bytes))
}

// latest is the message that was completed last.
func (b *batch) latest() []byte {
	last, start := len(b.ends)-1, b.start
	if last > 0 {
		start = b.ends[last-1]
	}
	return b.bytes[start:b.ends[last]]
}

// quiet is the silence after which the messages that end it are followed by a
// new reading goroutine, as the first ones are. To take a message grows the stack
// beyond its first 2 KiB, and the runtime does not shrink a stack of 4 KiB under
// a goroutine that waits for the network: each connection that says little would
// keep twice the memory.
const quiet = 3 * time.Second

// read is the reading goroutine.
func (c *socket) read() {
	for {
		if c.buffered.Buffered() == 0 {
			c.deliver()
			if c.worn {
				c.worn = false
				go c.read()
				return
			}
		}
		pong, err := c.await()
		if err == nil && !pong {
			err = c.next()
		}
		if err != nil {
			c.deliver()
			c.end(c.explain(err))
			return
		}
	}
}

// await waits for bytes here, and not from within gorilla: that alone would take
// a stack of 4 KiB. For the same reason it takes the pongs that come between
// messages itself: of an idle client nothing else may come.
func (c *socket) await() (pong bool, err error) {
	const masked, maskSize = 0x80, 4
	head, err := c.buffered.Peek(1)
	if err == nil && head[0] == finalFrame|opPong {
		head, err = c.buffered.Peek(2)
		if err == nil && head[1] >= masked && head[1]-masked <= maxControl {
			pong = true
			_, err = c.buffered.Discard(2 + maskSize + int(head[1]-masked))
		}
	}
	if err == io.EOF {
		err = &websocket.CloseError{Code: websocket.CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}
	}
	return pong, err
}

// next reads one message.
func (c *socket) next() error {
	kind, r, err := c.ws.NextReader()
	switch {
	case err != nil:
		return err
	case c.json != (kind == websocket.TextMessage):
		return ErrWrongOpcode
	}
	if c.batch == nil {
		c.batch = batches.Get().(*batch)
	}
	if err := c.batch.fill(r); err != nil {
		return err
	}
	if c.json && !utf8.Valid(c.batch.latest()) {
		c.batch.ends = c.batch.ends[:len(c.batch.ends)-1]
		return ErrNotText
	}
	return nil
}

// deliver hands over the whole messages read so far. It runs when gorilla needs
// more bytes than one read of the network brought.
func (c *socket) deliver() {
	b := c.batch
	if b == nil || len(b.ends) == 0 {
		return
	}
	start := 0
	b.payloads = b.payloads[:0]
	for _, end := range b.ends {
		b.payloads = append(b.payloads, b.bytes[start:end])
		start = end
	}
	c.mu.Lock()
	closing := c.closing
	c.mu.Unlock()
	if !closing {
		c.receiver.Messages(c, b.payloads)
	}
	clear(b.payloads)
	b.ends, b.start = b.ends[:0], start
	if len(b.bytes) == start && !b.filling { // fill reads into it behind these messages
		c.batch = nil
		if cap(b.bytes) <= maxPooledBatch {
			b.bytes, b.start = b.bytes[:0], 0
			batches.Put(b)
		}
	}
}

func (c *socket) noteRead(n int) {
	if n == 0 {
		return
	}
	now := int64(time.Since(started))
	if now-c.lastRead.Swap(now) >= int64(quiet) || !c.heard {
		c.heard, c.worn = true, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		if c.discarded += int64(n); c.discarded > maxDiscarded {
			c.kill()
		}
	}
}

// explain turns gorilla's errors into ours.
func (c *socket) explain(err error) error {
	var closed *websocket.CloseError
	var network interface{ Timeout() bool }
	switch {
	case errors.Is(err, ErrWrongOpcode), errors.Is(err, ErrNotText), errors.As(err, &closed), errors.As(err, &network):
		return err
	case errors.Is(err, websocket.ErrReadLimit):
		return ErrTooLarge
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return ErrProtocol
}

// end says why to the peer, waits a moment for it to hear it, and closes.
func (c *socket) end(err error) {
	c.mu.Lock()
	var closed *websocket.CloseError
	switch {
	case errors.Is(err, ErrTooLarge):
		c.closeWith(closeFrame(starlingv1.CloseCode_TOO_LARGE, err.Error()))
	case errors.Is(err, ErrWrongOpcode), errors.Is(err, ErrNotText), errors.Is(err, ErrProtocol):
		c.closeWith(closeFrame(starlingv1.CloseCode_BAD_MESSAGE, err.Error()))
	case errors.As(err, &closed):
		if closed.Code != websocket.CloseAbnormalClosure {
			c.closeWith(echo(closed.Code))
		}
		err = closed
	default:
		c.kill()
	}
	dead := c.dead
	c.mu.Unlock()
	switch {
	case dead:
	case closed == nil:
		_, _ = io.CopyN(io.Discard, c.net, maxDiscarded)
	default:
		c.sayLast()
	}
	c.mu.Lock()
	c.closing = true
	c.kill()
	c.mu.Unlock()
	c.receiver.Closed(c, err)
}

// sayLast lets the answer to a close frame out where writes are buffered.
func (c *socket) sayLast() {
	if buffered, ok := c.writer.(*bufferedWriter); ok {
		_ = c.net.SetWriteDeadline(time.Now().Add(c.options.CloseWait))
		_ = buffered.drain(nil, c.noteProgress)
	}
}

// echo answers a peer's close frame.
func echo(code int) []byte {
	if code == websocket.CloseNoStatusReceived {
		return AppendHeader(nil, opClose, 0)
	}
	return closeFrame(starlingv1.CloseCode(code), "")
}
