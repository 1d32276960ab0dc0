package generator

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/generator/wire"
)

// thingKind is the kind of the things that a crowd grabs.
const thingKind = "thing"

// connect starts a client's connection.
func (l *loop) connect(c *client) {
	now := l.now()
	if c.came == 0 {
		c.came = now
	}
	to := l.targets[int(c.index)%len(l.targets)]
	address := to.addresses[int(c.index)/len(l.targets)%len(to.addresses)]
	var source netip.Addr
	if len(l.sources) > 0 {
		source = l.sources[int(c.index)%len(l.sources)]
	}
	var fd int
	var err error
	if to.secure {
		fd, err = dialTLS(address, source, to.host, l.config.TLS)
	} else {
		fd, err = dial(address, source)
	}
	l.opening++
	c.stage = connecting
	if err != nil {
		l.failed(c, now, err)
		return
	}
	c.fd = fd
	c.generation++
	c.wantsWrite = true
	c.in, c.out, c.fragments, c.cells = nil, c.out[:0], nil, c.cells[:0]
	if err := l.poller.add(fd, c.index, c.generation, true); err != nil {
		l.failed(c, now, err)
		return
	}
	l.wake(c, now+int64(handshakeTime))
}

// drop closes the socket.
func (l *loop) drop(c *client) {
	if c.fd < 0 {
		return
	}
	closeSocket(c.fd)
	c.fd = -1
	c.out, c.in, c.fragments = c.out[:0], nil, nil
}

// established asks for the upgrade.
func (l *loop) established(c *client) error {
	if err := connected(c.fd); err != nil {
		return err
	}
	for i := range c.nonce {
		c.nonce[i] = byte(l.random.Uint32())
	}
	to := l.targets[int(c.index)%len(l.targets)]
	c.out = append(c.out, wire.UpgradeRequest(to.host, to.path, c.nonce)...)
	c.stage = upgrading
	return nil
}

// hello opens the session, or resumes it.
func (l *loop) hello(c *client) error {
	token, err := l.config.Token(int(c.index))
	if err != nil {
		return &hopelessError{err}
	}
	hello := &starlingv1.Hello{Token: token, Client: "starling loadtest", Ring: uint32(c.entry.Ring), Resume: c.session, LastNumber: c.last}
	hello.Place, hello.Start = c.place, c.entryPosition()
	encoded, err := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Hello{Hello: hello}}).MarshalVT()
	if err != nil {
		return err
	}
	l.frame(c, func(dst []byte) []byte { return append(dst, encoded...) })
	c.stage = greeting
	return nil
}

func (c *client) entryPosition() *starlingv1.Position {
	if c.entry.Place != nil {
		return &starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{East: float32(c.entry.East), North: float32(c.entry.North)}}}
	}
	return &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: c.entry.Lat, Longitude: c.entry.Lng}}}
}

// welcomed takes the answer to Hello.
func (l *loop) welcomed(c *client, body []byte, now int64) error {
	var w starlingv1.Welcome
	if err := w.UnmarshalVT(body); err != nil {
		return err
	}
	if c.stage != greeting {
		return errors.New("a second Welcome")
	}
	if !w.Resumed {
		l.forgetSession(c)
		c.next = max(w.NextNumber, 1)
		c.last = c.next - 1
	}
	c.session, c.avatar, c.window = w.Session, w.Avatar, int(max(w.MaxInFlight, 1))
	c.self = l.ledger.addEntity(c.avatar, c.index)
	c.sent, c.heldUntil, c.pause, c.failures = 0, 0, 0, 0
	c.stage = settling
	l.present++
	if c.entry.Thing && c.thing == 0 && !c.spawning() {
		c.queue = append([]act{{sequence: -1, function: spawn, target: -1}}, c.queue...)
	}
	l.pump(c, now)
	l.settled(c, now)
	return nil
}

func (c *client) spawning() bool {
	for i := range c.queue {
		if c.queue[i].function == spawn {
			return true
		}
	}
	return false
}

// forgetSession gives up what was under way in a session that is gone: its fate
// will not be known.
func (l *loop) forgetSession(c *client) {
	kept := c.queue[:0]
	for _, a := range c.queue {
		if a.number != 0 {
			l.ledger.close(a.sequence)
			continue
		}
		kept = append(kept, a)
	}
	c.queue, c.sent, c.thing = kept, 0, 0
}

// settled makes a client ready once it has all baselines and its thing.
func (l *loop) settled(c *client, now int64) {
	if c.stage != settling || len(c.cells) < c.disk || c.entry.Thing && c.thing == 0 {
		return
	}
	c.stage = ready
	c.wakeAt = 0
	l.opening--
	l.readyOnes++
	if l.running {
		l.stall(c)
	}
	if c.joined {
		return
	}
	c.joined = true
	l.joinTimes.Record((now - c.came) / int64(time.Microsecond))
	if c.entry.Joins <= 0 {
		l.missing--
	} else if v := &l.ledger.viewers[c.index]; v.expectedFrom > now-l.origin {
		v.expectedFrom = now - l.origin
	}
}

