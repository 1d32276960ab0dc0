package hub

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
)

// batchSize is how many clients are written to at a time.
const batchSize = 64

// batch is what is about to be written, with few system calls: outputs[i] goes to
// clients[i]. What is gathered from cells stays as it is until it is settled: only
// clients that are settled let go of frames.
type batch struct {
	writer  *conn.BatchWriter
	clients []*Client
	scratch []output
	outputs []conn.Output
	written int // clients, so far
}

// output is the scratch of one client's flush.
type output struct {
	bytes   []byte   // private messages
	buffers [][]byte // what is written, in order
	marks   []mark   // what each buffer is
}

// room gives the scratch for the next client.
func (b *batch) room() *output {
	n := len(b.clients)
	if n == len(b.scratch) {
		b.scratch = append(b.scratch, output{})
	}
	o := &b.scratch[n]
	o.bytes, o.buffers, o.marks = o.bytes[:0], o.buffers[:0], o.marks[:0]
	return o
}

// mark says what a buffer holds: a frame of a watch, or private messages.
type mark struct {
	watch    *watch
	frame    *frame
	baseline bool
	kind     markKind
}

// markKind tells the frames of a crowd's viewers from the others.
type markKind uint8

const (
	markOrdinary markKind = iota
	markPartial
	markThinned
	markCaughtUp // the last one as a viewer
)

// queue makes a client due like anything that comes in now. Whatever it watches
// may have news for it.
func (h *Hub) queue(c *Client, now time.Time) {
	c.lookAtAll = true
	h.queueMessage(c, now)
}

// queueMessage does so for a private message.
func (h *Hub) queueMessage(c *Client, now time.Time) {
	h.put(c, now, h.pace.due(now, now))
}

func (h *Hub) queueAt(c *Client, now, due time.Time) {
	c.lookAtAll = true
	h.put(c, now, due)
}

// queueNews makes a client due because of one cell that it watches: most of
// those that it watches are silent most of the time.
func (h *Hub) queueNews(w *watch, now, due time.Time) {
	if c := w.client; !c.lookAtAll && !w.news {
		w.news = true
		c.news = append(c.news, w)
	}
	h.put(w.client, now, due)
}

func (h *Hub) put(c *Client, now, due time.Time) {
	if !c.full && !c.gone {
		h.wheel.put(c, now, due)
	}
}

// flushDue writes to all whose time has come or will have come in a while (ahead),
// the earliest due first, and says how long the hub may rest then; false: until
// something comes. What came meanwhile is looked at after each batch: it may be due
// before the rest.
func (h *Hub) flushDue(now time.Time, ahead time.Duration) (rest time.Duration, waiting bool) {
	for began := h.batch.written; ; {
		// The processors are shared: a flush is reckoned at twice its time.
		grain, rest, ok := h.wheel.next(now, 2*h.pace.each)
		switch {
		case ok && rest <= ahead && h.batch.written-began >= batchSize && len(h.wake) > 0:
			h.deliverTimed(now)
			return 0, false
		case ok && rest <= ahead:
			now = h.flushGrain(grain, now)
		case len(h.batch.clients) > 0: // what fell due meanwhile goes, too
			now = h.deliverTimed(now)
		default:
			h.wheel.advance(now)
			return rest, ok
		}
	}
}

func (h *Hub) flushGrain(grain int64, started time.Time) (ended time.Time) {
	bucket := h.wheel.take(grain)
	flushed := 0
	for _, c := range bucket {
		if c.hub.Load() == h && c.due == grain && h.enter(c, started) {
			flushed++
		}
	}
	h.wheel.done(grain, bucket)
	ended = time.Now()
	h.pace.worked(flushed, ended.Sub(started), started.Sub(h.wheel.start(grain+1)))
	return ended
}

func (h *Hub) deliverTimed(started time.Time) (ended time.Time) {
	ended = h.deliver()
	h.pace.worked(0, ended.Sub(started), 0)
	return ended
}

