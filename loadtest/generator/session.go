package generator

import (
	"fmt"
	"math/rand/v2"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/generator/wire"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// serve does what a socket is ready for.
func (l *loop) serve(c *client, events uint32) {
	if c.stage == connecting && events&(writable|broken) != 0 {
		if err := l.established(c); err != nil {
			l.failed(c, l.now(), err)
			return
		}
	}
	if events&writable != 0 && c.wantsWrite {
		if !l.write(c) {
			return
		}
	}
	if events&^writable == 0 {
		return
	}
	n, stamp, err := receive(&l.receiver, c.fd)
	now := l.now()
	if n > 0 {
		l.received += int64(n)
		if stamp == 0 {
			l.unstamped++
		}
		now = int64(l.clock.Since(stamp, time.Duration(now))) // what is read at once came with the last of it
		err = l.take(c, l.receiver.Buffer[:n], now)
	}
	if err != nil {
		l.failed(c, now, err)
	}
}

// write writes what goes out; false if the connection is gone.
func (l *loop) write(c *client) bool {
	for len(c.out) > 0 {
		n, err := write(c.fd, c.out)
		if err != nil {
			l.failed(c, l.now(), err)
			return false
		}
		l.sent += int64(n)
		if n == len(c.out) {
			c.out = c.out[:0]
			break
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
		if n == 0 {
			break
		}
	}
	if full := len(c.out) > 0; full != c.wantsWrite {
		c.wantsWrite = full
		if err := l.poller.change(c.fd, c.index, c.generation, full); err != nil {
			l.failed(c, l.now(), err)
			return false
		}
	}
	return true
}

// take reads what came.
func (l *loop) take(c *client, data []byte, now int64) error {
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	if c.stage == upgrading {
		size, err := wire.UpgradeResponse(data, c.nonce)
		if err != nil {
			return err
		}
		if size > 0 {
			if err := l.hello(c); err != nil {
				return err
			}
			data = data[size:]
		}
	}
	fresh := false
	for c.stage != upgrading {
		f, size, err := wire.NextFrame(data)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		data = data[size:]
		news, err := l.websocket(c, &f, now)
		if err != nil {
			return err
		}
		fresh = fresh || news
		if c.fd < 0 {
			return nil // it left
		}
	}
	if fresh && l.measuring {
		l.ledger.refresh(c.index, now-l.origin)
	}
	if len(data) == 0 {
		c.in = nil
	} else {
		c.in = append(c.in[:0:0], data...)
	}
	return nil
}

// websocket takes one frame; fresh says that it told of others.
func (l *loop) websocket(c *client, f *wire.Frame, now int64) (fresh bool, err error) {
	switch f.Opcode {
	case wire.OpPing:
		c.out = wire.AppendControl(c.out, wire.OpPong, f.Payload, l.nextMask(c))
		l.touch(c)
		return false, nil
	case wire.OpPong:
		return false, nil
	case wire.OpClose:
		code, reason := wire.CloseReason(f.Payload)
		return false, &closedError{code, reason}
	case wire.OpText:
		return false, wire.ErrFrame
	}
	if f.Final && f.Opcode == wire.OpBinary {
		return l.message(c, f.Payload, now)
	}
	if (f.Opcode == wire.OpBinary) != (c.fragments == nil) || len(c.fragments)+len(f.Payload) > maxFragments {
		return false, wire.ErrFrame
	}
	c.fragments = append(c.fragments, f.Payload...)
	if c.fragments == nil {
		c.fragments = []byte{}
	}
	if !f.Final {
		return false, nil
	}
	whole := c.fragments
	c.fragments = nil
	return l.message(c, whole, now)
}

// message takes one message.
func (l *loop) message(c *client, payload []byte, now int64) (fresh bool, err error) {
	kind, body, err := wire.Message(payload)
	if err != nil {
		return false, err
	}
	switch kind {
	case wire.Cell:
		return l.cell(c, body, now)
	case wire.Outcome:
		result, err := wire.ReadOutcome(body)
		if err != nil {
			return false, err
		}
		l.outcome(c, &result, now)
	case wire.Welcome:
		return false, l.welcomed(c, body, now)
	case wire.Notice:
		return false, l.notice(c, body, now)
	}
	return false, nil
}

// cell takes a frame of a cell.
func (l *loop) cell(c *client, body []byte, now int64) (fresh bool, err error) {
	frame, err := wire.ReadCellFrame(body)
	if err != nil {
		return false, err
	}
	taken, err := c.position(&frame)
	if err != nil {
		l.gaps++
		return false, err
	}
	if frame.Baseline && c.stage == settling {
		l.settled(c, now)
	}
	if !taken || !l.running {
		return false, nil
	}
	at := now - l.origin
	walk := frame.Steps()
	for s := (wire.Step{}); walk.Next(&s); {
		fresh = true
		if s.Event {
			l.ledger.event(c.index, &s, at)
		} else {
			l.ledger.update(c.index, &s, at)
		}
	}
	return fresh, walk.Err()
}

// notice obeys a gateway that goes away.
func (l *loop) notice(c *client, body []byte, now int64) error {
	var n starlingv1.Notice
	if err := n.UnmarshalVT(body); err != nil {
		return err
	}
	if n.Kind == starlingv1.Notice_DRAINING && n.ReconnectMs > 0 && c.stage == ready {
		l.disconnect(c)
		c.stage = waiting
		l.reconnects++
		l.wake(c, now+int64(rand.N(time.Duration(n.ReconnectMs)*time.Millisecond)))
	}
	return nil
}

// outcome takes the answer to an action.
func (l *loop) outcome(c *client, r *wire.Result, now int64) {
	i := c.find(r.Number)
	if i < 0 {
		return // told before
	}
	code := int32(r.Code)
	if code >= 200 && code < 300 {
		l.refusedForNow(c, i, r, now)
		return
	}
	a := c.take(i)
	c.last = max(c.last, a.number)
	c.pause = 0
	fine := code >= 1 && code < 100
	l.ledger.answered(a.sequence, fine, r.Code.String(), now-l.origin)
	switch {
	case a.function == leave:
		l.disconnect(c)
		c.stage = absent
		return
	case a.function == spawn && fine:
		c.thing = r.Entity
		c.thingIndex = l.ledger.addEntity(r.Entity, c.index)
		l.settled(c, now)
	case a.function == spawn:
		why := fmt.Errorf("a thing to grab could not be spawned: %v (the token needs the scope spawn:%s)", r.Code, thingKind)
		if r.Code == starlingv1.Code_FORBIDDEN {
			why = &hopelessError{why}
		}
		l.failed(c, now, why)
		return
	}
	if len(c.queue) > 0 {
		l.pump(c, now)
	}
}

// refusedForNow sends the action again later, and before it nothing that comes
// after it.
func (l *loop) refusedForNow(c *client, i int, r *wire.Result, now int64) {
	a := &c.queue[i]
	c.refusal = r.Code.String()
	l.ledger.refused(a.sequence, c.refusal)
	a.pending = false
	switch r.Code {
	case starlingv1.Code_BUSY, starlingv1.Code_RATE, starlingv1.Code_TOO_LATE_TO_START, starlingv1.Code_OUT_OF_ORDER:
		a.safe = true
	default:
		a.safe = false
	}
	if i >= c.sent {
		return // behind one that was refused
	}
	c.sent = i
	pause := time.Duration(r.RetryAfterMs) * time.Millisecond
	if pause == 0 {
		c.pause = min(max(firstRetry, 2*c.pause), longRetry)
		pause = c.pause
	}
	c.heldUntil = now + int64(pause) + l.random.Int64N(int64(pause)/4+1)
	l.wake(c, c.heldUntil)
}

// pump sends what may be sent.
func (l *loop) pump(c *client, now int64) {
	if c.stage < settling || now < c.heldUntil {
		return
	}
	if c.heldUntil != 0 {
		c.heldUntil = 0
		l.giveUp(c, now)
	}
	for c.sent < len(c.queue) && c.sent < c.window {
		a := &c.queue[c.sent]
		if c.stage == settling && a.function != spawn {
			return // an avatar acts once its baselines have come
		}
		if !l.sendable(c, a) {
			l.ledger.close(a.sequence)
			c.queue = append(c.queue[:c.sent], c.queue[c.sent+1:]...)
			continue
		}
		if a.number == 0 {
			a.number = c.next
			c.next++
		}
		a.pending, a.safe = true, false
		l.send(c, a)
		c.sent++
	}
}

// sendable says whether what the action is about is known.
func (l *loop) sendable(c *client, a *act) bool {
	switch scenario.Function(a.function) {
	case scenario.Touch:
		return l.clients[a.target].avatar != 0
	case scenario.Grab, scenario.Release:
		return l.clients[a.target].thing != 0
	}
	return true
}

// giveUp drops refused actions half of whose deadline has passed, since their update
// would hardly be in time: newer ones are better than late ones, and sent one behind
// the other all would be late. If surely nothing of the session is under way, what was
// refused has no effect and its number is free for the next.
func (l *loop) giveUp(c *client, now int64) {
	for i := range c.queue {
		if a := &c.queue[i]; a.pending || a.number != 0 && !a.safe {
			return
		}
	}
	for len(c.queue) > 0 {
		a := &c.queue[0]
		if a.function == spawn || a.function == leave || now-l.origin-a.due < int64(l.config.Deadline)/2 {
			return
		}
		l.ledger.refused(a.sequence, c.refusal) // those behind it, too, were told to wait
		l.ledger.close(a.sequence)
		if a.number != 0 {
			c.next--
		}
		numbered := a.number != 0
		c.take(0)
		for i := range c.queue {
			if numbered && c.queue[i].number != 0 {
				c.queue[i].number--
				l.renumber(c, &c.queue[i])
			}
		}
	}
}

// renumber tells the ledger under which number an action goes.
func (l *loop) renumber(c *client, a *act) {
	entity := int32(-1)
	switch scenario.Function(a.function) {
	case scenario.Move:
		entity = c.self
	case scenario.Grab, scenario.Release:
		entity = l.clients[a.target].thingIndex
	}
	l.ledger.sent(a.sequence, c.avatar, a.number, entity)
}

// send writes an action.
func (l *loop) send(c *client, a *act) {
	l.renumber(c, a)
	start := len(c.out)
	c.out = l.encode(wire.BeginFrame(c.out), c, a)
	c.out = wire.EndFrame(c.out, start, wire.OpBinary, l.nextMask(c))
	l.touch(c)
}

// WorkFunction is the name of the function of Scenario.Work.
const WorkFunction = "work"

func (l *loop) encode(dst []byte, c *client, a *act) []byte {
	switch a.function {
	case spawn:
		encoded, _ := (&starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: &starlingv1.Act{Number: a.number,
			Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: thingKind, Pose: &starlingv1.Pose{Position: c.entryPosition()}}}}}}).MarshalVT()
		return append(dst, encoded...) // it fails for no message of ours
	case leave:
		return wire.AppendLeave(dst, a.number)
	}
	target := c
	if a.target >= 0 {
		target = &l.clients[a.target]
	}
	switch scenario.Function(a.function) {
	case scenario.Speak:
		return wire.AppendSpeak(dst, a.number, a.text)
	case scenario.Touch:
		return wire.AppendTouch(dst, a.number, target.avatar, a.cell)
	case scenario.Grab:
		return wire.AppendGrab(dst, a.number, target.thing, a.cell)
	case scenario.Release:
		return wire.AppendRelease(dst, a.number, target.thing)
	case scenario.Work:
		return wire.AppendCall(dst, a.number, WorkFunction, l.config.Work)
	}
	pose := wire.Pose{
		Place: c.place != 0, Lat: a.pose.Lat, Lng: a.pose.Lng, East: float64(a.pose.East), North: float64(a.pose.North),
		VelEast: float64(a.pose.VelocityEast), VelNorth: float64(a.pose.VelocityNorth),
	}
	return wire.AppendMove(dst, a.number, &pose)
}
