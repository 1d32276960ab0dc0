package hub

import (
	"math"
	"time"
)

// rateClasses are the rates at which a crowd is told of: one is the root of two
// times the one before.
const (
	rateClasses = 16
	lowestRate  = 25 // states and events per second
)

func classRate(class int) float64 { return lowestRate * math.Pow(math.Sqrt2, float64(class)) }

// classOf is the fastest class within a rate, or the slowest.
func classOf(rate float64) int {
	if rate <= lowestRate {
		return 0
	}
	return min(rateClasses-1, int(2*math.Log2(rate/lowestRate)+1e-9))
}

// stream is the chain of thinned frames of one crowd for all viewers of one rate
// class. Each frame goes from where the one before ended to where the cell is:
// with all that left, with what is new and then what waits longest, as far as the
// rate allows. What waits is told as it is when its turn comes.
type stream struct {
	crowd *crowd
	class int
	bit   uint16
	rate  float64

	sequence uint64 // of the cell, up to where the frames go
	events   uint64 // number of the last event told, or given up
	total    uint32 // watchers told
	left     []byte // steps of what left since
	leftAt   time.Time
	fresh    queue // residents never told of
	changed  queue
	waiting  int // residents in either that are still there

	credit   float64
	credited time.Time

	frames  []*frame
	next    uint64 // number of the frame that comes next
	viewers []*viewer

	catch       *frame // what waits, for those who leave; of the cell's state below
	caughtUp    uint64 // sequence
	caughtEvent uint64
}

// queue keeps residents in order.
type queue struct {
	items []*resident
	head  int
}

func (q *queue) push(r *resident) { q.items = append(q.items, r) }

func (q *queue) pop() *resident {
	if q.head == len(q.items) {
		return nil
	}
	r := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head >= 256 && q.head > len(q.items)/2:
		kept := copy(q.items, q.items[q.head:])
		clear(q.items[kept:])
		q.items, q.head = q.items[:kept], 0
	}
	return r
}

func newStream(w *crowd, class int, now time.Time) *stream {
	return &stream{crowd: w, class: class, bit: 1 << class, rate: classRate(class),
		sequence: w.cell.sequence, events: w.cell.seen, total: w.cell.total, credited: now}
}

// mark notes that a resident is new or changed. It says whether an earlier state
// of it was waiting, which nobody will be told.
func (s *stream) mark(r *resident, fresh, whole bool) (left bool) {
	if whole {
		r.whole |= s.bit
	}
	if r.waiting&s.bit != 0 {
		return true
	}
	r.waiting |= s.bit
	s.waiting++
	if fresh {
		s.fresh.push(r)
	} else {
		s.changed.push(r)
	}
	return false
}

// gone notes that a resident left: raw is the step that says so.
func (s *stream) gone(r *resident, raw []byte, arrived time.Time) {
	if r != nil && r.waiting&s.bit != 0 {
		s.waiting--
	}
	if len(s.left) == 0 {
		s.leftAt = arrived
	}
	s.left = append(s.left, raw...)
}

// nextWaiting gives the resident to be told of next.
func (s *stream) nextWaiting() *resident {
	for {
		r := s.fresh.pop()
		if r == nil {
			r = s.changed.pop()
		}
		if r == nil || r.state != nil && r.waiting&s.bit != 0 {
			return r
		}
	}
}

// A frame of a stream is made every so many ticks, and most viewers get it along
// with something near: only after framePatience ticks it is written by itself.
const (
	frameTicks    = 4
	framePatience = 3
	frameEvery    = frameTicks * tickEvery
)

// seal makes a frame of what the rate allows.
func (s *stream) seal(now time.Time) {
	s.credit = min(s.credit+now.Sub(s.credited).Seconds()*s.rate, max(1, 2*s.rate*frameEvery.Seconds()))
	s.credited = now
	s.frame(now, int(s.credit), max(1, int(s.credit/2)))
}

// sync brings the stream to where the cell is, with all events: viewers come and
// go only then. What waits goes on waiting.
func (s *stream) sync(now time.Time) { s.frame(now, 0, maxKeptEvents) }

func (s *stream) frame(now time.Time, states, events int) {
	c := s.crowd.cell
	told, missed := c.eventsFor(s.events, events, now)
	states = min(states-len(told), s.waiting)
	if s.sequence == c.sequence && s.total == c.total && len(told) == 0 && missed == 0 && states <= 0 {
		return
	}
	h := s.crowd.hub
	s.crowd.closeTiles() // what is told near is of before this frame, or of after it
	f := h.newFrame()
	f.order = s.crowd.nextOrder()
	head := frameHead{cell: c.key.cell, place: c.key.place, epoch: c.epoch, from: s.sequence, sequence: c.sequence,
		missed: missed, conflated: true, thinned: true}
	if s.total != c.total {
		head.watchers, s.total = c.total, c.total
	}
	f.begin(head)
	if len(s.left) > 0 {
		f.commit(s.left, now.Sub(s.leftAt))
		s.left = s.left[:0]
	}
	for i := range told {
		f.commit(told[i].raw, now.Sub(told[i].at))
	}
	s.events += uint64(missed)
	if len(told) > 0 {
		s.events = told[len(told)-1].number
	}
	for ; states > 0; states-- {
		s.appendState(f, s.nextWaiting(), now)
		s.waiting--
		s.credit--
	}
	s.credit = max(0, s.credit-float64(len(told)))
	f.end()
	s.sequence = c.sequence
	f.events, f.left = s.events, len(s.viewers)
	s.frames = append(s.frames, f)
	s.next++
	h.metrics.FramesEncoded.Inc()
	s.bound(now)
}