// flush writes all that is pending for a client, at once.
func (h *Hub) flush(c *Client, now time.Time) {
	h.enter(c, now)
	h.deliver()
}

// enter puts all that is pending for a client into the batch, if there is
// anything.
func (h *Hub) enter(c *Client, now time.Time) bool {
	if c.hub.Load() != h || !c.queued || c.gone || c.full { // the hub first: the rest is its
		return false
	}
	c.queued = false
	if h.awaitsCell(c, now) {
		return false
	}
	if c.batched || len(h.batch.clients) == batchSize {
		h.deliver()
	}
	o := h.batch.room()
	h.gather(c, o, now)
	if len(o.buffers) == 0 {
		if c.viewers > 0 {
			h.settleViewers(c, now)
		}
		return false
	}
	c.batched = true
	h.batch.clients = append(h.batch.clients, c)
	return true
}

// deliver writes the batch.
func (h *Hub) deliver() (now time.Time) {
	b := &h.batch
	if len(b.clients) == 0 {
		return time.Now()
	}
	b.outputs = b.outputs[:0]
	for i, c := range b.clients {
		b.outputs = append(b.outputs, conn.Output{Conn: c.conn, Frames: b.scratch[i].buffers})
	}
	calls := b.writer.Calls()
	b.writer.Write(b.outputs)
	h.metrics.WriteCalls.Add(float64(b.writer.Calls() - calls))
	h.metrics.Writes.Add(float64(len(b.clients)))
	b.written += len(b.clients)
	now = time.Now()
	for i, c := range b.clients {
		c.batched = false
		h.settle(c, &b.scratch[i], b.outputs[i].Accepted, now)
		clear(b.scratch[i].buffers)
		clear(b.scratch[i].marks)
		b.clients[i], b.outputs[i] = nil, conn.Output{}
	}
	b.clients = b.clients[:0]
	return now
}

// gather collects what is pending: private messages first.
func (h *Hub) gather(c *Client, o *output, now time.Time) {
	if c.pendingAnything() {
		for i := range c.messages {
			o.bytes = c.messages[i].append(o.bytes, c.json)
		}
		for _, k := range c.unwatched {
			o.bytes = appendUnwatched(o.bytes, k.cellKey, c.json)
		}
		o.buffers, o.marks = append(o.buffers, o.bytes), append(o.marks, mark{})
	}
	from := c.news
	if c.lookAtAll {
		from = c.watches
	}
	for _, w := range from {
		h.gatherCell(c, w, o, now)
	}
	c.forgetNews()
}

// gatherCell collects what a cell has for a client.
func (h *Hub) gatherCell(c *Client, w *watch, o *output, now time.Time) {
	target := w.cell
	if !target.live || w.behind() {
		return
	}
	if w.viewer != nil && w.viewer.stream != nil {
		h.gatherViewer(c, w.viewer, o, now)
		return
	}
	target.seal(h, now)
	switch {
	case w.current:
		for n := w.at; n < target.next; n++ {
			f := target.frames[n-target.first()]
			o.buffers, o.marks = append(o.buffers, f.bytes(c.json)), append(o.marks, mark{watch: w, frame: f})
		}
	case w.given && w.generation == target.generation && w.sequence == target.sequence:
		w.becomeCurrent()
	default:
		f := target.baselineFor(h, w, now)
		o.buffers, o.marks = append(o.buffers, f.bytes(c.json)), append(o.marks, mark{watch: w, frame: f, baseline: true})
	}
}

// forgetNews begins anew, after a look at what there was. A watch that was not
// ready tells of itself once it is.
func (c *Client) forgetNews() {
	for i, w := range c.news {
		w.news, c.news[i] = false, nil
	}
	c.news, c.lookAtAll = c.news[:0], false
}

