package gateway

import (
	"context"
	"math/rand/v2"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Drain sends all clients away: it takes no new ones, tells each when to
// reconnect, spread over Config.DrainTime, and closes those that do not go by
// themselves. It returns nil once nobody is left, within DrainTime and a few
// seconds. Ending ctx calls the drain off: the gateway serves on.
func (g *Gateway) Drain(ctx context.Context) error {
	g.draining.Store(true)
	g.each(func(c *connection) { c.announceDrain(g.config.DrainTime) })
	g.log.Info("gateway drains", "connections", g.Connections(), "over", g.config.DrainTime)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for g.Connections() > 0 {
		select {
		case now := <-ticker.C:
			g.each(func(c *connection) { c.sendAway(now) })
		case <-ctx.Done():
			g.callOff()
			return ctx.Err()
		}
	}
	return nil
}

// announceDrain tells a client when to go, and notes when it is made to.
func (c *connection) announceDrain(within time.Duration) {
	after := time.Duration(rand.Int64N(int64(within)) + 1)
	c.mu.Lock()
	c.sentBy = time.Now().Add(after)
	c.mu.Unlock()
	c.noticeDrain(after)
}

// sendAway closes a connection whose time is over. When that was is random
// already: the client may come back, elsewhere, at once.
func (c *connection) sendAway(now time.Time) {
	c.mu.Lock()
	over := !c.sentBy.IsZero() && !now.Before(c.sentBy)
	c.mu.Unlock()
	if over {
		c.closeWith(starlingv1.CloseCode_GOING_AWAY, reconnectReason(0, "the gateway is going away"))
	}
}

// drainLate tells of the drain to a client whose session was opened while it
// began.
func (c *connection) drainLate() {
	c.mu.Lock()
	by := c.sentBy
	c.mu.Unlock()
	if by.IsZero() {
		c.announceDrain(c.gateway.config.DrainTime)
		return
	}
	c.noticeDrain(max(time.Until(by), time.Millisecond))
}

func (c *connection) noticeDrain(after time.Duration) {
	c.notice(&starlingv1.Notice{Kind: starlingv1.Notice_DRAINING, Message: "the gateway is going away: reconnect in time",
		ReconnectMs: uint32(max(after.Milliseconds(), 1))})
}

func (c *connection) notice(n *starlingv1.Notice) {
	if s := c.session.Load(); s != nil {
		s.client.Send(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Notice{Notice: n}})
	}
}

func (g *Gateway) callOff() {
	g.draining.Store(false)
	g.each(func(c *connection) {
		c.mu.Lock()
		c.sentBy = time.Time{}
		c.mu.Unlock()
		c.notice(&starlingv1.Notice{Kind: starlingv1.Notice_RECOVERED, Message: "the drain was called off: stay"})
	})
	g.log.Info("gateway serves on: the drain was called off")
}

// Degraded tells all clients that a shared dependency fails (or works again,
// with recovered).
func (g *Gateway) Degraded(message string, recovered bool) {
	kind := starlingv1.Notice_DEGRADED
	if recovered {
		kind = starlingv1.Notice_RECOVERED
	}
	g.each(func(c *connection) { c.notice(&starlingv1.Notice{Kind: kind, Message: message}) })
}

// goAway closes what is left and waits until it is closed. Each client is told
// another time to come back, from none to Config.ReconnectAfter.
func (g *Gateway) goAway() {
	var gone []<-chan struct{}
	g.each(func(c *connection) {
		c.closeWith(starlingv1.CloseCode_GOING_AWAY, reconnectReason(rand.N(g.config.ReconnectAfter), "the gateway stops"))
		gone = append(gone, c.end())
	})
	for _, end := range gone {
		<-end
	}
}
