// Package fanout hands messages of cells to those in this process who watch
// them. It is what the implementations of the bus have in common.
package fanout

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// stripes is the number of locks over the table of boards. Only looking a
// board up takes one; publishing itself is under the lock of its own shard.
const stripes = 64

// Boards is a table of who watches what. Callbacks of one shard come one at a
// time, from within the methods that cause them: those who call Watch and Lose
// hold no lock that a handler takes.
type Boards struct {
	seed    maphash.Seed
	stripes [stripes]stripe
}

type stripe struct {
	mu     sync.RWMutex
	boards map[world.ShardID]*board
	_      [32]byte // apart from the next one's cache line
}

// Subscriber is one who watches cells.
type Subscriber struct {
	handler pubsub.Handler
	closed  atomic.Bool
}

// NewSubscriber makes one that watches nothing.
func NewSubscriber(h pubsub.Handler) *Subscriber { return &Subscriber{handler: h} }

// Close ends the callbacks. One that runs may finish.
func (s *Subscriber) Close() { s.closed.Store(true) }

// Closed says whether Close was called.
func (s *Subscriber) Closed() bool { return s.closed.Load() }

// New makes an empty table.
func New() *Boards {
	b := &Boards{seed: maphash.MakeSeed()}
	for i := range b.stripes {
		b.stripes[i].boards = make(map[world.ShardID]*board)
	}
	return b
}

// Watch makes s watch a cell for so many participants, 0 for no more. If it is
// new there, s is told Watching before anything else of the cell comes.
func (b *Boards) Watch(s *Subscriber, shard world.ShardID, cell world.Cell, watchers uint32) {
	bd := b.lock(shard, watchers > 0)
	if bd == nil {
		return
	}
	defer bd.mu.Unlock()
	if bd.set(s, cell, watchers) && !s.closed.Load() {
		s.handler.Watching(shard, cell)
	}
	b.removeIfEmpty(bd)
}

// Lose tells all who watch a cell that messages may be missing. None of them
// watches it afterwards.
func (b *Boards) Lose(shard world.ShardID, cell world.Cell) {
	bd := b.lock(shard, false)
	if bd == nil {
		return
	}
	defer bd.mu.Unlock()
	bd.lose(cell)
	b.removeIfEmpty(bd)
}

// Publish hands each subscriber, in one call, those messages of batch whose
// cells it watches. It allocates nothing once the subscribers' buffers have
// grown, and never waits for a subscriber.
func (b *Boards) Publish(batch []pubsub.Message) {
	for len(batch) > 0 {
		n := sameShard(batch)
		if bd := b.lock(batch[0].Shard, false); bd != nil {
			bd.publish(batch[:n])
			bd.mu.Unlock()
		}
		batch = batch[n:]
	}
}

func sameShard(batch []pubsub.Message) int {
	n := 1
	for n < len(batch) && batch[n].Shard == batch[0].Shard {
		n++
	}
	return n
}

// PublishDigest hands digest to every subscriber that watches a cell of the
// shard. Where Watchers of a cell is 0 it fills in what it knows.
func (b *Boards) PublishDigest(digest pubsub.Digest) {
	bd := b.lock(digest.Shard, false)
	if bd == nil {
		return
	}
	defer bd.mu.Unlock()
	bd.publishDigest(digest)
}

// Watchers is the number of participants who watch a cell, over all
// subscribers.
func (b *Boards) Watchers(shard world.ShardID, cell world.Cell) uint32 {
	bd := b.lock(shard, false)
	if bd == nil {
		return 0
	}
	defer bd.mu.Unlock()
	return bd.total(cell)
}

// WatchedCells is the number of cells of a shard that anybody watches: with 0
// nobody would miss the shard.
func (b *Boards) WatchedCells(shard world.ShardID) int {
	bd := b.lock(shard, false)
	if bd == nil {
		return 0
	}
	defer bd.mu.Unlock()
	return len(bd.cells)
}

// lock gives the shard's board with its lock held, or nil if there is none and
// create is false.
func (b *Boards) lock(shard world.ShardID, create bool) *board {
	for {
		bd := b.find(shard, create)
		if bd == nil {
			return nil
		}
		bd.mu.Lock()
		if !bd.removed {
			return bd
		}
		bd.mu.Unlock()
	}
}

func (b *Boards) find(shard world.ShardID, create bool) *board {
	st := b.stripe(shard)
	st.mu.RLock()
	bd := st.boards[shard]
	st.mu.RUnlock()
	if bd != nil || !create {
		return bd
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if bd = st.boards[shard]; bd == nil {
		bd = newBoard(shard)
		st.boards[shard] = bd
	}
	return bd
}

// removeIfEmpty is called with the board's lock held. The order of locks is
// board before stripe; find holds a stripe's lock alone.
func (b *Boards) removeIfEmpty(bd *board) {
	if len(bd.cells) > 0 {
		return
	}
	bd.removed = true
	st := b.stripe(bd.shard)
	st.mu.Lock()
	delete(st.boards, bd.shard)
	st.mu.Unlock()
}

func (b *Boards) stripe(shard world.ShardID) *stripe {
	return &b.stripes[maphash.Comparable(b.seed, shard)%stripes]
}
