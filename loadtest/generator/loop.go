package generator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sort"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/internal/arrival"
	"github.com/starling-vr/starling/loadtest/generator/wire"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// loop is a run in progress: one thread that does everything with all sockets.
// Its times are nanoseconds since epoch; the crowd's begin at origin.
type loop struct {
	config   *Config
	poller   *poller
	ledger   *ledger
	plan     *plan
	clients  []client
	random   *rand.Rand
	targets  []*endpoint
	sources  []netip.Addr
	placeIDs []uint64
	epoch    time.Time
	origin   int64
	running  bool // the crowd acts: origin is set

	batch     []planned
	at        int // in batch
	ended     bool
	timers    timers
	dirty     []int32
	dues      []int64 // of what is sent for the first time in this turn
	receiver  arrival.Receiver
	clock     arrival.Clock
	unstamped int // reads of which the kernel did not say when the bytes came

	joins  []int32 // those to come, by the time when
	leaves []int32 // those to go

	opening   int // connections between connect and ready
	readyOnes int
	present   int // connected and welcomed
	wanted    int // who are there from the start
	missing   int // of those who should be there from the start, not ready yet
	gone      int // lost for good
	ready     int // sockets with news in the last turn
	why       map[string]int
	firstWhy  error
	lastWhy   error

	lag       *report.Histogram // of sends, microseconds
	second    *report.Histogram // the same, in this second
	turn      *report.Histogram // time between two looks at the sockets, while the crowd acts
	busy      int64             // nanoseconds not waited, in the measured time
	joinTimes *report.Histogram

	received, sent       int64
	beganAt              [2]int64 // bytes when the measured time began
	endedAt              [2]int64
	reconnects, gaps     int64
	samples              chan request
	connectedAt          []int
	lagAt                []float64
	stop                 atomic.Bool
	lastSecond           int64
	told                 int // settled seconds that were shown
	measuring, afterward bool
}

func (l *loop) now() int64 { return int64(time.Since(l.epoch)) }

// Bounds of the loop.
const (
	openAtOnce    = 256 // connections in the handshake
	handshakeTime = 15 * time.Second
	leaveTime     = 2 * time.Second
	eventsPerLook = 16 // sockets read before it is looked at what is due
	longestWait   = 20 * time.Millisecond
	startIn       = 50 * time.Millisecond
	quantum       = 500 * time.Microsecond // that the loop rests where much is going on: to wake it for each socket costs both sides more than the work
	manyReady     = 4                      // sockets with news in a turn that are much
	receiveBuffer = 256 << 10
	joinPatience  = 5 * time.Second // after which one who does not get in counts as there
)

