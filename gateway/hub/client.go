package hub

import (
	"slices"
	"sync/atomic"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/world"
)

// Client is a participant's connection as the hubs see it. Its exported methods
// may be called from any goroutine and return at once.
type Client struct {
	hubs   *Hubs
	conn   conn.Conn
	avatar world.EntityID
	place  world.PlaceID
	json   bool
	hub    atomic.Pointer[Hub]
	moves  atomic.Uint64 // calls of Moved

	// What follows belongs to the hub's goroutine.
	home      *Hub         // that adopted the client; nil while it is on its way
	held      []func(*Hub) // what is to be done once it has arrived
	movesDone uint64
	cell      world.Cell
	version   world.Version // of what told the cell
	ring      int
	watches   []*watch
	news      []*watch    // of them, since the last flush
	lookAtAll bool        // not only at those
	unwatched []knownCell // the connection is yet to be told
	messages  []privateMessage
	deliveries
	queued    bool
	batched   bool  // it is about to be written to
	due       int64 // in which grain of the hub's wheel
	full      bool  // the socket takes nothing
	fullSince time.Time
	gone      bool
	opening   bool // not welcomed yet: see holdWelcome
}

// privateMessage is for one client alone: an outcome or another message.
type privateMessage struct {
	client  *Client
	outcome *starlingv1.Outcome
	message *starlingv1.ServerMessage
	waits   time.Duration // for company, at most; 0: as anything that comes in
}

// Outcome sends an outcome. It must not be changed any more.
func (c *Client) Outcome(o *starlingv1.Outcome) {
	c.hub.Load().enqueue(privateMessage{client: c, outcome: o})
}

// Refusal sends an outcome that nobody waits for: within a while it goes with
// whatever else is told, and saves a write.
func (c *Client) Refusal(o *starlingv1.Outcome, within time.Duration) {
	c.hub.Load().enqueue(privateMessage{client: c, outcome: o, waits: within})
}

// Send sends a message. It must not be changed any more.
func (c *Client) Send(m *starlingv1.ServerMessage) {
	c.hub.Load().enqueue(privateMessage{client: c, message: m})
}

// SetRing changes how far the client sees.
func (c *Client) SetRing(ring int) {
	c.do(func(h *Hub) {
		if c.ring != ring {
			c.ring = ring
			h.reinterest(c)
		}
	})
}

// SetBudget changes how much the client is to be told of, within what was granted.
func (c *Client) SetBudget(b Budget) {
	c.do(func(h *Hub) {
		c.budget = b
		h.leastBudget = h.leastBudget.AtMost(b)
	})
}

// Moved says where the avatar is after its latest outcome. Frames tell it too,
// but not while its cell is being read again.
func (c *Client) Moved(cell world.Cell) {
	n := c.moves.Add(1)
	c.do(func(h *Hub) {
		if n > c.movesDone { // calls that went through two hubs may come late
			c.movesDone = n
			h.sighted(c, cell, c.version)
		}
	})
}

// Writable says that the connection's socket drained.
func (c *Client) Writable() {
	c.do(func(h *Hub) {
		c.full = false
		h.queue(c, time.Now())
	})
}

// Close sends what is pending, then closes the connection with code. Nothing is
// sent to the client any more.
func (c *Client) Close(code starlingv1.CloseCode, reason string) {
	c.do(func(h *Hub) { h.closeClient(c, code, reason) })
}

// Remove forgets the client: its connection is gone.
func (c *Client) Remove() {
	c.do(func(h *Hub) { h.remove(c) })
}

// do runs f in the goroutine of the client's hub, once that has adopted the
// client; not any more once the client is gone.
func (c *Client) do(f func(*Hub)) {
	h := c.hub.Load()
	h.call(func() { c.doIn(h, f) })
}

func (c *Client) doIn(h *Hub, f func(*Hub)) {
	switch now := c.hub.Load(); {
	case c.moved(now, h):
		now.call(func() { c.doIn(now, f) })
	case c.gone:
	case c.home != h:
		c.held = append(c.held, f)
	default:
		f(h)
	}
}

// moved says whether the client moved to another hub meanwhile.
func (c *Client) moved(now, was *Hub) bool { return now != was }

