package redis

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/world"
)

// lane is the connection over which the appends for one node go, one round trip
// at a time. It has no goroutine that sends: who submits while nothing is under
// way does, otherwise who ends the round trip before, or a timer. One goroutine
// reads, and ends what was appended.
type lane struct {
	log     *Log
	address string

	mu         sync.Mutex
	conn       net.Conn // nil: none
	connecting bool
	closed     bool
	waiting    []*world.Append
	late       bool            // one of them was not ready for the round trip before
	flight     []*world.Append // sent; their Done may be running
	spare      []*world.Append
	sent       time.Time // when the last round trip began
	ease       float64   // how far the next round may be put off, 0 to 1
	writing    bool
	dense      bool // the round trip before began shortly before this one
	driving    bool // the timer collects what the feed has, see Log.BeforeRound
	collecting bool // right now
	timer      *time.Timer
	armed      bool

	out []byte // of who sends: there is one at a time
}

const (
	// inline is how much may be written by whoever submits: it fits the socket's
	// buffer, which is empty then, so that nobody waits.
	inline = 64 << 10
	// patience is how long a round trip waits for what the feed brings: something
	// that it leads to may hang.
	patience = 20 * time.Millisecond
	// keptOut is how large a buffer is kept for the next round trip.
	keptOut = 1 << 20
)

func newLane(l *Log, address string) *lane { return &lane{log: l, address: address} }

func (n *lane) submit(a *world.Append) {
	n.mu.Lock()
	n.waiting = append(n.waiting, a)
	n.advance()
}

// advance begins a round trip if one may begin. It is called with the lock held,
// and releases it.
func (n *lane) advance() {
	if len(n.flight) > 0 || n.writing || len(n.waiting) == 0 || n.connecting || n.armed {
		n.mu.Unlock()
		return
	}
	if n.conn == nil {
		n.connecting = true
		n.mu.Unlock()
		go n.connect()
		return
	}
	now := time.Now()
	if rest := n.rest(now); rest > 0 {
		n.arm(rest)
		n.mu.Unlock()
		return
	}
	n.dense = now.Sub(n.sent) < 2*n.interval()
	n.sent, n.writing, n.late = now, true, false
	round, conn := n.waiting, n.conn
	n.waiting, n.spare = n.spare[:0], nil
	_ = conn.SetReadDeadline(now.Add(n.log.config.Timeout))
	n.mu.Unlock()
	n.send(conn, round)
}

// interval is how long after a round trip began the next may.
func (n *lane) interval() time.Duration {
	if n.late {
		return n.log.config.interval(0)
	}
	return n.log.config.interval(n.ease)
}

func (n *lane) rest(now time.Time) time.Duration {
	return n.sent.Add(n.interval()).Sub(now) // sent may be zero: no plain subtraction
}

func (n *lane) arm(rest time.Duration) {
	n.armed = true
	if n.timer == nil {
		n.timer = time.AfterFunc(rest, n.due)
	} else {
		n.timer.Reset(rest)
	}
}

// due begins the round trip that the timer put off. Where round trips follow each
// other it brings first what came meanwhile; if the one before is not over, nothing
// came, or what was to bring it does not return, whoever brings appends is to do so
// by himself again.
func (n *lane) due() {
	n.mu.Lock()
	n.armed = false
	if n.driving && !n.collecting && !n.writing && len(n.flight) == 0 {
		n.collecting = true
		n.arm(patience) // nobody begins meanwhile
		n.mu.Unlock()
		n.log.feed.collect()
		n.mu.Lock()
		n.collecting, n.armed = false, false
		n.timer.Stop()
	}
	n.advance()
	n.mu.Lock()
	stop := n.driving && !n.armed
	n.driving = n.driving && !stop
	n.mu.Unlock()
	if stop {
		n.log.feed.drive(false)
	}
}

// drive arms the timer for the next round trip, whether or not there is anything
// for it yet, if round trips follow each other. Called with the lock held; start says
// that the feed is to be told once it is released.
func (n *lane) drive() (start bool) {
	if !n.dense || n.closed || n.armed || n.collecting || n.log.feed.of.Load() == nil {
		return false
	}
	rest := n.rest(time.Now())
	if rest <= 0 {
		return false
	}
	n.arm(rest)
	start = !n.driving
	n.driving = true
	return start
}

// send asks for the batches of a round trip and sends them.
func (n *lane) send(conn net.Conn, round []*world.Append) {
	out, ready := n.out[:0], round[:0]
	for _, a := range round {
		switch a.Sealed(false) {
		case world.Sealed:
			out, ready = n.log.appendCall(out, a), append(ready, a)
		case world.NotYet:
			go n.awaitSeal(a)
		case world.Withdrawn:
			n.log.running.Done()
		}
	}
	clear(round[len(ready):])
	if len(ready) > 0 && n.replicated() {
		out = appendWait(out, n.log.config.ReplicaTimeout.Milliseconds())
	}
	if n.out = out; cap(out) > keptOut {
		n.out = nil
	}
	n.mu.Lock()
	switch {
	case len(ready) == 0:
		n.spare, n.writing = ready, false
		n.advance()
		return
	case n.conn != conn: // it broke meanwhile
		n.mu.Unlock()
		for _, a := range ready {
			n.log.ended(a, n.log.fail(errBroken))
		}
		n.mu.Lock()
		n.writing = false
		n.advance()
		return
	}
	n.flight = ready
	start := n.drive()
	n.mu.Unlock()
	if start {
		n.log.feed.drive(true)
	}
	if len(out) <= inline {
		n.write(conn, out)
		return
	}
	go n.write(conn, out)
}

