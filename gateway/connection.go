package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// stage is how far a connection has come.
type stage int32

const (
	awaitingHello stage = iota
	opening
	open
)

// connection is a client's websocket and, once it said hello, its session.
type connection struct {
	gateway *Gateway
	conn    conn.Conn
	address string
	opened  time.Time

	stage   atomic.Int32
	session atomic.Pointer[session]
	expires atomic.Int64 // of the token, Unix nanoseconds; 0: no token yet
	closing atomic.Bool

	// Of the reading goroutine.
	bucket bucket
	over   int

	// Of the sweeping goroutine.
	pinged time.Time

	mu      sync.Mutex
	sentBy  time.Time // when a drain closes it; zero: not
	gone    bool      // the websocket is
	opening context.CancelFunc
	ended   chan struct{} // made for who waits: most connections need none
}

func newConnection(g *Gateway, ws conn.Conn, address string) *connection {
	return &connection{gateway: g, conn: ws, address: address, opened: time.Now(),
		bucket: bucket{rate: g.config.MessageRate, burst: float64(g.config.MessageBurst)}}
}

// close ends the connection. What is pending for the client goes out first.
func (c *connection) close(code starlingv1.CloseCode, what string) {
	c.closeWith(code, c.gateway.closeReason(code, what))
}

func (c *connection) closeWith(code starlingv1.CloseCode, reason string) {
	if !c.closing.CompareAndSwap(false, true) {
		return
	}
	c.gateway.metrics.closes.WithLabelValues(code.String()).Inc()
	if s := c.session.Load(); s != nil {
		s.client.Close(code, reason)
		return
	}
	c.conn.Close(code, reason)
}

// Messages implements conn.Receiver.
func (c *connection) Messages(_ conn.Conn, payloads [][]byte) {
	now, arrived := time.Now(), c.conn.LastRead()
	c.gateway.metrics.messages.Add(float64(len(payloads)))
	for _, payload := range payloads {
		if c.closing.Load() {
			return
		}
		within, full := c.bucket.take(now)
		if full {
			c.over = 0
		}
		if !within {
			if c.over++; c.over > c.gateway.config.FloodAfter {
				c.close(starlingv1.CloseCode_FLOOD, "kept on sending over the rate")
				return
			}
		}
		in, err := decode(payload, c.conn.JSON())
		if err != nil {
			c.close(starlingv1.CloseCode_BAD_MESSAGE, err.Error())
			return
		}
		c.take(now, arrived, in, within)
	}
}

// take handles a message. Over the rate, actions are refused and the rest is
// ignored.
func (c *connection) take(now, arrived time.Time, in incoming, within bool) {
	s := c.session.Load()
	switch {
	case in.message.GetHello() != nil:
		if !c.stage.CompareAndSwap(int32(awaitingHello), int32(opening)) {
			c.close(starlingv1.CloseCode_BAD_MESSAGE, "a second Hello")
			return
		}
		c.hello(in.message.GetHello(), now)
	case s == nil:
		c.close(starlingv1.CloseCode_BAD_MESSAGE, "say Hello and wait for Welcome first")
	case in.act != nil:
		s.act(now, arrived, in, within)
	case !within:
	case in.message.GetPing() != nil:
		s.client.Send(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Pong{Pong: &starlingv1.Pong{
			ClientTimeUs: in.message.GetPing().ClientTimeUs, ServerTimeUs: uint64(time.Now().UnixMicro())}}})
	case in.message.GetInterest() != nil:
		s.client.SetRing(c.gateway.ring(in.message.GetInterest().Ring))
		if asked := in.message.GetInterest().Budget; asked != nil {
			s.client.SetBudget(c.gateway.granted(asked))
		}
	}
}

// ring bounds what a client asked for.
func (g *Gateway) ring(asked uint32) int { return int(min(asked, uint32(g.config.MaxRing))) }

// Writable implements conn.Receiver.
func (c *connection) Writable(conn.Conn) {
	if s := c.session.Load(); s != nil {
		s.client.Writable()
	}
}

// Closed implements conn.Receiver.
func (c *connection) Closed(_ conn.Conn, err error) {
	g := c.gateway
	if c.closing.CompareAndSwap(false, true) {
		g.metrics.closes.WithLabelValues(closedAs(err)).Inc()
	}
	c.mu.Lock()
	c.gone = true
	cancel, ended := c.opening, c.ended
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if ended != nil {
		close(ended)
	}
	g.limits.leave(c.address)
	g.mu.Lock()
	delete(g.connections, c)
	g.mu.Unlock()
	if s := c.session.Load(); s != nil {
		s.disconnected()
	}
}

// end gives a channel that is closed once the websocket is gone.
func (c *connection) end() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = make(chan struct{})
		if c.gone {
			close(c.ended)
		}
	}
	return c.ended
}

// opens says that the session is being opened, until the context's end: without
// the websocket there is no more to open. nil: it is open.
func (c *connection) opens(cancel context.CancelFunc) (gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opening = cancel
	return c.gone
}

// closedAs names how the other side ended a connection, for the metrics.
func closedAs(err error) string {
	var closed *websocket.CloseError
	switch {
	case errors.Is(err, conn.ErrTooLarge):
		return starlingv1.CloseCode_TOO_LARGE.String()
	case errors.Is(err, conn.ErrProtocol), errors.Is(err, conn.ErrWrongOpcode), errors.Is(err, conn.ErrNotText):
		return starlingv1.CloseCode_BAD_MESSAGE.String()
	case errors.As(err, &closed):
		return "client"
	}
	return "broken"
}

// lookAfter runs each second.
func (c *connection) lookAfter(now time.Time) {
	if c.closing.Load() {
		return
	}
	config := &c.gateway.config
	silent := now.Sub(c.conn.LastRead())
	expires := c.expires.Load()
	switch {
	case stage(c.stage.Load()) == awaitingHello && now.Sub(c.opened) >= config.HandshakeTime:
		c.close(starlingv1.CloseCode_NO_HELLO, "no valid Hello in time")
	case expires != 0 && now.UnixNano() >= expires:
		c.close(starlingv1.CloseCode_TOKEN_EXPIRED, "the token expired: fetch a new one")
	case silent >= config.IdleTime:
		c.close(starlingv1.CloseCode_IDLE, "no message and no pong for too long")
	case silent >= config.PingAfter && now.Sub(c.pinged) >= config.PingAfter/2:
		c.pinged = now
		c.conn.Ping()
	}
}
