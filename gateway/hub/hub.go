package hub

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Hub is one goroutine's share of the cells and clients.
type Hub struct {
	hubs    *Hubs
	index   int
	metrics *Metrics

	inbox   inbox
	wake    chan struct{}
	slack   slack
	ease    atomic.Uint32 // float32 bits: see Hubs.Told
	stop    chan struct{}
	stopped chan struct{}

	cells    map[cellKey]*cell
	byShard  map[world.ShardID]map[*cell]struct{}
	clients  map[*Client]struct{}
	opening  map[*Client]time.Time // who is not welcomed yet, and until when that waits
	avatars  map[world.EntityID]*Client
	recount  map[cellKey]struct{} // cells whose number of watchers changed
	requests map[uint64]*cell
	request  uint64
	refused  []*cell // whose reads are to be sent again, see cell.retryAt

	wheel  wheel // who is to be written to, and when
	pace   pace
	rhythm rhythm

	crowds       map[*crowd]struct{}
	moved        []*Client // with viewers, whose avatar did
	freePartials []*partial
	squeeze      squeeze
	leastBudget  Budget // of the clients
	reviews      uint64
	reviewedAt   time.Time
	byRate       []*watch
	spreading    int

	sightings  []sightingOf
	freeFrames []*frame
	disk       []world.Cell
	steps      []byte // scratch of baselines
	batch      batch
}

type sightingOf struct {
	client *Client
	at     sighting
}

// inbox is where other goroutines leave work. Swapped whole.
type inbox struct {
	mu       sync.Mutex
	messages []pubsub.Message
	work     []work

	// The hub's side of the swap.
	takenMessages []pubsub.Message
	takenWork     []work
}

// work is a private message, or something to call. Their order is kept.
type work struct {
	privateMessage
	call func()
}

func newHub(s *Hubs, index int) *Hub {
	return &Hub{
		hubs: s, index: index, metrics: s.metrics,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
		cells: make(map[cellKey]*cell), byShard: make(map[world.ShardID]map[*cell]struct{}),
		clients: make(map[*Client]struct{}), opening: make(map[*Client]time.Time), avatars: make(map[world.EntityID]*Client),
		recount: make(map[cellKey]struct{}), requests: make(map[uint64]*cell),
		crowds: make(map[*crowd]struct{}), squeeze: newSqueeze(),
		batch: batch{writer: conn.NewBatchWriter(s.config.Ring)},
		wheel: newWheel(time.Now(), s.config.Deadline), pace: newPace(s.config.FlushShare, s.config.Deadline),
	}
}

// wakeUp makes the hub look at its inbox, soon.
func (h *Hub) wakeUp() {
	if !h.slack.putOff() {
		h.wakeNow()
	}
}

func (h *Hub) wakeNow() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// message leaves a message of the bus; wakeUp follows after the batch.
func (h *Hub) message(m *pubsub.Message) {
	h.inbox.mu.Lock()
	h.inbox.messages = append(h.inbox.messages, *m)
	h.inbox.mu.Unlock()
}

func (h *Hub) enqueue(p privateMessage) { h.leave(work{privateMessage: p}) }

func (h *Hub) call(f func()) { h.leave(work{call: f}) }

func (h *Hub) leave(w work) {
	h.inbox.mu.Lock()
	h.inbox.work = append(h.inbox.work, w)
	h.inbox.mu.Unlock()
	h.wakeUp()
}

// tickEvery is the pace of what is not driven by messages.
const tickEvery = 50 * time.Millisecond

// run is the hub's goroutine. Its timers only wake it: a select on their channels
// would put them into the runtime's heap and out of it again with every turn.
func (h *Hub) run() {
	defer close(h.stopped)
	defer h.batch.writer.Close()
	var ticked atomic.Bool
	ticker := time.AfterFunc(tickEvery, func() {
		ticked.Store(true)
		h.wakeNow()
	})
	defer ticker.Stop()
	timer := time.AfterFunc(time.Hour, h.wakeNow)
	defer timer.Stop()
	h.slack.timer = time.AfterFunc(time.Hour, h.wakeNow)
	defer h.slack.timer.Stop()
	next := time.Now().Add(tickEvery)
	for ticks := 0; ; {
		select {
		case <-h.stop:
			return
		case <-h.wake:
		}
		if ticked.Swap(false) {
			ticks++
			now := time.Now()
			h.tick(ticks, now)
			h.slack.allow(h.pace.wait)
			if next = next.Add(tickEvery); next.Before(now) { // late: not all at once
				next = now.Add(tickEvery)
			}
			ticker.Reset(next.Sub(now))
		}
		h.slack.end()
		brought := h.take()
		now := time.Now()
		if rest, waiting := h.flushDue(now, h.rhythm.turn(now, brought, h.pace.wait)); waiting {
			timer.Reset(rest)
		}
	}
}

