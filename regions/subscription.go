package regions

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// subscription is a subscriber's wishes over all shards. Its goroutine brings
// what the owners were told in line with the wishes and the routes; the
// callbacks come from it (Lost) and from those who bring messages.
//
// Locks: followed.deliver is held while callbacks run, which orders them for a
// shard. Watch takes mu alone, so that a callback may call it.
type subscription struct {
	bus     *Bus
	name    string
	handler pubsub.Handler
	wake    chan struct{}
	closed  atomic.Bool

	mu     sync.Mutex
	wishes map[world.ShardID]map[world.Cell]uint32
	dirty  map[world.ShardID]struct{}
	all    bool // every shard is dirty

	table    sync.RWMutex
	followed map[world.ShardID]*followed

	local pubsub.Subscription // to the broker of this process; nil until it is needed
}

// followed is a shard with watched cells.
type followed struct {
	deliver sync.Mutex
	owner   string // who was asked; "" for nobody
	stream  uint64 // generation of the link over which; localStream for this process
	cells   map[world.Cell]*asked
}

// asked is what the owner was told of a cell.
type asked struct {
	watchers  uint32
	confirmed bool
}

const (
	localStream = ^uint64(0)
	retryWatch  = 100 * time.Millisecond
)

func newSubscription(b *Bus, name string, h pubsub.Handler) *subscription {
	return &subscription{
		bus: b, name: name, handler: h, wake: make(chan struct{}, 1),
		wishes: map[world.ShardID]map[world.Cell]uint32{}, dirty: map[world.ShardID]struct{}{},
		followed: map[world.ShardID]*followed{},
	}
}

// Watch implements pubsub.Subscription.
func (s *subscription) Watch(shard world.ShardID, cell world.Cell, watchers uint32) {
	s.mu.Lock()
	cells := s.wishes[shard]
	if watchers == 0 {
		delete(cells, cell)
		if len(cells) == 0 {
			delete(s.wishes, shard)
		}
	} else {
		if cells == nil {
			cells = map[world.Cell]uint32{}
			s.wishes[shard] = cells
		}
		cells[cell] = watchers
	}
	s.dirty[shard] = struct{}{}
	s.mu.Unlock()
	s.signal()
}

// Close implements pubsub.Subscription.
func (s *subscription) Close() {
	s.closed.Store(true)
	s.signal()
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscription) reconsider(shard world.ShardID) {
	s.mu.Lock()
	s.dirty[shard] = struct{}{}
	s.mu.Unlock()
	s.signal()
}

func (s *subscription) reconsiderAll() {
	s.mu.Lock()
	s.all = true
	s.mu.Unlock()
	s.signal()
}

func (s *subscription) run() {
	defer s.leave()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-s.wake:
		case <-retry.C:
		}
		if s.closed.Load() {
			return
		}
		again := false
		for _, shard := range s.takeDirty() {
			if !s.align(shard) {
				s.mu.Lock()
				s.dirty[shard] = struct{}{}
				s.mu.Unlock()
				again = true
			}
		}
		if again {
			retry.Reset(retryWatch)
		}
	}
}

func (s *subscription) takeDirty() []world.ShardID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all {
		s.all = false
		for shard := range s.wishes {
			s.dirty[shard] = struct{}{}
		}
	}
	shards := make([]world.ShardID, 0, len(s.dirty))
	for shard := range s.dirty {
		shards = append(shards, shard)
	}
	clear(s.dirty)
	return shards
}

// align tells the shard's owner what is wished there. It says whether that was
// possible.
func (s *subscription) align(shard world.ShardID) bool {
	s.mu.Lock()
	wish := maps.Clone(s.wishes[shard])
	s.mu.Unlock()
	f := s.find(shard, len(wish) > 0)
	if f == nil {
		return true
	}
	owner := s.bus.node.router.Owner(shard)
	link, local := s.bus.node.reach(owner)
	stream := uint64(0)
	switch {
	case local:
		stream = localStream
	case link != nil:
		stream = link.Generation()
	}
	f.deliver.Lock()
	defer f.deliver.Unlock()
	if f.owner != owner || f.stream != stream {
		s.part(shard, f)
		f.owner, f.stream = owner, stream
	}
	done := s.tell(shard, f, wish)
	if len(f.cells) == 0 && len(wish) == 0 {
		s.drop(shard)
	}
	return done
}

