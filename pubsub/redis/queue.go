package redis

import (
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// queue is what waits to be published of one shard. One sender at a time works
// on it, which keeps the order.
type queue struct {
	shard world.ShardID
	slot  int
	base  string // of the names of its channels

	mu        sync.Mutex
	waiting   []outgoing
	bytes     int
	fence     pubsub.Fence
	lost      map[world.Cell]uint64 // cell to sequence: what receivers must be told they missed
	scheduled bool
	removed   bool
	used      time.Time
}

// outgoing is one message or digest, encoded.
type outgoing struct {
	channel  string
	payload  []byte
	cell     world.Cell // 0: a digest
	sequence uint64
}

func (b *Bus) newQueue(shard world.ShardID) *queue {
	base := b.channelBase(shard)
	return &queue{shard: shard, slot: redisnodes.Slot(base), base: base, lost: make(map[world.Cell]uint64)}
}

// put queues o if there is room, and else notes that its cell fell behind.
func (q *queue) put(o outgoing, limit int) bool {
	if q.bytes+len(o.payload) > limit {
		q.lose(o)
		return false
	}
	q.waiting = append(q.waiting, o)
	q.bytes += len(o.payload)
	return true
}

func (q *queue) lose(o outgoing) {
	if o.cell != 0 {
		q.lost[o.cell] = max(q.lost[o.cell], o.sequence)
	}
}

// newer notes who speaks for the shard; what an earlier owner lost is no
// longer of use, since a new epoch makes everybody read again.
func (q *queue) newer(f pubsub.Fence) {
	if f != q.fence {
		clear(q.lost)
		q.fence = f
	}
}

// take empties the queue; a digest of what was lost comes last.
func (q *queue) take(now time.Time) []outgoing {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting, q.bytes, q.used = nil, 0, now
	if len(q.lost) == 0 {
		return taken
	}
	d := pubsub.Digest{Fence: q.fence}
	for cell, sequence := range q.lost {
		d.Cells = append(d.Cells, pubsub.CellSequence{Cell: cell, Sequence: sequence})
	}
	if payload, err := encodeDigest(&d, now); err == nil {
		taken = append(taken, outgoing{channel: q.base + "digest", payload: payload})
	}
	return taken
}

// finish takes note of what could not be sent and says whether there is more.
// With nothing unsent, all that was lost when the sending began has been told.
func (q *queue) finish(unsent []outgoing, told map[world.Cell]uint64) (more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range unsent {
		q.lose(o)
	}
	if len(unsent) == 0 {
		for cell, sequence := range told {
			if q.lost[cell] == sequence {
				delete(q.lost, cell)
			}
		}
	}
	q.scheduled = len(q.waiting) > 0 || len(q.lost) > 0
	return q.scheduled
}
