package starling

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// quickPings is how many pings follow the Welcome closely, so that the clock is
// known soon.
const (
	quickPings    = 4
	quickInterval = 300 * time.Millisecond
	// tidyInterval is the least time between two tidyings of the view. The
	// answers to pings bring the occasion.
	tidyInterval = 500 * time.Millisecond
)

var (
	errSilent   = errors.New("starling: nothing came for too long")
	errDraining = errors.New("starling: the gateway drains")
)

// run keeps the client connected until it ends for good. first is told how the
// first attempt ended.
func (c *Client) run(first chan<- error) {
	failures := 0
	var err error
	for {
		began := time.Now()
		welcomed := false
		err = c.connection(func() {
			welcomed = true
			if first != nil {
				first <- nil
				first = nil
			}
		})
		if c.ctx.Err() != nil {
			err = context.Cause(c.ctx)
			break
		}
		if final(err) || first != nil && !comesBack(err) {
			break
		}
		if welcomed && (sentAway(err) || time.Since(began) >= steadyTime) {
			failures = 0
		}
		failures++
		if isSessionGone(err) {
			c.sessionGone()
		}
		c.options.Logger.Debug("connection ended", "error", err, "failures", failures)
		if welcomed && c.options.OnDisconnect != nil {
			c.options.OnDisconnect(err)
		}
		if !c.wait(c.options.Reconnect.pause(err, failures)) {
			err = context.Cause(c.ctx)
			break
		}
	}
	c.finish(err)
	if first != nil {
		first <- err
	}
	close(c.done)
}

// comesBack says whether a first attempt that failed so is made again.
func comesBack(err error) bool {
	var closed *CloseError
	var status *statusError
	return errors.As(err, &closed) || errors.As(err, &status)
}

// wait pauses; false if the client was closed meanwhile.
func (c *Client) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// finish ends the client.
func (c *Client) finish(err error) {
	c.cancel(err)
	c.mu.Lock()
	c.err = err
	c.retry.Stop()
	lost := c.window.clear()
	c.makeRoom()
	c.mu.Unlock()
	fail(lost, err)
}

// sessionGone forgets the session: what was in flight has no outcome any more.
func (c *Client) sessionGone() {
	c.mu.Lock()
	c.session.ID = 0
	c.window.next = 0
	lost := c.window.clear()
	c.makeRoom()
	c.mu.Unlock()
	fail(lost, ErrSessionGone)
}

// connection lives through one connection, from dialling to its end.
func (c *Client) connection(welcomed func()) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.options.HandshakeTimeout)
	defer cancel()
	hello, err := c.hello(ctx)
	if err != nil {
		return err
	}
	url := c.url
	if c.options.URL != nil {
		url = c.options.URL()
	}
	w, err := dialWire(ctx, url, &c.options)
	if err != nil {
		return err
	}
	defer w.ws.Close()
	stop := context.AfterFunc(ctx, func() { w.cut("") })
	defer stop()
	if err := w.write(&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: hello}}); err != nil {
		return closeError(err)
	}
	for {
		var m starlingv1.ServerMessage
		if err := w.read(&m); err != nil {
			return closeError(err)
		}
		if welcome := m.GetWelcome(); welcome != nil {
			stop()
			return c.welcomed(w, welcome, hello, welcomed)
		}
		c.early(&m)
	}
}

// early takes what may come before a Welcome.
func (c *Client) early(m *starlingv1.ServerMessage) {
	if notice := m.GetNotice(); notice != nil && c.options.OnNotice != nil {
		c.options.OnNotice(notice)
	}
}

func (c *Client) hello(ctx context.Context) (*starlingv1.Hello, error) {
	hello := &starlingv1.Hello{
		Client: c.options.Name, Place: c.options.Place, Start: c.options.Start, Attributes: c.options.Attributes,
		Budget: c.options.Budget,
	}
	if c.options.Token != nil {
		token, err := c.options.Token(ctx)
		if err != nil {
			return nil, err
		}
		hello.Token = token
	}
	c.mu.Lock()
	hello.Ring = c.ring
	hello.Resume = c.session.ID
	if hello.Resume != 0 {
		hello.LastNumber = c.window.lastFinal()
	}
	avatar := c.session.Avatar
	c.mu.Unlock()
	if avatar != 0 && hello.Resume == 0 {
		if own, inView := c.Entity(avatar); inView {
			hello.Start = own.Pose.GetPosition() // a new session goes on where the old one was
		}
	}
	return hello, nil
}

// welcomed reads a connection until it ends.
func (c *Client) welcomed(w *wire, welcome *starlingv1.Welcome, hello *starlingv1.Hello, told func()) error {
	now := time.Now()
	c.view.renew(now)
	lost := c.adopt(w, welcome, hello, now)
	if c.options.OnSession != nil {
		c.options.OnSession(c.Session())
	}
	fail(lost, ErrSessionGone)
	told()
	beat := newHeartbeat(c, w)
	defer beat.stop()
	// Close may have come before there was a wire to cut.
	stop := context.AfterFunc(c.ctx, func() { w.cut("") })
	defer stop()
	c.flush()
	err := c.read(w)
	c.mu.Lock()
	c.wire = nil
	c.mu.Unlock()
	w.cut("")
	if w.draining.Load() {
		return errDraining
	}
	return err
}

