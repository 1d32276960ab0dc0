package direct

import (
	"sync"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// board is who watches what in one shard. Its lock is held while callbacks
// run, which orders them; Watch never takes it, so that a handler that takes a
// lock of its own may call Watch under the same lock.
type board struct {
	shard world.ShardID

	mu      sync.Mutex
	removed bool // no longer in the table: look it up again
	cells   map[world.Cell][]watch
	members []*member
}

// member is a subscription in one shard.
type member struct {
	subscription *subscription
	cells        int              // that it watches
	pending      []pubsub.Message // of the batch being published
}

type watch struct {
	member   *member
	watchers uint32
}

func newBoard(shard world.ShardID) *board {
	return &board{shard: shard, cells: make(map[world.Cell][]watch)}
}

func (bd *board) publish(batch []pubsub.Message) {
	for i := range batch {
		for _, w := range bd.cells[batch[i].Cell] {
			w.member.pending = append(w.member.pending, batch[i])
		}
	}
	for _, m := range bd.members {
		if len(m.pending) > 0 {
			if !m.subscription.closed.Load() {
				m.subscription.handler.Messages(m.pending)
			}
			clear(m.pending)
			m.pending = m.pending[:0]
		}
	}
}

func (bd *board) publishDigest(digest pubsub.Digest) {
	for i := range digest.Cells {
		if c := &digest.Cells[i]; c.Watchers == 0 {
			c.Watchers = bd.total(c.Cell)
		}
	}
	for _, m := range bd.members {
		if !m.subscription.closed.Load() {
			m.subscription.handler.Digest(digest)
		}
	}
}

func (bd *board) total(cell world.Cell) uint32 {
	var sum uint32
	for _, w := range bd.cells[cell] {
		sum += w.watchers
	}
	return sum
}

// set makes s watch the cell for so many (0: no more) and says whether it is
// new there.
func (bd *board) set(s *subscription, cell world.Cell, watchers uint32) (added bool) {
	list := bd.cells[cell]
	for i := range list {
		if list[i].member.subscription != s {
			continue
		}
		if watchers > 0 {
			list[i].watchers = watchers
			return false
		}
		bd.drop(list[i].member)
		bd.keep(cell, remove(list, i))
		return false
	}
	if watchers == 0 {
		return false
	}
	m := bd.member(s)
	m.cells++
	bd.cells[cell] = append(list, watch{member: m, watchers: watchers})
	return true
}

func (bd *board) keep(cell world.Cell, list []watch) {
	if len(list) == 0 {
		delete(bd.cells, cell)
		return
	}
	bd.cells[cell] = list
}

func (bd *board) member(s *subscription) *member {
	for _, m := range bd.members {
		if m.subscription == s {
			return m
		}
	}
	m := &member{subscription: s}
	bd.members = append(bd.members, m)
	return m
}

func (bd *board) drop(m *member) {
	m.cells--
	if m.cells > 0 {
		return
	}
	for i := range bd.members {
		if bd.members[i] == m {
			bd.members = remove(bd.members, i)
			return
		}
	}
}

// remove takes out element i without keeping the order.
func remove[T any](list []T, i int) []T {
	last := len(list) - 1
	list[i] = list[last]
	clear(list[last:])
	return list[:last]
}