// adopt takes a client in. known are the cells that the connection was told of.
func (h *Hub) adopt(c *Client, known []knownCell) {
	c.home = h
	h.clients[c] = struct{}{}
	h.avatars[c.avatar] = c
	h.leastBudget = h.leastBudget.AtMost(c.budget)
	if c.opening {
		h.holdWelcome(c, time.Now())
	}
	c.unwatched = append(c.unwatched, known...)
	h.reinterest(c)
	if c.pendingAnything() {
		h.queue(c, time.Now())
	}
	held := c.held
	c.held = nil
	for _, f := range held {
		c.doIn(h, f)
	}
}

func (c *Client) pendingAnything() bool { return len(c.messages)+len(c.unwatched) > 0 }

// remove forgets a client.
func (h *Hub) remove(c *Client) {
	if c.gone {
		return
	}
	c.gone = true
	if c.over {
		h.metrics.OverBudget.Dec()
	}
	h.release(c)
}

// release takes a client out of this hub's books and gives the cells that its
// connection was told of.
func (h *Hub) release(c *Client) (known []knownCell) {
	for _, w := range c.watches {
		if w.known {
			known = append(known, w.told())
		}
		h.unwatch(w)
	}
	c.forgetNews()
	c.watches, c.home = nil, nil
	delete(h.clients, c)
	delete(h.opening, c)
	if h.avatars[c.avatar] == c {
		delete(h.avatars, c.avatar)
	}
	return append(known, c.takeUnwatched()...)
}

// takeUnwatched gives the cells that the connection is yet to be told of.
func (c *Client) takeUnwatched() []knownCell {
	keys := c.unwatched
	c.unwatched = nil
	return keys
}

// sighted follows the avatar.
func (h *Hub) sighted(c *Client, cell world.Cell, version world.Version) {
	if version.Less(c.version) {
		return
	}
	c.version = version
	if cell == c.cell || cell == 0 {
		return
	}
	c.cell = cell
	target := h.hubs.hubOf(c.place, cell)
	if target == h {
		h.reinterest(c)
		c.followAvatar()
		return
	}
	known := h.release(c)
	c.queued = false // an entry of this hub's queue no longer counts
	c.hub.Store(target)
	target.call(func() {
		if !c.gone {
			target.adopt(c, known)
		}
	})
}

// reinterest makes the client watch its cell and the ring around it, and
// nothing else.
func (h *Hub) reinterest(c *Client) {
	h.disk = h.hubs.config.AppendDisk(h.disk[:0], c.cell, c.ring)
	kept := c.watches[:0]
	for _, w := range c.watches {
		if slices.Contains(h.disk, w.cell.key.cell) {
			kept = append(kept, w)
			continue
		}
		if w.known {
			c.unwatched = append(c.unwatched, w.told())
		}
		h.unwatch(w)
	}
	clear(c.watches[len(kept):])
	c.watches = kept
	for _, cell := range h.disk {
		if c.watchOf(cell) == nil {
			c.watches = append(c.watches, h.watch(c, cellKey{c.place, cell}))
		}
	}
	c.unwatched = slices.DeleteFunc(c.unwatched, func(k knownCell) bool {
		w := c.watchOf(k.cell)
		if w != nil {
			w.known, w.floor = true, k.position
		}
		return w != nil
	})
	h.queue(c, time.Now())
}

func (c *Client) watchOf(cell world.Cell) *watch {
	for _, w := range c.watches {
		if w.cell.key.cell == cell {
			return w
		}
	}
	return nil
}

func (h *Hub) watch(c *Client, key cellKey) *watch {
	target := h.cells[key]
	if target == nil {
		target = h.openCell(key)
	}
	w := &watch{client: c, cell: target, index: int32(len(target.watchers))}
	target.watchers = append(target.watchers, w)
	h.recount[key] = struct{}{}
	return w
}

func (h *Hub) unwatch(w *watch) {
	c := w.cell
	w.becomeStale()
	c.trim(h)
	last := int32(len(c.watchers) - 1)
	c.watchers[w.index] = c.watchers[last]
	c.watchers[w.index].index = w.index
	c.watchers[last] = nil
	c.watchers = c.watchers[:last]
	if last == 0 {
		c.emptyAt = time.Now()
	}
	h.recount[c.key] = struct{}{}
}