// adopt makes a welcomed connection the current one, and gives the actions that
// have lost their session.
func (c *Client) adopt(w *wire, welcome *starlingv1.Welcome, hello *starlingv1.Hello, now time.Time) (lost []*action) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !welcome.Resumed {
		if hello.Resume != 0 {
			lost = c.window.clear()
			c.makeRoom()
		}
		c.stats.Sessions++
		c.window.next = max(welcome.NextNumber, 1)
	}
	c.stats.Connections++
	c.window.limit = int(max(welcome.MaxInFlight, 1))
	c.window.resume()
	c.session = sessionOf(welcome)
	c.wire, c.received = w, now
	c.interest = c.ring != hello.Ring // changed while connecting
	c.clock = clockFilter{}
	c.ping = true
	return lost
}

func sessionOf(w *starlingv1.Welcome) Session {
	return Session{
		ID: w.Session, Avatar: w.Avatar, NextNumber: w.NextNumber, Resumed: w.Resumed,
		Place: w.Place, PlaceInfo: w.PlaceInfo, Pose: w.Pose, Ring: w.Ring,
		Deadline: time.Duration(w.DeadlineUs) * time.Microsecond, ResumeTime: time.Duration(w.ResumeMs) * time.Millisecond,
		Gateway: w.Gateway, Version: w.Version, Resolution: int(w.CellResolution), InFlight: int(w.MaxInFlight), Budget: w.Budget,
	}
}

// read takes messages until the connection ends.
func (c *Client) read(w *wire) error {
	tidied := time.Now()
	graced := tidied.Add(graceTime) // then cells of an earlier connection go, with the next pong at the latest
	for {
		var m starlingv1.ServerMessage
		if err := w.read(&m); err != nil {
			return closeError(err)
		}
		now := time.Now()
		c.mu.Lock()
		c.received = now
		c.mu.Unlock()
		if err := c.message(w, &m, now); err != nil {
			return err
		}
		over := !graced.IsZero() && !now.Before(graced)
		if over {
			graced = time.Time{}
		}
		if over || now.Sub(tidied) >= tidyInterval {
			tidied = now
			for _, change := range c.view.tidy(now, c.options.OnChange != nil) {
				c.options.OnChange(change)
			}
		}
	}
}

func (c *Client) message(w *wire, m *starlingv1.ServerMessage, now time.Time) error {
	switch kind := m.Kind.(type) {
	case *starlingv1.ServerMessage_Frame:
		return c.frame(kind.Frame, now)
	case *starlingv1.ServerMessage_Outcome:
		c.outcome(kind.Outcome, now)
	case *starlingv1.ServerMessage_Pong:
		c.pong(kind.Pong, now)
	case *starlingv1.ServerMessage_Notice:
		c.notice(w, kind.Notice)
	}
	return nil // what is unknown is of a later version
}

func (c *Client) frame(f *starlingv1.CellFrame, now time.Time) error {
	if c.options.OnFrame != nil {
		c.options.OnFrame(f, now)
	}
	c.mu.Lock()
	c.stats.Frames++
	c.mu.Unlock()
	if c.options.NoView {
		return nil
	}
	result, err := c.view.apply(f, now, c.options.OnChange != nil)
	if err != nil {
		c.mu.Lock()
		c.stats.Gaps++
		c.mu.Unlock()
		return err
	}
	c.tell(f, result)
	return nil
}

func (c *Client) tell(f *starlingv1.CellFrame, result frameResult) {
	for _, change := range result.changes {
		c.options.OnChange(change)
	}
	if c.options.OnEvent != nil {
		for _, event := range result.events {
			if event.What != nil {
				c.options.OnEvent(f.Cell, event)
			}
		}
	}
	if f.MissedEvents != 0 && c.options.OnMissed != nil {
		c.options.OnMissed(f.Cell, f.MissedEvents)
	}
}

func (c *Client) pong(p *starlingv1.Pong, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock.add(clockSample{sent: int64(p.ClientTimeUs), received: c.local.micros(now), server: int64(p.ServerTimeUs)})
}

// notice obeys a draining gateway: the client reconnects at a random time, so
// that not all do at once.
func (c *Client) notice(w *wire, n *starlingv1.Notice) {
	if c.options.OnNotice != nil {
		c.options.OnNotice(n)
	}
	if n.Kind == starlingv1.Notice_DRAINING && n.ReconnectMs > 0 {
		within := time.Duration(n.ReconnectMs) * time.Millisecond
		time.AfterFunc(rand.N(within), func() {
			w.draining.Store(true)
			w.cut("draining")
		})
	}
}

// heartbeat pings, and cuts a connection that has gone silent.
type heartbeat struct {
	client *Client
	wire   *wire
	beats  int
	timer  *time.Timer
	ended  chan struct{}
}

func newHeartbeat(c *Client, w *wire) *heartbeat {
	h := &heartbeat{client: c, wire: w, ended: make(chan struct{})}
	h.timer = time.AfterFunc(min(quickInterval, c.options.PingInterval), h.beat)
	return h
}

func (h *heartbeat) stop() {
	close(h.ended)
	h.timer.Stop()
}

func (h *heartbeat) beat() {
	c := h.client
	select {
	case <-h.ended:
		return
	default:
	}
	now := time.Now()
	c.mu.Lock()
	silent := now.Sub(c.received) > 3*c.options.PingInterval
	c.ping = true
	c.mu.Unlock()
	if silent {
		c.options.Logger.Debug("connection cut", "error", errSilent)
		h.wire.ws.Close()
		return
	}
	c.flush()
	h.beats++
	interval := c.options.PingInterval
	if h.beats < quickPings {
		interval = min(quickInterval, interval)
	}
	h.timer.Reset(interval)
}
