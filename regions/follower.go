package regions

import (
	"sync"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// follower brings what the owners were told in line with the wishes and the
// routes, on one goroutine, and hands what they publish to the subscribers.
//
// followed.deliver is held while callbacks run, which orders them for a shard.
// The wishes have a lock of their own, so that a callback may call Watch.
type follower struct {
	node   *Node
	wishes *wishes

	table    sync.RWMutex
	followed map[world.ShardID]*followed

	local pubsub.Subscription // to the broker of this process; nil until it is needed
	list  []wish              // of the goroutine alone
}

// followed is a shard with watched cells.
type followed struct {
	shard   world.ShardID
	deliver sync.Mutex
	owner   string // who was asked; "" for nobody
	stream  uint64 // generation of the link over which; localStream for this process, 0 for none
	cells   map[world.Cell]*watchedCell
	members []*member
}

// watchedCell is what the owner was told of a cell, and who hears of it.
type watchedCell struct {
	asked     uint32 // watchers that the owner was told of; 0: it was not asked
	confirmed bool
	listeners []listener
}

type listener struct {
	member *member
	serial uint64 // of the wish
	told   bool   // Watching was called
}

// member is a subscriber in one shard.
type member struct {
	subscription *subscription
	cells        int              // that it listens to
	pending      []pubsub.Message // of the batch being delivered
}

const (
	localStream = ^uint64(0)
	retryWatch  = 100 * time.Millisecond
)

func newFollower(n *Node, w *wishes) *follower {
	return &follower{node: n, wishes: w, followed: map[world.ShardID]*followed{}}
}

func (f *follower) run() {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-f.wishes.wake:
		case <-retry.C:
		}
		routes, changed, ended := f.wishes.take()
		if ended {
			if f.local != nil {
				f.local.Close()
			}
			return
		}
		if failed := f.carryOut(routes, changed); len(failed) > 0 {
			f.wishes.again(failed)
			retry.Reset(retryWatch)
		}
	}
}

// carryOut gives back the places where it could not be done now.
func (f *follower) carryOut(routes []world.ShardID, changed []place) (failed []place) {
	for _, shard := range routes {
		if s := f.find(shard, false); s != nil {
			s.deliver.Lock()
			failed = f.route(s, failed)
			s.deliver.Unlock()
		}
	}
	for _, p := range changed {
		s := f.find(p.shard, true)
		s.deliver.Lock()
		failed = f.route(s, failed)
		if !f.align(s, p) {
			failed = append(failed, p)
		}
		if len(s.cells) == 0 {
			f.forget(s)
		}
		s.deliver.Unlock()
	}
	return failed
}

// route follows the shard to where it is served now.
func (f *follower) route(s *followed, failed []place) []place {
	owner := f.node.router.Owner(s.shard)
	link, local := f.node.reach(owner)
	stream := uint64(0)
	switch {
	case local:
		stream = localStream
	case link != nil:
		stream = link.Generation()
	}
	if s.owner == owner && s.stream == stream {
		return failed
	}
	for cell, c := range s.cells {
		if c.asked > 0 {
			f.send(s, cell, 0)
		}
		s.lose(cell, c)
		c.asked, c.confirmed = 0, false
	}
	s.owner, s.stream = owner, stream
	for cell := range s.cells {
		if p := (place{s.shard, cell}); !f.align(s, p) && stream != 0 {
			failed = append(failed, p)
		}
	}
	return failed
}

// align tells the owner what is wished of a cell, and the subscribers that have
// become listeners of a confirmed one. It says whether that was possible.
func (f *follower) align(s *followed, p place) bool {
	f.list = f.wishes.of(p, f.list)
	c := s.cells[p.cell]
	if c == nil {
		if len(f.list) == 0 {
			return true
		}
		c = new(watchedCell)
		s.cells[p.cell] = c
	}
	total := s.listen(c, f.list)
	if c.asked != total {
		if !f.send(s, p.cell, total) && total > 0 {
			return false
		}
		c.asked = total
	}
	if total == 0 {
		delete(s.cells, p.cell)
	} else if c.confirmed {
		s.tell(p.cell, c)
	}
	return true
}

// send asks the shard's owner for a cell. False: it does not know.
func (f *follower) send(s *followed, cell world.Cell, watchers uint32) bool {
	if s.stream == localStream {
		if f.local == nil {
			f.local = f.node.parts.Broker.Subscribe(f.node.id, localHandler{f})
		}
		f.local.Watch(s.shard, cell, watchers)
		return true
	}
	link, _ := f.node.reach(s.owner)
	if link == nil || s.stream == 0 {
		return false
	}
	return link.Send(peer.KindWatch, &clusterv1.Watch{Shard: world.ShardMessage(s.shard), Cell: uint64(cell), Watchers: watchers}) == nil
}

// find gives what is followed of a shard.
func (f *follower) find(shard world.ShardID, create bool) *followed {
	f.table.RLock()
	s := f.followed[shard]
	f.table.RUnlock()
	if s != nil || !create {
		return s
	}
	f.table.Lock()
	defer f.table.Unlock()
	s = &followed{shard: shard, cells: map[world.Cell]*watchedCell{}}
	f.followed[shard] = s
	return s
}

func (f *follower) forget(s *followed) {
	f.table.Lock()
	defer f.table.Unlock()
	delete(f.followed, s.shard)
}

// from gives what is followed of a shard with its callbacks' lock held, if it is
// followed at that process.
func (f *follower) from(owner string, shard world.ShardID) *followed {
	s := f.find(shard, false)
	if s == nil {
		return nil
	}
	s.deliver.Lock()
	if s.owner != owner {
		s.deliver.Unlock()
		return nil
	}
	return s
}

// messages hands on what a process published: messages of one shard.
func (f *follower) messages(from string, batch []pubsub.Message) {
	if s := f.from(from, batch[0].Shard); s != nil {
		s.publish(batch)
		s.deliver.Unlock()
	}
}

func (f *follower) digest(from string, d pubsub.Digest) {
	if s := f.from(from, d.Shard); s != nil {
		for _, m := range s.members {
			if !m.subscription.closed.Load() {
				m.subscription.handler.Digest(d)
			}
		}
		s.deliver.Unlock()
	}
}

// watching takes a confirmation. A second one for a cell says that messages of
// it were lost.
func (f *follower) watching(from string, shard world.ShardID, cell world.Cell) {
	s := f.from(from, shard)
	if s == nil {
		return
	}
	defer s.deliver.Unlock()
	c := s.cells[cell]
	if c == nil || c.asked == 0 {
		return
	}
	if c.confirmed {
		s.lose(cell, c)
	}
	c.confirmed = true
	s.tell(cell, c)
}

// localHandler takes what the broker of this process brings.
type localHandler struct{ f *follower }

func (l localHandler) Messages(batch []pubsub.Message) { l.f.messages(l.f.node.id, batch) }
func (l localHandler) Digest(d pubsub.Digest)          { l.f.digest(l.f.node.id, d) }
func (l localHandler) Watching(shard world.ShardID, cell world.Cell) {
	l.f.watching(l.f.node.id, shard, cell)
}
func (l localHandler) Lost(shard world.ShardID, cell world.Cell) {
	l.f.watching(l.f.node.id, shard, cell)
}
