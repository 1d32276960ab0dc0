package starling

import (
	"context"
	"errors"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Outcome is how an action ended. Err is nil if it was applied; otherwise a
// *RefusedError (it never takes effect), an *UnknownFateError, or an error with
// ErrNotSent in its chain.
type Outcome struct {
	Number   uint64
	Code     starlingv1.Code
	Message  string // for people
	Entity   uint64 // what was created, or grabbed
	Result   []byte // of a game's own function
	Repeated bool   // told again after a break: it had ended before
	Err      error
}

// Do asks for an action and returns at once; done is called exactly once, with
// the final outcome, from the reading goroutine (or from the goroutine that
// ends the client), and must not block. act belongs to the client until then.
// ErrTooManyInFlight means that nothing was done and done will not be called.
func (c *Client) Do(act *starlingv1.Act, done func(Outcome)) error {
	_, err := c.add(act, done)
	return err
}

func (c *Client) add(act *starlingv1.Act, done func(Outcome)) (*action, error) {
	a := &action{act: act, done: done}
	c.mu.Lock()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return nil, errors.Join(ErrNotSent, context.Cause(c.ctx))
	}
	if !c.window.add(a) {
		c.mu.Unlock()
		return nil, ErrTooManyInFlight
	}
	c.mu.Unlock()
	c.flush()
	return a, nil
}

// Act asks for an action and waits for its outcome; it waits for room, too. If
// the context ends before the action went to the wire it is withdrawn
// (ErrNotSent), after that its fate is unknown. The error is also in the
// outcome. It must not be called from a callback.
func (c *Client) Act(ctx context.Context, act *starlingv1.Act) (Outcome, error) {
	ended := make(chan Outcome, 1)
	a, err := c.addWhenRoom(ctx, act, func(o Outcome) { ended <- o })
	if err != nil {
		return Outcome{Err: err}, err
	}
	select {
	case o := <-ended:
		return o, o.Err
	case <-ctx.Done():
	}
	o := c.abandon(ctx, a)
	return o, o.Err
}

// abandon stops waiting for an action.
func (c *Client) abandon(ctx context.Context, a *action) Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.window.withdraw(a) {
		c.makeRoom()
		return Outcome{Err: errors.Join(ErrNotSent, context.Cause(ctx))}
	}
	return Outcome{Number: a.act.Number, Err: &UnknownFateError{a.act.Number, context.Cause(ctx)}}
}

func (c *Client) addWhenRoom(ctx context.Context, act *starlingv1.Act, done func(Outcome)) (*action, error) {
	for {
		room := c.awaitRoom()
		a, err := c.add(act, done)
		if !errors.Is(err, ErrTooManyInFlight) {
			return a, err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return nil, errors.Join(ErrNotSent, context.Cause(ctx))
		}
	}
}

// awaitRoom gives a channel that is closed when an action leaves the window.
func (c *Client) awaitRoom() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// makeRoom wakes whoever waits for room. The lock is held.
func (c *Client) makeRoom() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// outcome takes an outcome from the wire.
func (c *Client) outcome(o *starlingv1.Outcome, now time.Time) {
	c.mu.Lock()
	if c.options.OnOutcome != nil {
		session := c.session.ID
		c.mu.Unlock()
		c.options.OnOutcome(o, session)
		c.mu.Lock()
	}
	if Retryable(o.Code) {
		c.stats.Refused++
	}
	a := c.window.outcome(o, now)
	if a != nil {
		c.makeRoom()
	}
	wanted := len(c.window.actions) > 0
	c.mu.Unlock()
	if wanted {
		c.flush()
	}
	if a != nil {
		a.done(outcomeOf(o))
	}
}

func outcomeOf(o *starlingv1.Outcome) Outcome {
	out := Outcome{Number: o.Number, Code: o.Code, Message: o.Message, Entity: o.Entity, Result: o.Result, Repeated: o.Repeated}
	if !Applied(o.Code) {
		out.Err = &RefusedError{o.Number, o.Code, o.Message}
	}
	return out
}

// InFlight is how many actions have no outcome yet.
func (c *Client) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.window.actions)
}