// take works through the inbox: messages of the bus, then the rest in the order
// in which it came. A message that overtakes a confirmation or a baseline that
// was left before it does no harm: the cell's reader keeps or repairs it. It says
// whether there were messages.
func (h *Hub) take() (brought bool) {
	in := &h.inbox
	in.mu.Lock()
	messages, rest := in.messages, in.work
	in.messages, in.work = in.takenMessages[:0], in.takenWork[:0]
	in.mu.Unlock()
	if len(messages) > 0 {
		now := time.Now()
		for i := range messages {
			h.busMessage(&messages[i], now)
		}
		h.followSightings()
	}
	for i := range rest {
		if rest[i].call != nil {
			rest[i].call()
		} else {
			h.private(rest[i].privateMessage)
		}
	}
	clear(messages)
	brought = len(messages) > 0
	clear(rest)
	in.takenMessages, in.takenWork = shrunk(messages), shrunk(rest)
	return brought
}

// shrunk empties a slice for its next use, unless a burst made it large.
func shrunk[T any](s []T) []T {
	if cap(s) > 4096 {
		return nil
	}
	return s[:0]
}

func (h *Hub) private(p privateMessage) {
	c := p.client
	if now := c.hub.Load(); now != h {
		now.enqueue(p)
		return
	}
	if c.gone {
		return
	}
	c.messages = append(c.messages, p)
	if len(c.messages) > h.hubs.config.MaxBacklog && !c.full { // they came faster than the hub turns
		c.queued = true
		h.flush(c, time.Now())
	}
	if len(c.messages) > h.hubs.config.MaxBacklog {
		h.slowReader(c, "answers pile up unread")
		return
	}
	now := time.Now()
	if p.waits > h.pace.wait {
		h.put(c, now, now.Add(p.waits))
		return
	}
	h.queueMessage(c, now)
}

// tick runs each tickEvery.
func (h *Hub) tick(ticks int, now time.Time) {
	h.pace.tick(now)
	h.tellEase()
	h.welcomeLate(now)
	h.retryReads(now)
	for w := range h.crowds {
		w.tick(ticks, now)
	}
	if urgent := h.squeeze.tick(); ticks%5 != 0 { // a quarter of a second
		if urgent {
			h.review(now)
		}
		return
	}
	for key := range h.recount {
		if c := h.cells[key]; c != nil && len(c.watchers) > 0 {
			h.hubs.table.count(h.index, key, uint32(len(c.watchers)))
		}
		delete(h.recount, key)
	}
	for _, c := range h.cells {
		h.result(c, c.reader.Tick(now), now)
		c.forgetEvents(now)
		if len(c.watchers) == 0 && now.Sub(c.emptyAt) > h.hubs.config.CellLinger {
			h.closeCell(c)
		}
	}
	h.followSightings()
	h.review(now)
	if ticks%20 == 0 {
		h.sweep(now)
	}
}

// tellEase tells the others how much time there is to spare; below 0: so little
// leaves that nobody knows.
func (h *Hub) tellEase() {
	ease := float32(-1)
	if h.pace.told {
		ease = float32(h.pace.ease)
	}
	h.ease.Store(math.Float32bits(ease))
}

// sweep ends the connections that take nothing for too long.
func (h *Hub) sweep(now time.Time) {
	for c := range h.clients {
		if !c.full {
			continue
		}
		stuckSince := c.fullSince
		if progress := c.conn.LastProgress(); progress.After(stuckSince) {
			stuckSince = progress
		}
		if now.Sub(stuckSince) >= h.hubs.config.SlowReader {
			h.slowReader(c, "takes nothing")
		}
	}
}

func (h *Hub) newFrame() *frame {
	if n := len(h.freeFrames); n > 0 {
		f := h.freeFrames[n-1]
		h.freeFrames = h.freeFrames[:n-1]
		return f
	}
	return &frame{}
}

// Bounds of what is kept of frames for the next ones.
const (
	maxFreeFrames = 256
	maxFreeBytes  = 16 << 10
)

func (h *Hub) freeFrame(f *frame) {
	if len(h.freeFrames) < maxFreeFrames && cap(f.buffer) <= maxFreeBytes {
		f.json = nil
		clear(f.arrivals)
		h.freeFrames = append(h.freeFrames, f)
	}
}
