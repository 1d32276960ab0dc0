package hub

import (
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// cellKey names a cell of the map (place 0) or of a place.
type cellKey struct {
	place world.PlaceID
	cell  world.Cell
}

// commit is one commit's effect, not yet in a frame.
type commit struct {
	steps   []byte
	arrived time.Time
}

// keptEvent is an event that a slow reader may yet be told.
type keptEvent struct {
	number uint64 // of the cell's events, from 1
	raw    []byte // the field "steps", tag included
	at     time.Time
}

// cell is a watched cell: its image, and the frames that tell of its changes.
// All of it belongs to the hub's goroutine.
//
// Frames are numbered. A watcher that is current gets every frame from its
// number on; a frame goes once the last of them has it. A watcher that is not
// current gets a baseline first.
type cell struct {
	key    cellKey
	shard  world.ShardID
	reader *pubsub.CellReader
	image  *image
	live   bool // there is an image

	epoch      uint32
	sequence   uint64 // of the image
	generation uint64 // grows when the image is replaced instead of continued

	watchers []*watch
	current  int // watchers that follow frame by frame
	rate     rate
	crowd    *crowd // of those who are told less than all; nil: nobody is
	emptyAt  time.Time

	pending     []commit
	pendingFrom uint64
	frames      []*frame
	next        uint64 // number of the frame that comes next
	baseline    *frame // of this very sequence, or nil
	catchingUp  *frame // the same for those who had the events up to caughtFrom, or nil
	caughtFrom  uint64

	events  []keptEvent
	seen    uint64 // number of the last event
	counted uint64 // the owner's count of them, of all times

	total    uint32 // participants who watch it, over all gateways
	totalNew bool
	request  uint64    // number of the last ReadCell
	retryAt  time.Time // when to send it again; zero: not before the reader says so
}

// watch is one client's interest in one cell.
type watch struct {
	client *Client
	cell   *cell
	index  int32 // in cell.watchers

	current bool
	viewer  *viewer  // of the cell's crowd, or one that becomes it; else nil
	news    bool     // it is among its client's
	known   bool     // the connection was told of the cell, by this watch or one before
	floor   position // up to where, by one before: it is not to see less, or miss events unsaid
	epoch   uint32   // of what it was given
	given   bool     // something, by this watch

	at uint64 // number of the next frame to get, while current

	// Up to where it was given.
	generation uint64
	sequence   uint64
	events     uint64
}

// position is how far an image of a cell is.
type position struct {
	epoch    uint32
	sequence uint64
	events   uint64 // the owner's count of them
}

// knownCell is a cell that a connection was told of, and up to where.
type knownCell struct {
	cellKey
	position
}

// told says up to where the connection was told of the cell.
func (w *watch) told() knownCell {
	if w.given {
		untold := min(w.cell.seen-w.events, w.cell.counted)
		return knownCell{w.cell.key, position{w.epoch, w.sequence, w.cell.counted - untold}}
	}
	return knownCell{w.cell.key, w.floor}
}

// had is the number of the last event of the cell that the connection was told,
// or that came before it watched.
func (w *watch) had() uint64 {
	switch c := w.cell; {
	case w.given:
		return w.events
	case w.known && w.floor.events < c.counted:
		return c.seen - (c.counted - w.floor.events)
	default:
		return c.seen
	}
}

// behind says whether the image is older than what the connection has: another
// hub's image was ahead of this one.
func (w *watch) behind() bool {
	c := w.cell
	return !w.given && (c.epoch < w.floor.epoch || c.epoch == w.floor.epoch && c.sequence < w.floor.sequence)
}

// sighting says where an entity was seen: in the cell that tells of it, or on
// its way to another one.
type sighting struct {
	avatar  world.EntityID
	place   world.PlaceID
	from    world.Cell // that tells of it
	cell    world.Cell
	version world.Version
}

func (s *sighting) left() bool { return s.cell != s.from }

// replace takes a baseline. covered are messages that it stands for: their events
// are kept for all who have not heard them; the others that it says there were are
// counted, so that everybody is told how many he missed.
func (c *cell) replace(m *pubsub.Message, covered []pubsub.Message, now time.Time, seen func(sighting)) {
	c.recount(m, covered, now)
	c.image.clear()
	c.dropBaseline()
	for _, w := range c.watchers {
		w.becomeStale()
	}
	if c.crowd != nil {
		c.crowd.close()
	}
	c.pending = c.pending[:0]
	c.live = true
	c.generation++
	c.epoch, c.sequence = m.Epoch, m.Sequence
	c.walk(m, now, seen)
}

// recount brings the numbers of events to where a baseline is.
func (c *cell) recount(m *pubsub.Message, covered []pubsub.Message, now time.Time) {
	last := c.seen
	switch {
	case !c.live:
		c.seen = m.Events
	case m.Events >= c.counted:
		c.seen += m.Events - c.counted
	default: // the store lost the end of the log, and nobody knows how many were missed
		c.seen, covered = c.seen+1, nil
	}
	c.counted = m.Events
	for i := range covered {
		last = c.keepCovered(&covered[i], last, now)
	}
}

// keepCovered keeps the events of a message that the baseline stands for, but for
// those up to the number last. It gives the number of the last one kept.
func (c *cell) keepCovered(m *pubsub.Message, last uint64, now time.Time) uint64 {
	events := countEvents(m.Steps)
	if m.Events > c.counted || events > m.Events {
		return last // of a history that did not stay
	}
	number := c.seen - (c.counted - m.Events) - events
	for steps := m.Steps; len(steps) > 0; {
		s, rest, ok := nextStep(steps)
		if !ok {
			break
		}
		steps = rest
		if s.event == nil {
			continue
		}
		if number++; number > last {
			last = number
			c.keepEvent(number, s.raw, now)
		}
	}
	return last
}

func countEvents(steps []byte) (n uint64) {
	for len(steps) > 0 {
		s, rest, ok := nextStep(steps)
		if !ok {
			break
		}
		steps = rest
		if s.event != nil {
			n++
		}
	}
	return n
}

// advance takes a message that continues the image.
func (c *cell) advance(m *pubsub.Message, now time.Time, seen func(sighting)) {
	c.dropBaseline()
	if len(c.pending) == 0 {
		c.pendingFrom = c.sequence
	}
	c.epoch, c.sequence = m.Epoch, m.Sequence
	if c.current > 0 {
		c.pending = append(c.pending, commit{steps: m.Steps, arrived: m.Arrived})
	}
	c.rate.bytes += len(m.Steps)
	c.walk(m, now, seen)
	c.counted = min(m.Events, c.seen)
}

func (c *cell) walk(m *pubsub.Message, now time.Time, seen func(sighting)) {
	for steps := m.Steps; len(steps) > 0; {
		s, rest, ok := nextStep(steps)
		if !ok {
			return
		}
		steps = rest
		c.rate.steps++
		if s.event != nil {
			c.seen++
			c.keepEvent(c.seen, s.raw, now)
			if c.crowd != nil {
				c.crowd.event(s, m.Arrived, now)
			}
			continue
		}
		h, ok := c.image.apply(s.update)
		if !ok {
			continue
		}
		if c.crowd != nil {
			c.crowd.update(s, h, m.Arrived, now)
		}
		at := sighting{avatar: h.entity, place: c.key.place, from: c.key.cell, cell: c.key.cell, version: h.version}
		switch starlingv1.Change(h.change) {
		case starlingv1.Change_REMOVED:
			continue
		case starlingv1.Change_LEFT:
			if h.to == 0 {
				continue
			}
			at.cell = h.to
		}
		seen(at)
	}
}

// Bounds of what is kept for slow readers.
const (
	maxKeptEvents = 64
	maxEventAge   = time.Second
)

func (c *cell) keepEvent(number uint64, raw []byte, now time.Time) {
	var room []byte
	if len(c.events) == maxKeptEvents {
		room = c.events[0].raw[:0]
		c.events = append(c.events[:0], c.events[1:]...)
	}
	c.events = append(c.events, keptEvent{number: number, raw: append(room, raw...), at: now})
}

// forgetEvents drops those too old to be told.
func (c *cell) forgetEvents(now time.Time) {
	n := 0
	for n < len(c.events) && now.Sub(c.events[n].at) > maxEventAge {
		n++
	}
	if n > 0 {
		c.events = append(c.events[:0], c.events[n:]...)
		c.catchingUp = nil
	}
}

// seal makes a frame of what is pending.
func (c *cell) seal(h *Hub, now time.Time) {
	if len(c.pending) == 0 && !c.totalNew {
		return
	}
	if c.current == 0 {
		clear(c.pending)
		c.pending = c.pending[:0]
		return
	}
	from := c.pendingFrom
	if len(c.pending) == 0 {
		from = c.sequence
	}
	f := h.newFrame()
	head := frameHead{cell: c.key.cell, place: c.key.place, epoch: c.epoch, from: from, sequence: c.sequence}
	if c.totalNew {
		head.watchers = c.total
		c.totalNew = false
	}
	f.begin(head)
	for i := range c.pending {
		f.commit(c.pending[i].steps, now.Sub(c.pending[i].arrived))
		f.arrivals = append(f.arrivals, c.pending[i].arrived)
	}
	f.end()
	f.events, f.left = c.seen, c.current
	c.frames = append(c.frames, f)
	c.next++
	clear(c.pending)
	c.pending = c.pending[:0]
	h.metrics.FramesEncoded.Inc()
}

// first is the number of the oldest frame kept.
func (c *cell) first() uint64 { return c.next - uint64(len(c.frames)) }

// trim drops frames that everybody has.
func (c *cell) trim(h *Hub) {
	n := 0
	for n < len(c.frames) && c.frames[n].left == 0 {
		h.freeFrame(c.frames[n])
		n++
	}
	if n > 0 {
		kept := copy(c.frames, c.frames[n:])
		clear(c.frames[kept:])
		c.frames = c.frames[:kept]
	}
}

// baselineFor gives the baseline that w needs, with the events that it lacks. It
// is shared by those who lack the same, and ends with the next change of the cell.
func (c *cell) baselineFor(h *Hub, w *watch, now time.Time) *frame {
	had := w.had()
	missed := had != c.seen
	switch {
	case !missed && c.baseline != nil:
		return c.baseline
	case missed && c.catchingUp != nil && c.caughtFrom == had:
		return c.catchingUp
	}
	f := &frame{} // shared or rare: left to the collector
	head := frameHead{cell: c.key.cell, place: c.key.place, epoch: c.epoch, from: c.sequence, sequence: c.sequence,
		baseline: true, watchers: c.total}
	var kept []keptEvent
	if missed {
		kept = c.eventsAfter(had, now)
		head.conflated = true
		head.missed = uint32(c.seen - had - uint64(len(kept)))
	}
	f.begin(head)
	h.steps = c.image.appendSteps(h.steps[:0])
	f.commit(h.steps, 0)
	for i := range kept {
		f.commit(kept[i].raw, now.Sub(kept[i].at))
	}
	f.end()
	f.events = c.seen
	h.metrics.BaselinesEncoded.Inc()
	if missed {
		c.catchingUp, c.caughtFrom = f, had
	} else {
		c.baseline = f
	}
	return f
}

func (c *cell) eventsAfter(number uint64, now time.Time) []keptEvent {
	c.forgetEvents(now)
	for i := range c.events {
		if c.events[i].number > number {
			return c.events[i:]
		}
	}
	return nil
}

// dropBaseline forgets the shared baselines; their bytes may still be on their way
// within this flush, so they are left to the collector.
func (c *cell) dropBaseline() { c.baseline, c.catchingUp = nil, nil }

// becomeCurrent makes w follow frame by frame, from the next one on.
func (w *watch) becomeCurrent() {
	if !w.current {
		w.current = true
		w.cell.current++
	}
	w.at = w.cell.next
}

// becomeStale makes w need a baseline.
func (w *watch) becomeStale() {
	if w.viewer != nil {
		w.viewer.leave()
	}
	w.unfollow()
}

// unfollow ends following frame by frame.
func (w *watch) unfollow() {
	if !w.current {
		return
	}
	c := w.cell
	for n := max(w.at, c.first()); n < c.next; n++ {
		c.frames[n-c.first()].left--
	}
	w.current = false
	c.current--
}

// remember notes what the connection was given.
func (w *watch) remember(sequence, events uint64) {
	w.given, w.known = true, true
	w.epoch, w.generation, w.sequence, w.events = w.cell.epoch, w.cell.generation, sequence, events
}
