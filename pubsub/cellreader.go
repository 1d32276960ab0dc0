package pubsub

import (
	"time"

	"github.com/starling-vr/starling/world"
)

// Defaults of CellReaderConfig.
const (
	// DefaultLagBound, together with a digest each 250 ms, makes a lost last
	// message noticed within 1 s.
	DefaultLagBound    = 500 * time.Millisecond
	DefaultReadTimeout = 500 * time.Millisecond
	DefaultMaxBuffered = 256
)

const maxReadTimeout = 4 * time.Second

// CellReaderConfig holds the bounds of a CellReader. Zero fields mean the defaults.
type CellReaderConfig struct {
	// LagBound is how long a digest may be ahead of the image before the cell
	// is read again. Below the usual delay of the bus it causes needless reads.
	LagBound time.Duration
	// ReadTimeout is how long to wait for a baseline before asking again. It
	// doubles with each attempt, up to 4 s.
	ReadTimeout time.Duration
	// MaxBuffered is how many messages are kept while a baseline is awaited.
	// When more come the oldest go, and the cell is read once more.
	MaxBuffered int
}

func (c *CellReaderConfig) setDefaults() {
	if c.LagBound <= 0 {
		c.LagBound = DefaultLagBound
	}
	if c.ReadTimeout <= 0 {
		c.ReadTimeout = DefaultReadTimeout
	}
	if c.MaxBuffered <= 0 {
		c.MaxBuffered = DefaultMaxBuffered
	}
}

// CellState is how far a CellReader has come.
type CellState uint8

const (
	// CellWaiting: the bus has not confirmed that messages come.
	CellWaiting CellState = iota
	// CellReading: a baseline is awaited; messages are kept meanwhile.
	CellReading
	// CellLive: messages are applied as they come.
	CellLive
)

// CellReader is what a receiver must know of one watched cell to follow its
// owner: it decides, for all that the bus brings, what to apply to the cell's
// image and when to read the cell again. It is a pure state machine: no
// goroutine, no clock, no lock. The image itself is the caller's.
//
// The caller watches the cell on the bus, hands every callback to the method of
// the same name, and does what the result says: first Covered, then Apply, then
// Read.
type CellReader struct {
	config CellReaderConfig
	cell   world.Cell

	state    CellState
	fence    Fence  // of the image
	sequence uint64 // of the image

	buffered []Message // while reading, in the order of arrival
	apply    []Message // backs CellResult.Apply

	anyAnswer   bool   // no request was made yet since the last reason to read
	oldest      uint64 // an answer to an earlier request is of no use
	requestedAt time.Time
	attempts    uint
	unsettled   bool // the last baseline did not reach what had come meanwhile

	ahead   uint64 // a digest's sequence that the image has not reached; 0: none
	aheadAt time.Time
}

// CellResult says what to do, in this order.
type CellResult struct {
	// Covered came while the baseline that is first in Apply was awaited, and it
	// stands for them: what they say of states is in it, their events are not.
	// In the order in which they came. Valid until the next call.
	Covered []Message
	// Apply to the image, in order. The first may be a baseline: it replaces
	// the image. Valid until the next call.
	Apply []Message
	// Read: send a ReadCell to the cell's owner and tell Requested its number.
	Read bool
}

// NewCellReader makes a reader of one cell, in the state CellWaiting.
func NewCellReader(shard world.ShardID, cell world.Cell, config CellReaderConfig) *CellReader {
	config.setDefaults()
	return &CellReader{config: config, cell: cell, fence: Fence{Shard: shard}}
}

// State is how far the reader has come.
func (r *CellReader) State() CellState { return r.state }

// At is where the image stands; the zero epoch means that there is none yet.
func (r *CellReader) At() (Fence, uint64) { return r.fence, r.sequence }

// Watching: the bus confirmed the watch, so everything from now on comes.
func (r *CellReader) Watching(now time.Time) CellResult {
	clear(r.buffered)
	r.buffered = r.buffered[:0]
	return r.read(now)
}

// Lost: messages may have been missed. The bus says Watching again when it is
// whole; until then the image stands still.
func (r *CellReader) Lost() {
	r.state = CellWaiting
	clear(r.buffered)
	r.buffered = r.buffered[:0]
	r.ahead = 0
}

// Requested tells the number of the ReadCell that was sent because of
// CellResult.Read. Numbers must grow.
func (r *CellReader) Requested(request uint64) {
	if r.anyAnswer {
		r.anyAnswer = false
		r.oldest = request
	}
}

// Baseline takes the answer to a ReadCell.
func (r *CellReader) Baseline(m Message, now time.Time) CellResult {
	if r.state != CellReading || r.anyAnswer || m.Request < r.oldest || r.isBefore(m) {
		return CellResult{}
	}
	r.apply = append(r.apply[:0], m)
	r.become(m)
	return r.replay(now)
}