// part leaves the owner that was followed so far.
func (s *subscription) part(shard world.ShardID, f *followed) {
	for cell, c := range f.cells {
		s.send(shard, f, cell, 0)
		if c.confirmed && !s.closed.Load() {
			s.handler.Lost(shard, cell)
		}
	}
	clear(f.cells)
}

// tell brings the owner's knowledge in line with the wishes.
func (s *subscription) tell(shard world.ShardID, f *followed, wish map[world.Cell]uint32) bool {
	for cell := range f.cells {
		if wish[cell] == 0 {
			s.send(shard, f, cell, 0)
			delete(f.cells, cell)
		}
	}
	for cell, watchers := range wish {
		c := f.cells[cell]
		if c != nil && c.watchers == watchers {
			continue
		}
		if c == nil {
			// Before the sending: the confirmation may come at any time.
			c = new(asked)
			f.cells[cell] = c
		}
		if !s.send(shard, f, cell, watchers) {
			if c.watchers == 0 {
				delete(f.cells, cell)
			}
			return false
		}
		c.watchers = watchers
	}
	return true
}

func (s *subscription) send(shard world.ShardID, f *followed, cell world.Cell, watchers uint32) bool {
	if f.stream == localStream {
		if s.local == nil {
			s.local = s.bus.node.parts.Broker.Subscribe(s.name, localHandler{s})
		}
		s.local.Watch(shard, cell, watchers)
		return true
	}
	link, _ := s.bus.node.reach(f.owner)
	if link == nil || f.stream == 0 {
		return false
	}
	return link.Send(peer.KindWatch, &clusterv1.Watch{Shard: shardID(shard), Cell: uint64(cell), Watchers: watchers}) == nil
}

// leave ends everything that was asked for.
func (s *subscription) leave() {
	s.table.RLock()
	all := maps.Clone(s.followed)
	s.table.RUnlock()
	for shard, f := range all {
		f.deliver.Lock()
		s.part(shard, f)
		f.deliver.Unlock()
	}
	if s.local != nil {
		s.local.Close()
	}
	s.bus.forget(s)
}

// find gives what is followed of a shard.
func (s *subscription) find(shard world.ShardID, create bool) *followed {
	s.table.RLock()
	f := s.followed[shard]
	s.table.RUnlock()
	if f != nil || !create {
		return f
	}
	s.table.Lock()
	defer s.table.Unlock()
	f = &followed{cells: map[world.Cell]*asked{}}
	s.followed[shard] = f
	return f
}

func (s *subscription) drop(shard world.ShardID) {
	s.table.Lock()
	defer s.table.Unlock()
	delete(s.followed, shard)
}

// from gives what is followed of a shard with its callbacks' lock held, if it is
// followed at that process.
func (s *subscription) from(owner string, shard world.ShardID) *followed {
	f := s.find(shard, false)
	if f == nil {
		return nil
	}
	f.deliver.Lock()
	if f.owner != owner || s.closed.Load() {
		f.deliver.Unlock()
		return nil
	}
	return f
}

func (s *subscription) messages(from string, batch []pubsub.Message) {
	if f := s.from(from, batch[0].Shard); f != nil {
		s.handler.Messages(batch)
		f.deliver.Unlock()
	}
}

func (s *subscription) digest(from string, d pubsub.Digest) {
	if f := s.from(from, d.Shard); f != nil {
		s.handler.Digest(d)
		f.deliver.Unlock()
	}
}

// watching takes a confirmation. A second one for a cell says that messages
// were lost there.
func (s *subscription) watching(from string, shard world.ShardID, cell world.Cell) {
	f := s.from(from, shard)
	if f == nil {
		return
	}
	defer f.deliver.Unlock()
	c := f.cells[cell]
	if c == nil {
		return
	}
	if c.confirmed {
		s.handler.Lost(shard, cell)
	}
	c.confirmed = true
	s.handler.Watching(shard, cell)
}

// localHandler takes what the broker of this process brings.
type localHandler struct{ s *subscription }

func (l localHandler) Messages(batch []pubsub.Message) { l.s.messages(l.s.bus.node.id, batch) }
func (l localHandler) Digest(d pubsub.Digest)          { l.s.digest(l.s.bus.node.id, d) }
func (l localHandler) Watching(shard world.ShardID, cell world.Cell) {
	l.s.watching(l.s.bus.node.id, shard, cell)
}
func (l localHandler) Lost(shard world.ShardID, cell world.Cell) {
	l.s.watching(l.s.bus.node.id, shard, cell)
}
