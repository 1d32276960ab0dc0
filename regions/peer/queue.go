package peer

import (
	"errors"
	"sync"
	"time"
)

var (
	// ErrDown: there is no stream to the peer now.
	ErrDown = errors.New("no stream to the peer")
	// ErrFull: the peer does not keep up.
	ErrFull = errors.New("the queue to the peer is full")
)

// queue holds the envelopes that wait for the stream, encoded, as the frames
// they will go out in. Everything that comes while a frame is being written
// shares the next ones.
type queue struct {
	maxBytes   int           // in all; an envelope that finds the queue empty always fits
	frameBytes int           // a frame that is so long is closed
	maxAge     time.Duration // with an envelope older than this the queue is full
	wake       chan struct{}

	mu     sync.Mutex
	frames []waiting // the last one is open
	bytes  int
	closed bool
}

// waiting is a frame that waits.
type waiting struct {
	data      *[]byte
	envelopes int
	since     time.Time // when its first envelope came
}

func newQueue(maxBytes, frameBytes int, maxAge time.Duration) *queue {
	return &queue{maxBytes: maxBytes, frameBytes: frameBytes, maxAge: maxAge, wake: make(chan struct{}, 1)}
}

// add encodes m into the queue, if no more than maxBytes/share wait then. m is
// the caller's again on return.
func (q *queue) add(kind Kind, m Message, share int) error {
	size := m.SizeVT()
	total, _ := envelopeSize(kind, size)
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrDown
	}
	if q.bytes > 0 && (q.bytes+total > q.maxBytes/share || time.Since(q.frames[0].since) > q.maxAge) {
		q.mu.Unlock()
		return ErrFull
	}
	first := len(q.frames) == 0
	if first || len(*q.frames[len(q.frames)-1].data) >= q.frameBytes {
		q.frames = append(q.frames, waiting{data: framePool.Get(total), since: time.Now()})
	}
	w := &q.frames[len(q.frames)-1]
	before := len(*w.data)
	data, err := appendEnvelope(*w.data, kind, m, size)
	if err != nil {
		*w.data = (*w.data)[:before]
		q.mu.Unlock()
		return err
	}
	*w.data = data
	w.envelopes++
	q.bytes += total
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// take gives the frame to be written next, false if none waits.
func (q *queue) take() (waiting, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.frames) == 0 {
		return waiting{}, false
	}
	w := q.frames[0]
	q.bytes -= len(*w.data)
	copy(q.frames, q.frames[1:])
	q.frames[len(q.frames)-1] = waiting{}
	q.frames = q.frames[:len(q.frames)-1]
	return w, true
}

// oldest is how long the oldest envelope has waited, 0 if none does.
func (q *queue) oldest() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.frames) == 0 {
		return 0
	}
	return time.Since(q.frames[0].since)
}

// close refuses everything from now on and drops what waits; it gives how many
// envelopes that were.
func (q *queue) close() (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, w := range q.frames {
		dropped += w.envelopes
		framePool.Put(w.data)
	}
	q.frames, q.bytes = nil, 0
	return dropped
}