// isBefore says whether a baseline would take the image back: it is of an
// owner that was replaced, or overtaken by what was applied since.
func (r *CellReader) isBefore(m Message) bool {
	if m.Epoch != r.fence.Epoch {
		return m.Epoch < r.fence.Epoch
	}
	return m.Claim == r.fence.Claim && m.Sequence < r.sequence
}

func (r *CellReader) become(m Message) {
	r.state = CellLive
	r.fence = m.Fence
	r.sequence = m.Sequence
	r.attempts = 0
	r.reached()
}

// replay goes through what came while reading. If the baseline turns out to be
// too old already the cell is read again: at once the first time, then at the
// pace of ReadTimeout, because an owner that was replaced may answer for a while.
func (r *CellReader) replay(now time.Time) CellResult {
	left := r.buffered[:0]
	again := false
	var covered []Message
	baseline := r.apply[0].Sequence
	for i := range r.buffered {
		m := &r.buffered[i]
		switch {
		case r.isCovered(m, baseline):
			covered = append(covered, *m)
		case again && m.Epoch >= r.fence.Epoch:
			left = append(left, *m)
		case r.judge(m) == verdictDone:
		case m.Epoch == r.fence.Epoch && m.Claim != r.fence.Claim:
			// Two claims of one epoch. The reading may have been older than
			// this message, so read once more; then the log has spoken.
			again = true
		default:
			again = true
			left = append(left, *m)
		}
	}
	clear(r.buffered[len(left):])
	r.buffered = left
	result := CellResult{Covered: covered, Apply: r.apply}
	if again {
		result.Read = r.read(now).Read && !r.unsettled
	}
	r.unsettled = again
	return result
}

// isCovered says whether a baseline with the reader's fence stands for a message.
func (r *CellReader) isCovered(m *Message, baseline uint64) bool {
	return m.Epoch < r.fence.Epoch || m.Fence == r.fence && m.Sequence <= baseline
}

// Message takes a message of the bus. It may be of any cell; others are ignored.
func (r *CellReader) Message(m Message, now time.Time) CellResult {
	if m.Cell != r.cell || m.Shard != r.fence.Shard || m.Epoch < r.fence.Epoch {
		return CellResult{}
	}
	switch r.state {
	case CellWaiting:
		return CellResult{}
	case CellReading:
		r.buffer(m)
		return CellResult{}
	}
	r.apply = r.apply[:0]
	if r.judge(&m) == verdictRead {
		r.buffer(m)
		return r.read(now)
	}
	return CellResult{Apply: r.apply}
}

type verdict uint8

const (
	verdictDone verdict = iota // applied, or of no use
	verdictRead
)

// judge applies m if it continues the image. From may lie before the image's
// sequence, when that came from a baseline read at a later batch which did not
// touch the cell.
func (r *CellReader) judge(m *Message) verdict {
	switch {
	case m.Epoch < r.fence.Epoch:
		return verdictDone
	case m.Epoch > r.fence.Epoch || m.Claim != r.fence.Claim:
		return verdictRead
	case m.Sequence <= r.sequence:
		return verdictDone
	case m.From > r.sequence:
		return verdictRead
	}
	r.sequence = m.Sequence
	r.reached()
	r.apply = append(r.apply, *m)
	return verdictDone
}

func (r *CellReader) reached() {
	if r.sequence >= r.ahead {
		r.ahead = 0
	}
}

func (r *CellReader) buffer(m Message) {
	if len(r.buffered) >= r.config.MaxBuffered {
		copy(r.buffered, r.buffered[1:])
		r.buffered = r.buffered[:len(r.buffered)-1]
	}
	r.buffered = append(r.buffered, m)
}

// Digest takes what a digest of the shard says of the cell: its sequence, or 0
// when the digest does not name it.
func (r *CellReader) Digest(fence Fence, sequence uint64, now time.Time) CellResult {
	if r.state != CellLive || fence.Shard != r.fence.Shard || fence.Epoch < r.fence.Epoch {
		return CellResult{}
	}
	if fence.Epoch > r.fence.Epoch || fence.Claim != r.fence.Claim {
		return r.read(now)
	}
	if sequence > r.sequence && r.ahead == 0 {
		r.ahead, r.aheadAt = sequence, now
	}
	return r.Tick(now)
}

// Tick looks at the time. Call it some times a second, e.g. with each digest.
func (r *CellReader) Tick(now time.Time) CellResult {
	switch r.state {
	case CellLive:
		if r.ahead > 0 && now.Sub(r.aheadAt) >= r.config.LagBound {
			return r.read(now)
		}
	case CellReading:
		timeout := min(r.config.ReadTimeout<<min(r.attempts, 8), maxReadTimeout)
		if now.Sub(r.requestedAt) >= timeout {
			r.attempts++
			r.requestedAt = now
			return CellResult{Read: true}
		}
	}
	return CellResult{}
}

// read starts a new reading: answers to earlier requests no longer count.
func (r *CellReader) read(now time.Time) CellResult {
	r.state = CellReading
	r.anyAnswer = true
	r.attempts = 0
	r.requestedAt = now
	r.ahead = 0
	return CellResult{Read: true}
}