// appendState tells of a resident as it is now, and that it waits no longer.
func (s *stream) appendState(f *frame, r *resident, now time.Time) {
	h := s.crowd.hub
	h.steps = r.state.appendStep(h.steps[:0], r.whole&s.bit != 0)
	f.commit(h.steps, now.Sub(r.arrived))
	r.waiting &^= s.bit
	r.whole &^= s.bit
}

// eventsFor gives up to limit events after the one of a number, and how many
// after it are lost for good.
func (c *cell) eventsFor(number uint64, limit int, now time.Time) (told []keptEvent, missed uint32) {
	if number == c.seen {
		return nil, 0
	}
	kept := c.eventsAfter(number, now)
	if len(kept) == 0 {
		return nil, uint32(c.seen - number)
	}
	return kept[:min(limit, len(kept))], uint32(kept[0].number - number - 1)
}

// catchUp gives all that waits, for viewers that are at the cell's sequence and
// leave the stream: a frame from there to there.
func (s *stream) catchUp(now time.Time) *frame {
	c := s.crowd.cell
	if s.catch != nil && s.caughtUp == c.sequence && s.caughtEvent == c.seen {
		return s.catch
	}
	f := &frame{} // shared and rare: left to the collector
	f.begin(frameHead{cell: c.key.cell, place: c.key.place, epoch: c.epoch, from: c.sequence, sequence: c.sequence,
		conflated: true, watchers: c.total})
	h := s.crowd.hub
	s.each(func(r *resident) {
		h.steps = r.state.appendStep(h.steps[:0], r.whole&s.bit != 0)
		f.commit(h.steps, now.Sub(r.arrived))
	})
	f.end()
	f.events = s.events
	s.catch, s.caughtUp, s.caughtEvent = f, c.sequence, c.seen
	return f
}

// each calls f with all residents that wait.
func (s *stream) each(f func(*resident)) {
	for _, q := range []*queue{&s.fresh, &s.changed} {
		for _, r := range q.items[q.head:] {
			if r.state != nil && r.waiting&s.bit != 0 {
				f(r)
			}
		}
	}
}

// maxStreamFrames bounds what is kept for viewers whose sockets are full: about
// two seconds. Who is further behind needs a baseline.
const maxStreamFrames = 10

func (s *stream) bound(now time.Time) {
	if len(s.frames) <= maxStreamFrames {
		return
	}
	oldest := s.first()
	for i := len(s.viewers) - 1; i >= 0; i-- { // one that goes is replaced by the last
		if w := s.viewers[i].watch; s.viewers[i].at == oldest && !w.client.batched { // those are about to get them
			w.becomeStale()
			s.crowd.hub.queueAt(w.client, now, now)
		}
	}
	s.trim()
}

func (s *stream) first() uint64 { return s.next - uint64(len(s.frames)) }

// trim drops frames that all viewers have.
func (s *stream) trim() {
	n := 0
	for n < len(s.frames) && s.frames[n].left == 0 {
		s.crowd.hub.freeFrame(s.frames[n])
		n++
	}
	if n > 0 {
		kept := copy(s.frames, s.frames[n:])
		clear(s.frames[kept:])
		s.frames = s.frames[:kept]
	}
}

// attach makes v follow from the next frame on.
func (s *stream) attach(v *viewer) {
	s.crowd.streams[s.class] = s // it was dropped if the last before was too far behind
	v.stream, v.index, v.at = s, len(s.viewers), s.next
	s.viewers = append(s.viewers, v)
}

func (s *stream) detach(v *viewer) {
	for n := max(v.at, s.first()); n < s.next; n++ {
		s.frames[n-s.first()].left--
	}
	last := len(s.viewers) - 1
	s.viewers[v.index] = s.viewers[last]
	s.viewers[v.index].index = v.index
	s.viewers[last] = nil
	s.viewers = s.viewers[:last]
	v.stream = nil
	s.trim()
	if last == 0 {
		s.crowd.drop(s)
	}
}

// walk makes those due that did not get their frames along with something else,
// spread over a while so that others need not wait for all of them.
func (s *stream) walk(now time.Time) {
	const over = 30 * time.Millisecond
	for i, v := range s.viewers {
		if v.at < s.next {
			s.crowd.hub.queueAt(v.watch.client, now, now.Add(over*time.Duration(i)/time.Duration(len(s.viewers))))
		}
	}
}