// run goes on until the run is over or ctx ends.
func (l *loop) run(ctx context.Context) error {
	release := pinThread()
	defer release()
	cancelled := context.AfterFunc(ctx, func() {
		l.stop.Store(true)
		l.poller.wakeUp()
	})
	defer cancelled()
	defer l.closeAll()
	if err := l.connectAll(ctx); err != nil {
		return err
	}
	l.origin = l.now() + int64(startIn)
	l.running = true
	for i := range l.clients {
		l.stall(&l.clients[i])
	}
	end := l.origin + int64(l.config.Warmup+l.config.Duration)
	for !l.stop.Load() {
		now := l.now()
		l.act(now)
		l.everySecond(now)
		l.ledger.settle(now - l.origin)
		l.tellSettled(now, false)
		if now >= end && l.ended && l.ledger.settledAll() && l.afterward {
			break
		}
		if err := l.poll(); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	l.ledger.settle(l.now() - l.origin)
	l.tellSettled(l.now(), true)
	return l.leaveAll(ctx)
}

// act sends what is due and does what timers ask for.
func (l *loop) act(now int64) {
	if l.running {
		l.enterDue(now - l.origin)
		l.comeAndGo(now - l.origin)
	}
	for {
		who, at, ok := l.timers.pop(now)
		if !ok {
			break
		}
		if c := &l.clients[who]; c.wakeAt == at {
			c.wakeAt = 0
			l.woken(c, now)
		}
	}
	l.flush()
}

// poll waits for sockets, or until something is due, and reads them.
func (l *loop) poll() error {
	before := l.now()
	wait := longestWait
	if at, ok := l.nextDue(); ok {
		wait = min(wait, time.Duration(at-before))
	}
	if l.running && l.ready >= manyReady {
		l.poller.rest(quantum)
		wait = 0
	}
	events, err := l.poller.wait(wait)
	if err != nil {
		return err
	}
	l.ready = len(events)
	began := l.now()
	l.clock.Sync(time.Duration(began))
	for i := range events {
		e := &events[i]
		if e.Fd == wakeIndex {
			l.poller.woken()
			continue
		}
		c := &l.clients[e.Fd]
		if c.generation == e.Pad && c.fd >= 0 {
			l.serve(c, e.Events)
		}
		if i%eventsPerLook == eventsPerLook-1 {
			if at, ok := l.nextDue(); ok && at <= l.now() {
				l.act(l.now())
			}
		}
	}
	if len(events) > 0 {
		l.flush()
	}
	if l.measuring {
		ended := l.now()
		l.busy += ended - began
		l.turn.Record((ended - began) / int64(time.Microsecond))
	}
	return nil
}

// nextDue is when the loop has something to do by itself.
func (l *loop) nextDue() (at int64, ok bool) {
	at, ok = l.timers.next()
	if !l.running {
		return at, ok
	}
	if a := l.peek(); a != nil {
		if due := l.origin + int64(a.Due); !ok || due < at {
			at, ok = due, true
		}
	}
	return at, ok
}

// peek gives the action that is due next; nil if there are no more.
func (l *loop) peek() *planned {
	for l.at == len(l.batch) {
		if l.ended {
			return nil
		}
		batch, more := <-l.plan.batches
		if !more {
			l.ended = true
			return nil
		}
		l.batch, l.at = batch, 0
	}
	return &l.batch[l.at]
}

// enterDue hands the actions that are due to their clients.
func (l *loop) enterDue(now int64) {
	for {
		a := l.peek()
		if a == nil || int64(a.Due) > now {
			return
		}
		l.at++
		if l.clients[a.Participant].stuck {
			continue
		}
		sequence := l.ledger.enter(int64(a.Due), a.Participant, isEvent(a.Function), a.expected, a.near, a.uncertain)
		c := &l.clients[a.Participant]
		c.queue = append(c.queue, act{
			sequence: sequence, due: int64(a.Due), pose: a.Pose, target: a.Target, cell: uint64(a.Cell), text: a.Text, function: function(a.Function),
		})
		l.pump(c, now+l.origin)
		if c.sent == len(c.queue) && sequence >= 0 { // else it waits for the server
			l.dues = append(l.dues, int64(a.Due))
		}
	}
}

func isEvent(f scenario.Function) bool {
	return f == scenario.Speak || f == scenario.Touch || f == scenario.Work
}

// comeAndGo starts those whose time it is to come and ends those who go.
func (l *loop) comeAndGo(now int64) {
	for len(l.joins) > 0 && int64(l.clients[l.joins[0]].entry.Joins) <= now {
		l.connect(&l.clients[l.joins[0]])
		l.joins = l.joins[1:]
	}
	for len(l.leaves) > 0 && int64(l.clients[l.leaves[0]].entry.Leaves) <= now {
		l.depart(&l.clients[l.leaves[0]])
		l.leaves = l.leaves[1:]
	}
}

// schedule lists those who come and go within the run.
func (l *loop) schedule() {
	end := l.config.Warmup + l.config.Duration
	for i := range l.clients {
		e := &l.clients[i].entry
		if e.Joins > 0 && e.Joins < end {
			l.joins = append(l.joins, int32(i))
		}
		if e.Leaves < end {
			l.leaves = append(l.leaves, int32(i))
		}
	}
	sort.Slice(l.joins, func(i, j int) bool {
		return l.clients[l.joins[i]].entry.Joins < l.clients[l.joins[j]].entry.Joins
	})
	sort.Slice(l.leaves, func(i, j int) bool {
		return l.clients[l.leaves[i]].entry.Leaves < l.clients[l.leaves[j]].entry.Leaves
	})
}

// connectAll brings in those who are there from the start.
func (l *loop) connectAll(ctx context.Context) error {
	var first []int32
	for i := range l.clients {
		if l.clients[i].entry.Joins <= 0 {
			first = append(first, int32(i))
		}
	}
	l.missing, l.wanted = len(first), len(first)
	began := l.now()
	limit := began + int64(l.config.RampTime)
	told := began
	for l.missing > 0 {
		now := l.now()
		switch {
		case l.stop.Load():
			return context.Cause(ctx)
		case l.gone > 0, now > limit:
			return &JoinError{Missing: l.missing, Wanted: l.wanted, Why: l.firstWhy}
		}
		for len(first) > 0 && l.opening < openAtOnce {
			l.connect(&l.clients[first[0]])
			first = first[1:]
		}
		l.act(now)
		if now-told >= int64(time.Second) {
			told = now
			l.tell(report.Connecting, time.Duration(now-began), 0)
		}
		if err := l.poll(); err != nil {
			return err
		}
	}
	return nil
}

// JoinError says that not all participants came in before the run.
type JoinError struct {
	Missing, Wanted int
	Why             error // of the first one; nil: they are merely slow
}

func (e *JoinError) Error() string {
	text := fmt.Sprintf("%d of %d participants could not join", e.Missing, e.Wanted)
	if e.Why != nil {
		text += ": " + e.Why.Error()
	}
	return text
}

func (e *JoinError) Unwrap() error { return e.Why }

// leaveAll ends all sessions, so that nothing of the crowd stays in the world,
// unless the world goes with it.
func (l *loop) leaveAll(ctx context.Context) error {
	if !l.config.Leave {
		return nil
	}
	l.running = false
	left := 0
	limit := l.now() + int64(leaveTime) + int64(len(l.clients))*int64(time.Millisecond)
	next := 0
	for l.now() < limit && ctx.Err() == nil {
		left = 0
		for i := range l.clients {
			if l.clients[i].fd >= 0 {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		for n := 0; n < openAtOnce && next < len(l.clients); n++ { // a few at a time
			switch c := &l.clients[next]; {
			case c.stuck:
				l.disconnect(c)
				c.stage = absent
			case c.fd >= 0 && c.stage != leaving:
				l.depart(c)
			}
			next++
		}
		l.act(l.now())
		if err := l.poll(); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) closeAll() {
	for i := range l.clients {
		l.drop(&l.clients[i])
	}
}

// wake sets a client's timer.
func (l *loop) wake(c *client, at int64) {
	c.wakeAt = at
	l.timers.add(at, c.index)
}

// flush writes what is ready to go out.
func (l *loop) flush() {
	if len(l.dirty) == 0 {
		return
	}
	for _, i := range l.dirty {
		c := &l.clients[i]
		c.dirty = false
		if c.fd >= 0 && !c.wantsWrite {
			l.write(c)
		}
	}
	l.dirty = l.dirty[:0]
	if len(l.dues) > 0 {
		now := l.now() - l.origin
		for _, due := range l.dues {
			if l.ledger.inMeasuredTime(due) {
				lag := (now - due) / int64(time.Microsecond)
				l.lag.Record(lag)
				l.second.Record(lag)
			}
		}
		l.dues = l.dues[:0]
	}
}

func (l *loop) touch(c *client) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c.index)
	}
}

// frame appends a message to what goes out.
func (l *loop) frame(c *client, payload func(dst []byte) []byte) {
	start := len(c.out)
	c.out = payload(wire.BeginFrame(c.out))
	c.out = wire.EndFrame(c.out, start, wire.OpBinary, l.nextMask(c))
	l.touch(c)
}

// nextMask draws a mask: xorshift32, Marsaglia 2003.
func (l *loop) nextMask(c *client) uint32 {
	c.mask ^= c.mask << 13
	c.mask ^= c.mask >> 17
	c.mask ^= c.mask << 5
	return c.mask
}
