package yardstick

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// connection is one participant's.
type connection struct {
	fd         int
	generation int32
	owner      atomic.Pointer[poller]

	// Of the owner's thread.
	upgraded bool
	placed   bool   // the owner is the one of its cell
	in       []byte // the beginning of what is not all there yet
	avatar   uint64 // 0: no Hello yet
	place    uint64
	ring     int
	cell     *cell   // its own; nil: no Hello yet
	disk     []*cell // those it watches

	mu     sync.Mutex
	out    []byte // to be written
	queued bool   // a poller will write it
	full   bool   // the socket is: the owner hears when it is not
	closed bool
}

// mostUnsent bounds what a connection that does not read keeps, bytes.
const mostUnsent = 1 << 20

// say writes at once, behind what waits.
func (c *connection) say(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) > 0 || c.closed {
		c.keep(data)
		if !c.full {
			c.write()
		}
		return
	}
	n, errno := writeSocket(c.fd, data)
	c.wrote(data[n:], errno)
}

// sayLater has a poller write it with what else comes until then.
func (c *connection) sayLater(data []byte, by *poller, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(data)
	if !c.queued && !c.full && !c.closed {
		c.queued = true
		by.queue.add(due{c, now.Add(by.server.options.Wait)})
	}
}

// keep adds to what waits. Called under mu.
func (c *connection) keep(data []byte) {
	switch {
	case c.closed:
	case len(c.out)+len(data) > mostUnsent:
		c.cut()
	default:
		c.out = append(c.out, data...)
	}
}

// flush writes what waits.
func (c *connection) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = false
	if !c.full {
		c.write()
	}
}

// drain goes on with a socket that was full.
func (c *connection) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full {
		c.write()
	}
}

// write writes what waits. Called under mu.
func (c *connection) write() {
	if len(c.out) == 0 || c.closed {
		return
	}
	data := c.out
	c.out = c.out[:0]
	n, errno := writeSocket(c.fd, data)
	c.wrote(data[n:], errno)
}

// wrote notes what the socket did not take. Called under mu.
func (c *connection) wrote(rest []byte, errno syscall.Errno) {
	if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
		c.cut()
		return
	}
	c.out = append(c.out, rest...)
	if full := len(c.out) > 0; full != c.full {
		c.full = full
		_ = c.owner.Load().control(syscall.EPOLL_CTL_MOD, c.fd, int32(c.fd), c.generation, c.events())
	}
}

// events are those that its owner waits for. Called under mu.
func (c *connection) events() uint32 {
	if c.full {
		return readable | syscall.EPOLLOUT
	}
	return readable
}

// cut ends the connection; its owner reads the end. Called under mu.
func (c *connection) cut() {
	c.closed, c.out = true, nil
	_ = syscall.Shutdown(c.fd, syscall.SHUT_RDWR)
}
