package starling

import (
	"context"
	"errors"
	"sync"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Client is one participant's session. All methods may be called from many
// goroutines, and from callbacks unless they say that they wait.
type Client struct {
	url     string
	options Options
	local   localClock
	view    *view
	ctx     context.Context // ends when the client is closed
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when the client has ended for good

	mu       sync.Mutex
	wire     *wire // nil while there is none that was welcomed
	session  Session
	window   window
	ring     uint32
	writing  bool          // a goroutine is writing what is due
	again    bool          // and must look again
	interest bool          // the ring is to be told
	ping     bool          // a ping is to be sent
	room     chan struct{} // closed when an action leaves the window; nil: nobody waits
	retry    *time.Timer   // wakes flush when a refused action may be sent again
	err      error         // why the client ended
	clock    clockFilter
	received time.Time // when the last message came
	stats    Stats
}

// Stats counts what happened to a client since Dial.
type Stats struct {
	Connections int // that were welcomed
	Sessions    int
	Sent        int // actions, each time
	Refused     int // retryable refusals
	Gaps        int // broken chains of frames, each followed by a resume
	Frames      int
}

// Dial connects, opens a session and returns when it is welcomed. The context
// bounds only that; Close ends the client. A gateway that names a time to come
// back is obeyed, within the context; other failures are returned.
func Dial(ctx context.Context, url string, options Options) (*Client, error) {
	options = options.withDefaults()
	now := time.Now()
	c := &Client{
		url: url, options: options, local: localClock{now}, view: newView(),
		done: make(chan struct{}), ring: options.Ring,
		window: window{limit: 1, queue: options.Queue},
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.retry = time.AfterFunc(time.Hour, c.flush)
	c.retry.Stop()
	welcomed := make(chan error, 1)
	go c.run(welcomed)
	select {
	case err := <-welcomed:
		if err != nil {
			<-c.done
			return nil, err
		}
		return c, nil
	case <-ctx.Done():
		c.cancel(context.Cause(ctx))
		<-c.done
		return nil, context.Cause(ctx)
	}
}

// Close ends the client; the session outlives it by its resume time (use Leave
// before to end that too). Actions without an outcome fail with
// *UnknownFateError. It does not wait: Done does.
func (c *Client) Close() error {
	c.cancel(ErrClosed)
	c.mu.Lock()
	w := c.wire
	c.mu.Unlock()
	if w != nil {
		w.cut("")
	}
	return nil
}

// Done is closed when the client has ended for good: Err says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the client ended: ErrClosed, or a *CloseError of the gateway.
// nil while it has not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Session is the current session.
func (c *Client) Session() Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Connected says whether there is a welcomed connection now.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wire != nil
}

// Clock is what the client knows of the gateway's clock.
func (c *Client) Clock() Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.estimate()
}

// ServerTime is the gateway's time of day, as far as it is known.
func (c *Client) ServerTime() time.Time {
	return time.UnixMicro(c.local.micros(time.Now())).Add(c.Clock().Offset)
}

// Stats gives the counts so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Watch changes how many rings of cells are watched, 0..3.
func (c *Client) Watch(ring uint32) {
	c.mu.Lock()
	c.ring, c.interest = ring, true
	c.mu.Unlock()
	c.flush()
}

// flush writes what is due. If another goroutine is writing, that one takes it
// along: nobody waits for another's system call, and actions that coincide
// share one.
func (c *Client) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.again = true
	if c.writing {
		return
	}
	c.writing = true
	var batch []*starlingv1.ClientMessage
	for c.again && c.wire != nil {
		c.again = false
		w := c.wire
		if batch = c.collect(batch[:0]); len(batch) == 0 {
			break
		}
		session := c.session.ID
		c.mu.Unlock()
		err := c.send(w, batch, session)
		c.mu.Lock()
		if err != nil {
			c.options.Logger.Debug("writing failed", "error", err)
			w.ws.Close() // the reader sees it, and resumes
			if c.wire == w {
				break
			}
		}
	}
	c.writing = false
}

// collect gives what is to be written now, in order. The lock is held.
func (c *Client) collect(batch []*starlingv1.ClientMessage) []*starlingv1.ClientMessage {
	now := time.Now()
	if c.interest {
		c.interest = false
		batch = append(batch, &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Interest{Interest: &starlingv1.Interest{Ring: c.ring}}})
	}
	for {
		a, wake := c.window.due(now)
		if a == nil {
			if !wake.IsZero() {
				c.retry.Reset(max(wake.Sub(now), 0))
			}
			break
		}
		c.stats.Sent++
		batch = append(batch, &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: a.act}})
	}
	if c.ping {
		c.ping = false
		batch = append(batch, &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Ping{Ping: &starlingv1.Ping{ClientTimeUs: uint64(c.local.micros(now))}}})
	}
	return batch
}

func (c *Client) send(w *wire, batch []*starlingv1.ClientMessage, session uint64) error {
	w.cork.setCork()
	for _, m := range batch {
		if act := m.GetAct(); act != nil && c.options.OnSend != nil {
			c.options.OnSend(act, session)
		}
		if err := w.write(m); err != nil {
			return err
		}
	}
	return w.cork.uncork()
}

// fail ends actions without an outcome.
func fail(actions []*action, cause error) {
	for _, a := range actions {
		if a.tried {
			a.done(Outcome{Number: a.act.Number, Err: &UnknownFateError{a.act.Number, cause}})
		} else {
			a.done(Outcome{Err: errors.Join(ErrNotSent, cause)})
		}
	}
}
