// Package direct is the bus inside one process: an owner publishes, and the
// process's own gateway, or the near end of a stream to a gateway elsewhere,
// hears of the cells that it watches and of no others.
package direct

import (
	"hash/maphash"
	"sync"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// stripes is the number of locks over the table of boards. Only looking a
// board up takes one; publishing itself is under the lock of its own shard.
const stripes = 64

// Broker is a pubsub.Bus in one process. The zero value is not usable: call New.
type Broker struct {
	seed    maphash.Seed
	stripes [stripes]stripe

	mu            sync.Mutex
	subscriptions map[*subscription]struct{}
	closed        bool
	running       sync.WaitGroup
}

type stripe struct {
	mu     sync.RWMutex
	boards map[world.ShardID]*board
	_      [32]byte // apart from the next one's cache line
}

var _ pubsub.Bus = (*Broker)(nil)

// New makes a broker without subscribers.
func New() *Broker {
	b := &Broker{seed: maphash.MakeSeed(), subscriptions: make(map[*subscription]struct{})}
	for i := range b.stripes {
		b.stripes[i].boards = make(map[world.ShardID]*board)
	}
	return b
}

// Publish hands each subscriber, in one call, those messages of batch whose
// cells it watches. It allocates nothing once the subscribers' buffers have
// grown, and never waits for a subscriber.
func (b *Broker) Publish(batch []pubsub.Message) {
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
func (b *Broker) PublishDigest(digest pubsub.Digest) {
	bd := b.lock(digest.Shard, false)
	if bd == nil {
		return
	}
	defer bd.mu.Unlock()
	bd.publishDigest(digest)
}

// Watchers is the number of participants who watch a cell, over all
// subscribers of this broker.
func (b *Broker) Watchers(shard world.ShardID, cell world.Cell) uint32 {
	bd := b.lock(shard, false)
	if bd == nil {
		return 0
	}
	defer bd.mu.Unlock()
	return bd.total(cell)
}

// WatchedCells is the number of cells of a shard that anybody watches: with 0
// nobody would miss the shard.
func (b *Broker) WatchedCells(shard world.ShardID) int {
	bd := b.lock(shard, false)
	if bd == nil {
		return 0
	}
	defer bd.mu.Unlock()
	return len(bd.cells)
}

// Subscribe registers a subscriber, named for logs by the caller. Callbacks
// come from the publishing goroutine (Messages, Digest) and from one goroutine
// of the subscription (Watching), one at a time for each shard, and never from
// within Watch. A callback may call Watch and Close. Lost never comes.
func (b *Broker) Subscribe(_ string, h pubsub.Handler) pubsub.Subscription {
	s := newSubscription(b, h)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.Close()
		return s
	}
	b.subscriptions[s] = struct{}{}
	b.running.Go(s.run)
	return s
}

// Healthy is always true: nothing lies between publisher and subscriber.
func (b *Broker) Healthy() (bool, string) { return true, "" }

// Close ends all subscriptions and waits for their goroutines.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	for s := range b.subscriptions {
		s.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
	return nil
}

func (b *Broker) forget(s *subscription) {
	b.mu.Lock()
	delete(b.subscriptions, s)
	b.mu.Unlock()
}

// lock gives the shard's board with its lock held, or nil if there is none and
// create is false.
func (b *Broker) lock(shard world.ShardID, create bool) *board {
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

func (b *Broker) find(shard world.ShardID, create bool) *board {
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
func (b *Broker) removeIfEmpty(bd *board) {
	if len(bd.cells) > 0 {
		return
	}
	bd.removed = true
	st := b.stripe(bd.shard)
	st.mu.Lock()
	delete(st.boards, bd.shard)
	st.mu.Unlock()
}

func (b *Broker) stripe(shard world.ShardID) *stripe {
	return &b.stripes[maphash.Comparable(b.seed, shard)%stripes]
}