// stall makes a stuck reader stop reading.
func (l *loop) stall(c *client) {
	if c.stuck && c.stage == ready {
		_ = l.poller.mute(c.fd, c.index, c.generation) // of a socket that is watched: it does not fail
	}
}

// failed ends a connection that broke, and decides what follows.
func (l *loop) failed(c *client, now int64, why error) {
	l.disconnect(c)
	if l.stop.Load() || c.stage == leaving {
		c.stage = absent
		return
	}
	pause, again := l.pauseAfter(c, why)
	l.why[withoutPause(why)]++
	l.lastWhy = why
	if l.firstWhy == nil {
		l.firstWhy = why
	}
	if !again {
		c.stage = absent
		l.gone++
		return
	}
	c.failures++
	c.stage = waiting
	if l.measuring {
		l.reconnects++
	}
	l.wake(c, now+int64(pause))
}

// disconnect closes the socket and the books on it.
func (l *loop) disconnect(c *client) {
	switch c.stage {
	case connecting, upgrading, greeting:
		l.opening--
	case settling:
		l.opening--
		l.present--
	case ready:
		l.readyOnes--
		l.present--
	case leaving:
		l.present--
	}
	l.drop(c)
	c.wakeAt = 0
	c.sent = 0
	for i := range c.queue {
		c.queue[i].pending = false
		c.queue[i].safe = c.queue[i].safe && c.queue[i].number == 0
	}
}

// pauseAfter says when to connect again, if at all. Source:
// docs/reference/protocol.md, "Close codes".
func (l *loop) pauseAfter(c *client, why error) (pause time.Duration, again bool) {
	var closed *closedError
	var status *wire.StatusError
	var hopeless *hopelessError
	switch {
	case errors.As(why, &hopeless):
		return 0, false
	case errors.As(why, &closed):
		if closed.code >= 4500 && closed.code <= 4999 {
			return 0, false
		}
		if closed.code == int(starlingv1.CloseCode_SESSION_GONE) {
			l.forgetSession(c)
			c.session = 0
		}
		named, ok := namedPause(closed.reason)
		if ok && named == 0 && c.failures == 0 {
			return 0, true
		}
		if ok && named > 0 && closed.code >= 4000 && closed.code <= 4499 {
			return named + time.Duration(l.random.Float64()*float64(named)/2), true
		}
	case errors.As(why, &status):
		if status.Code >= 400 && status.Code < 500 && status.Code != 408 && status.Code != 425 && status.Code != 429 {
			return 0, false
		}
	}
	pause = min(time.Duration(float64(firstPause)*math.Pow(2, float64(min(c.failures, 10)))), longPause)
	return pause - time.Duration(l.random.Float64()*float64(pause)/2), true
}

// hopelessError is the same however often one tries: it lies in the token.
type hopelessError struct{ why error }

func (e *hopelessError) Error() string { return e.why.Error() }
func (e *hopelessError) Unwrap() error { return e.why }

// withoutPause says why a connection ended without the time to wait, which
// differs from connection to connection.
func withoutPause(why error) string {
	var closed *closedError
	if errors.As(why, &closed) {
		if _, ok := namedPause(closed.reason); ok {
			_, rest, _ := strings.Cut(closed.reason, ":")
			return (&closedError{closed.code, strings.TrimSpace(rest)}).Error()
		}
	}
	return why.Error()
}

// namedPause reads "reconnect in 1.5s: draining".
func namedPause(reason string) (time.Duration, bool) {
	rest, ok := strings.CutPrefix(reason, "reconnect in ")
	if !ok {
		return 0, false
	}
	text, _, _ := strings.Cut(rest, ":")
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}

// depart lets a client go.
func (l *loop) depart(c *client) {
	now := l.now()
	switch c.stage {
	case settling, ready:
		if c.stage == ready {
			l.readyOnes--
		} else {
			l.opening--
		}
		c.stage = leaving
		c.queue = append(c.queue, act{sequence: -1, function: leave, target: -1})
		l.pump(c, now)
		l.wake(c, now+int64(leaveTime))
	case absent:
	default:
		l.disconnect(c)
		c.stage = absent
	}
}

// woken does what a client's timer was set for.
func (l *loop) woken(c *client, now int64) {
	switch c.stage {
	case waiting:
		l.connect(c)
	case connecting, upgrading, greeting:
		l.failed(c, now, errHandshake)
	case leaving:
		l.disconnect(c)
		c.stage = absent
	case settling:
		if now-c.came > int64(handshakeTime) && c.heldUntil == 0 {
			l.failed(c, now, fmt.Errorf("%d of %d baselines came within %v", len(c.cells), c.disk, handshakeTime))
			return
		}
		l.pump(c, now)
		l.wake(c, now+int64(handshakeTime))
	case ready:
		l.pump(c, now)
	}
}
