package regions

import (
	"slices"
	"sync"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// follower brings what the owners were told in line with the wishes and the
// routes, one turn at a time, and hands what they publish to the subscribers.
//
// followed.deliver is held while callbacks run, which orders them for a shard.
// The wishes have a lock of their own, so that a callback may call Watch.
type follower struct {
	node   *Node
	wishes *wishes

	table    sync.RWMutex
	followed map[world.ShardID]*followed

	retry *time.Timer

	turning sync.Mutex
	local   pubsub.Subscription // to the broker of this process; nil until it is needed
	list    []wish
}

// followed is a shard with watched cells.
type followed struct {
	shard   world.ShardID
	deliver sync.Mutex
	source           // who is asked now
	former  []former // who were asked before, and may still publish
	cells   map[world.Cell]*watchedCell
	members []*member
}

// source is an owner and the way to it.
type source struct {
	owner  string // "" for nobody
	stream uint64 // generation of the link; localStream for this process, 0 for none
}

// former is a source that was replaced. It is heard on: until another one serves
// the shard it may commit, and what it published last may still be on its way.
type former struct {
	source
	asked map[world.Cell]asked
	until time.Time
}

// asked is what an owner was told of a cell.
type asked struct {
	watchers  uint32 // 0: it was not asked
	confirmed bool
}

// watchedCell is what the owner was told of a cell, and who hears of it.
type watchedCell struct {
	asked
	listeners []listener
}

type listener struct {
	member *member
	serial uint64 // of the wish
	told   bool   // Watching was called, whichever owner it was that confirmed the cell
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
	// formerTime is how long a replaced owner is heard on: longer than a shard
	// takes to change hands.
	formerTime = 5 * time.Second
)

func newFollower(n *Node, w *wishes) *follower {
	return &follower{node: n, wishes: w, followed: map[world.ShardID]*followed{}, retry: time.NewTimer(time.Hour)}
}

func (f *follower) run() {
	defer f.retry.Stop()
	for {
		select {
		case <-f.wishes.wake:
		case <-f.retry.C:
		}
		if !f.turn() {
			return
		}
	}
}

// turn carries out what has come up. It says whether there may be more: at the
// end there is not.
func (f *follower) turn() (more bool) {
	f.turning.Lock()
	defer f.turning.Unlock()
	routes, changed, ended := f.wishes.take()
	if ended {
		if f.local != nil {
			f.local.Close()
		}
		return false
	}
	if failed := f.carryOut(routes, changed); len(failed) > 0 {
		f.wishes.again(failed)
		f.retry.Reset(retryWatch)
	}
	return true
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

// route follows the shard to where it is served now. The owner that it leaves is
// heard on, and who returns was heard all the time.
func (f *follower) route(s *followed, failed []place) []place {
	now := f.way(f.node.router.Owner(s.shard))
	if s.source == now {
		f.retire(s)
		return failed
	}
	left := former{source: s.source, asked: make(map[world.Cell]asked), until: time.Now().Add(formerTime)}
	known := f.resume(s, now)
	for cell, c := range s.cells {
		if c.watchers > 0 {
			left.asked[cell] = c.asked
		}
		if c.confirmed && f.broken(left.source) {
			s.lose(cell, c)
		}
		c.asked = known[cell]
	}
	s.source = now
	if len(left.asked) > 0 {
		s.former = append(s.former, left)
		time.AfterFunc(formerTime, func() { f.wishes.reconsider(s.shard) })
	}
	f.retire(s)
	for cell := range s.cells {
		if p := (place{s.shard, cell}); !f.align(s, p) && s.stream != 0 {
			failed = append(failed, p)
		}
	}
	return failed
}

// resume gives what the source was asked as a former one, which it no longer is.
func (f *follower) resume(s *followed, at source) map[world.Cell]asked {
	for i := range s.former {
		if s.former[i].source == at {
			known := s.former[i].asked
			s.former = slices.Delete(s.former, i, i+1)
			return known
		}
	}
	return nil
}

// way gives the source that an owner is now.
func (f *follower) way(owner string) source {
	link, local := f.node.reach(owner)
	switch {
	case local:
		return source{owner, localStream}
	case link != nil:
		return source{owner, link.Generation()}
	}
	return source{owner: owner}
}

func (f *follower) broken(s source) bool { return s.stream == 0 || f.way(s.owner) != s }

// retire leaves the former owners whose time is over or whose stream broke. Who
// heard of a cell from them alone may miss messages from now on.
func (f *follower) retire(s *followed) {
	if len(s.former) == 0 {
		return
	}
	now := time.Now()
	s.former = slices.DeleteFunc(s.former, func(x former) bool {
		if f.broken(x.source) {
			return true
		}
		if now.Before(x.until) {
			return false
		}
		for cell := range x.asked {
			f.send(s.shard, x.source, cell, 0)
		}
		return true
	})
	if len(s.former) > 0 {
		return
	}
	for cell, c := range s.cells {
		if !c.confirmed {
			s.lose(cell, c)
		}
	}
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
	if c.watchers != total {
		if !f.send(s.shard, s.source, p.cell, total) && total > 0 {
			return false
		}
		c.watchers = total
	}
	if total == 0 {
		for _, was := range s.former {
			if _, asked := was.asked[p.cell]; asked {
				f.send(s.shard, was.source, p.cell, 0)
				delete(was.asked, p.cell)
			}
		}
		delete(s.cells, p.cell)
	} else if c.confirmed {
		s.tell(p.cell, c)
	}
	return true
}

// send asks an owner for a cell of a shard. False: it does not know.
func (f *follower) send(shard world.ShardID, to source, cell world.Cell, watchers uint32) bool {
	if to.stream == localStream {
		if f.local == nil {
			f.local = f.node.parts.Broker.Subscribe(f.node.id, localHandler{f})
		}
		f.local.Watch(shard, cell, watchers)
		return true
	}
	link, _ := f.node.reach(to.owner)
	if link == nil || to.stream == 0 {
		return false
	}
	return link.Send(peer.KindWatch, &clusterv1.Watch{Shard: world.ShardMessage(shard), Cell: uint64(cell), Watchers: watchers}) == nil
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
// followed at that process, or was lately.
func (f *follower) from(owner string, shard world.ShardID) *followed {
	s := f.find(shard, false)
	if s == nil {
		return nil
	}
	s.deliver.Lock()
	if s.owner != owner && s.formerly(owner) == nil {
		s.deliver.Unlock()
		return nil
	}
	return s
}

func (s *followed) formerly(owner string) *former {
	for i := range s.former {
		if s.former[i].owner == owner {
			return &s.former[i]
		}
	}
	return nil
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
	if c == nil {
		return
	}
	if s.owner != from {
		s.confirmFormer(s.formerly(from), cell, c)
		return
	}
	if c.watchers == 0 {
		return
	}
	if c.confirmed {
		s.lose(cell, c)
	}
	c.confirmed = true
	s.tell(cell, c)
}

// confirmFormer takes a confirmation of an owner that was replaced.
func (s *followed) confirmFormer(x *former, cell world.Cell, c *watchedCell) {
	was, asked := x.asked[cell]
	if !asked {
		return
	}
	if was.confirmed {
		s.lose(cell, c)
		if c.confirmed {
			s.tell(cell, c)
		}
	}
	was.confirmed = true
	x.asked[cell] = was
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
