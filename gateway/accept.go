package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// accept serves the websocket endpoint. It returns after the upgrade.
func (g *Gateway) accept(w http.ResponseWriter, r *http.Request) {
	address := remoteAddress(r)
	code, why := g.admit(address)
	if code != 0 {
		g.refuse(w, r, code, why)
		return
	}
	var c *connection
	_, err := g.upgrader.Upgrade(w, r, func(ws conn.Conn) conn.Receiver {
		c = newConnection(g, ws, address)
		g.mu.Lock()
		g.connections[c] = struct{}{}
		closed := g.closed
		g.mu.Unlock()
		if closed || g.draining.Load() {
			ws.Close(starlingv1.CloseCode_GOING_AWAY, g.turnedAway())
		}
		return c
	})
	if err != nil {
		g.limits.leave(address)
		g.metrics.handshakesFailed.Inc()
		g.log.Debug("websocket handshake failed", "address", address, "error", err)
		return
	}
	g.metrics.accepted.Inc()
}

// admit says whether a connection may come in; limits.leave undoes it.
func (g *Gateway) admit(address string) (starlingv1.CloseCode, string) {
	if g.draining.Load() {
		return starlingv1.CloseCode_GOING_AWAY, "the gateway is going away"
	}
	return g.limits.enter(address)
}

// refuse upgrades all the same: a browser can read a close code, not the status
// of a failed handshake.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, code starlingv1.CloseCode, why string) {
	g.metrics.closes.WithLabelValues(code.String()).Inc()
	c, err := g.upgrader.Upgrade(w, r, func(conn.Conn) conn.Receiver { return refused{g} })
	if err != nil {
		return
	}
	if code == starlingv1.CloseCode_GOING_AWAY {
		c.Close(code, g.turnedAway())
		return
	}
	c.Close(code, g.closeReason(code, why))
}

// awayAgain is how soon, at the least, a client that came to a draining gateway
// may try another one, or whatever answers at this address by then.
const awayAgain = 100 * time.Millisecond

func (g *Gateway) turnedAway() string {
	return reconnectReason(g.jittered(min(awayAgain, g.config.ReconnectAfter)), "the gateway is going away")
}

// refused receives on a connection that is closed at once.
type refused struct{ g *Gateway }

func (refused) Messages(conn.Conn, [][]byte) {}
func (refused) Writable(conn.Conn)           {}
func (refused) Closed(conn.Conn, error)      {}

func remoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// addressLimits counts connections, in all and by address.
type addressLimits struct {
	mu         sync.Mutex
	all        int
	byAddress  map[string]int
	max        int
	perAddress int
	loopback   bool // limited too
}

func (l *addressLimits) init(config Config) {
	l.byAddress = make(map[string]int)
	l.max, l.perAddress, l.loopback = config.MaxConnections, config.MaxPerAddress, config.LimitLoopback
}

func (l *addressLimits) enter(address string) (starlingv1.CloseCode, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 0 && l.all >= l.max {
		return starlingv1.CloseCode_FULL, "the gateway is full"
	}
	if l.perAddress > 0 && l.byAddress[address] >= l.perAddress && (l.loopback || !isLoopback(address)) {
		return starlingv1.CloseCode_ADDRESS_LIMIT, "too many connections from this address"
	}
	l.all++
	l.byAddress[address]++
	return 0, ""
}

func (l *addressLimits) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.byAddress[address]--; l.byAddress[address] <= 0 {
		delete(l.byAddress, address)
	}
}

func isLoopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Unmap().IsLoopback()
}

// originCheck gives the upgrader's check. nil stands for "same host".
func originCheck(allowed []string) func(*http.Request) bool {
	if len(allowed) == 0 {
		return nil
	}
	set := make(map[string]bool, len(allowed))
	for _, origin := range allowed {
		if origin == "*" {
			return func(*http.Request) bool { return true }
		}
		set[strings.ToLower(strings.TrimSuffix(origin, "/"))] = true
	}
	return func(r *http.Request) bool {
		origin := r.Header.Get("Origin")
		if origin == "" {
			return true // no browser
		}
		u, err := url.Parse(origin)
		return err == nil && set[strings.ToLower(u.Scheme+"://"+u.Host)]
	}
}

// bucket is a token bucket. It belongs to one goroutine.
type bucket struct {
	rate   float64 // tokens per second
	burst  float64
	tokens float64
	at     time.Time
}

// take takes a token if there is one. full says that the bucket had filled up.
func (b *bucket) take(now time.Time) (ok, full bool) {
	if !b.at.IsZero() {
		b.tokens += now.Sub(b.at).Seconds() * b.rate
	} else {
		b.tokens = b.burst
	}
	b.at = now
	if b.tokens >= b.burst {
		b.tokens, full = b.burst, true
	}
	if b.tokens < 1 {
		return false, full
	}
	b.tokens--
	return true, full
}