var errBroken = errors.New("redis: the connection broke before anything was sent")

// awaitSeal brings back an append whose batch was not ready: the next round trip
// is not put off.
func (n *lane) awaitSeal(a *world.Append) {
	if a.Sealed(true) != world.Sealed {
		n.log.running.Done()
		return
	}
	n.mu.Lock()
	n.late = true
	n.waiting = append(n.waiting, a)
	if n.armed && !n.collecting {
		n.arm(max(0, n.rest(time.Now())))
	}
	n.advance()
}

func (n *lane) replicated() bool {
	return n.log.config.Durability == world.DurabilityReplicated
}

func (n *lane) write(conn net.Conn, out []byte) {
	if len(out) > inline {
		_ = conn.SetWriteDeadline(time.Now().Add(n.log.config.Timeout))
	}
	if _, err := conn.Write(out); err != nil {
		_ = conn.Close() // the reader finds out, and what the fate of the appends is
	}
	n.mu.Lock()
	n.writing = false
	n.advance() // if what answers was faster
}

func (n *lane) connect() {
	ctx, cancel := context.WithTimeout(context.Background(), n.log.config.Timeout)
	defer cancel()
	conn, err := redisnodes.Dial(ctx, n.address, n.log.nodes.Config())
	n.mu.Lock()
	n.connecting = false
	if err == nil && n.closed {
		_ = conn.Close()
		err = redisnodes.ErrClosed
	}
	if err != nil {
		failed := n.waiting
		n.waiting = nil
		n.mu.Unlock()
		for _, a := range failed {
			if a.Sealed(true) == world.Sealed {
				n.log.ended(a, n.log.fail(err))
			} else {
				n.log.running.Done()
			}
		}
		return
	}
	conn = promptly(conn)
	n.conn = conn
	n.log.reading.Go(func() { n.read(conn) })
	n.advance()
}

// read ends round trips until the connection breaks.
func (n *lane) read(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 16<<10)
	var results []error
	for {
		err := n.await(conn, r)
		if err == nil {
			n.mu.Lock()
			flight := n.flight
			n.mu.Unlock()
			if results, err = n.replies(r, flight, results[:0]); err == nil {
				n.end(flight, results)
				continue
			}
		}
		n.broken(conn, err)
		return
	}
}

// await waits for the first byte of what answers a round trip. Between them the
// connection may be silent for as long as it likes.
func (n *lane) await(conn net.Conn, r *bufio.Reader) error {
	for {
		_, err := r.Peek(1)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		n.mu.Lock()
		idle := len(n.flight) == 0 && !n.writing
		recent := time.Since(n.sent) < n.log.config.Timeout
		if idle {
			_ = conn.SetReadDeadline(time.Time{})
		}
		n.mu.Unlock()
		if !idle && !recent {
			return err
		}
	}
}

// replies reads what answers a round trip.
func (n *lane) replies(r *bufio.Reader, flight []*world.Append, results []error) ([]error, error) {
	for _, a := range flight {
		in, err := readReply(r)
		if err != nil {
			return results, err
		}
		results = append(results, outcome(in, a))
	}
	if len(flight) == 0 {
		return results, errUnasked
	}
	if !n.replicated() {
		return results, nil
	}
	in, err := readReply(r)
	if err != nil {
		return results, err
	}
	if in.kind != ':' || in.number < 1 {
		for i, err := range results {
			if err == nil {
				results[i] = errNoReplica
			}
		}
	}
	return results, nil
}

var errUnasked = errors.New("redis: a reply to nothing")

// end tells the outcomes of a round trip. What is submitted meanwhile waits for
// the next: those who are told now can still join it.
func (n *lane) end(flight []*world.Append, results []error) {
	for i, a := range flight {
		var refused redisError
		if errors.As(results[i], &refused) {
			n.log.turnedAway(a, refused)
		} else {
			n.log.ended(a, results[i])
		}
		flight[i] = nil
	}
	clear(results)
	ease := 0.0
	if told := n.log.told.Load(); told != nil {
		ease = (*told)()
	}
	n.mu.Lock()
	n.ease = ease
	n.spare, n.flight = flight[:0], nil
	n.advance()
}

// broken gives up a connection. What was sent over it may have been appended.
func (n *lane) broken(conn net.Conn, why error) {
	_ = conn.Close()
	n.mu.Lock()
	failed := n.flight
	n.conn = nil
	if len(failed) == 0 {
		n.advance() // from here on a new connection may have a flight of its own
		return
	}
	n.mu.Unlock()
	for _, a := range failed {
		n.log.ended(a, n.log.fail(why))
	}
	n.mu.Lock()
	n.flight = nil
	n.advance()
}

// close ends the lane, over which nothing is under way any more.
func (n *lane) close() {
	n.mu.Lock()
	n.closed = true
	if n.timer != nil {
		n.timer.Stop()
	}
	if n.conn != nil {
		_ = n.conn.Close()
	}
	drove := n.driving
	n.driving = false
	n.mu.Unlock()
	if drove {
		n.log.feed.drive(false)
	}
}