// settle notes what the socket took.
func (h *Hub) settle(c *Client, o *output, accepted int, now time.Time) {
	bytes := 0
	for i, m := range o.marks {
		if i >= accepted {
			break
		}
		bytes += len(o.buffers[i])
		if m.watch == nil {
			h.metrics.Private.Add(float64(len(c.messages)))
			clear(c.messages)
			c.messages, c.unwatched = c.messages[:0], c.unwatched[:0]
			if cap(c.messages) > 16 {
				c.messages = nil
			}
			continue
		}
		h.given(m, now)
	}
	h.metrics.Bytes.Add(float64(bytes))
	if accepted < len(o.marks) {
		h.becomeFull(c, now)
	} else if c.viewers > 0 {
		h.settleViewers(c, now)
	}
	for _, m := range o.marks {
		if m.watch == nil {
			continue
		}
		m.watch.cell.trim(h)
		if v := m.watch.viewer; v != nil && v.stream != nil {
			v.stream.trim()
		}
	}
}

// given notes that a watcher has a frame.
func (h *Hub) given(m mark, now time.Time) {
	w := m.watch
	h.metrics.Frames.Inc()
	if m.kind != markOrdinary {
		h.givenViewer(m, now)
		return
	}
	w.remember(m.frame.sequence, m.frame.events)
	if m.baseline {
		w.becomeCurrent()
		return
	}
	m.frame.left--
	w.at++
	h.observe(m.frame, now)
}

// observe counts how old the updates of a frame are.
func (h *Hub) observe(f *frame, now time.Time) {
	for _, arrived := range f.arrivals {
		if !arrived.IsZero() {
			age := now.Sub(arrived)
			h.metrics.Latency.observe(age)
			h.pace.left(age)
			h.squeeze.left(age > oldAge(h.hubs.config.Deadline))
		}
	}
}

// becomeFull lets states conflate until the socket drains.
func (h *Hub) becomeFull(c *Client, now time.Time) {
	c.full, c.fullSince = true, now
	h.metrics.SlowReaders.Inc()
	for _, w := range c.watches {
		if w.viewer != nil && w.viewer.stream != nil {
			w.viewer.dropPending() // its stream is kept for a while
			continue
		}
		w.becomeStale()
		w.cell.trim(h)
	}
}

func (h *Hub) slowReader(c *Client, why string) {
	const code = starlingv1.CloseCode_SLOW_READER
	c.conn.Close(code, h.hubs.config.CloseReason(code, why))
	h.metrics.SlowClosed.Inc()
	h.remove(c)
}

func (h *Hub) closeClient(c *Client, code starlingv1.CloseCode, reason string) {
	if !c.full {
		h.endWait(c) // the welcome comes before the last words
		c.queued = true
		h.flush(c, time.Now())
	}
	c.conn.Close(code, reason)
	h.remove(c)
}

// append appends the message as a websocket frame.
func (p *privateMessage) append(dst []byte, json bool) []byte {
	if json {
		m := p.message
		if m == nil {
			m = &starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Outcome{Outcome: p.outcome}}
		}
		return append(dst, encodeJSON(m)...)
	}
	if p.outcome != nil {
		size := p.outcome.SizeVT()
		dst = conn.AppendHeader(dst, conn.OpBinary, 1+protowire.SizeVarint(uint64(size))+size)
		dst = append(dst, tagServerOutcome)
		dst = protowire.AppendVarint(dst, uint64(size))
		return appendMarshal(dst, size, p.outcome.MarshalToSizedBufferVT)
	}
	size := p.message.SizeVT()
	dst = conn.AppendHeader(dst, conn.OpBinary, size)
	return appendMarshal(dst, size, p.message.MarshalToSizedBufferVT)
}

func appendMarshal(dst []byte, size int, marshal func([]byte) (int, error)) []byte {
	start := len(dst)
	for cap(dst) < start+size {
		dst = append(dst[:cap(dst)], 0)
	}
	dst = dst[:start+size]
	// It fails for a buffer too small only.
	_, _ = marshal(dst[start:])
	return dst
}

func appendUnwatched(dst []byte, key cellKey, json bool) []byte {
	var f frame
	f.begin(frameHead{cell: key.cell, place: key.place, unwatched: true})
	f.end()
	return append(dst, f.bytes(json)...)
}
