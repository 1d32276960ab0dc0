package fanout

import (
	"sync"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// board is who watches what in one shard. Its lock is held while callbacks
// run, which orders them.
type board struct {
	shard world.ShardID

	mu      sync.Mutex
	removed bool // no longer in the table: look it up again
	cells   map[world.Cell][]watch
	members []*member
}

// member is a subscriber in one shard.
type member struct {
	subscriber *Subscriber
	cells      int              // that it watches
	pending    []pubsub.Message // of the batch being published
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
			if !m.subscriber.closed.Load() {
				m.subscriber.handler.Messages(m.pending)
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
		if !m.subscriber.closed.Load() {
			m.subscriber.handler.Digest(digest)
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
func (bd *board) set(s *Subscriber, cell world.Cell, watchers uint32) (added bool) {
	list := bd.cells[cell]
	for i := range list {
		if list[i].member.subscriber != s {
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

// lose tells who watches the cell that messages may be missing, and takes them
// off.
func (bd *board) lose(cell world.Cell) {
	for _, w := range bd.cells[cell] {
		if !w.member.subscriber.closed.Load() {
			w.member.subscriber.handler.Lost(bd.shard, cell)
		}
		bd.drop(w.member)
	}
	delete(bd.cells, cell)
}

func (bd *board) keep(cell world.Cell, list []watch) {
	if len(list) == 0 {
		delete(bd.cells, cell)
		return
	}
	bd.cells[cell] = list
}

func (bd *board) member(s *Subscriber) *member {
	for _, m := range bd.members {
		if m.subscriber == s {
			return m
		}
	}
	m := &member{subscriber: s}
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
