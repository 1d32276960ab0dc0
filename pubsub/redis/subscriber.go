package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/pubsub/internal/fanout"
	"github.com/starling-vr/starling/world"
)

const (
	retryFirst = 20 * time.Millisecond
	retryMost  = time.Second
)

// channel is one channel of Redis that this process wants to hear.
type channel struct {
	name string
	slot int
	kind channelKind

	shard world.ShardID
	cell  world.Cell
	probe string // address of the node that it probes

	// Under subscriber.mu.
	session   *session // nil: waits for a place
	confirmed bool
	wanted    map[*subscription]uint32 // of a cell: who wants it, for how many
	cells     int                      // of a digest channel: cells of its shard
}

type channelKind uint8

const (
	channelCell channelKind = iota
	channelDigest
	channelProbe
)

// subscriber keeps the channels subscribed: one session a node, channels moved
// as slots move, sessions replaced as they break. Its lock is held while
// Watching and Lost are called, so that these cannot overtake each other; Watch
// only queues and takes another.
type subscriber struct {
	bus    *Bus
	boards *fanout.Boards

	mu       sync.Mutex
	sessions map[string]*session
	channels map[string]*channel
	closed   bool
	retry    time.Duration
	timer    *time.Timer

	running sync.WaitGroup
	inbox   inbox
}

func newSubscriber(b *Bus) *subscriber {
	return &subscriber{
		bus: b, boards: fanout.New(),
		sessions: make(map[string]*session), channels: make(map[string]*channel),
		inbox: inbox{wake: make(chan struct{}, 1)},
	}
}

// inbox is the queue of wishes of all subscriptions.
type inbox struct {
	mu     sync.Mutex
	wishes []wish
	wake   chan struct{}
}

type wish struct {
	subscription *subscription
	shard        world.ShardID
	cell         world.Cell
	watchers     uint32
	leave        bool
}

func (i *inbox) put(w wish) {
	i.mu.Lock()
	i.wishes = append(i.wishes, w)
	i.mu.Unlock()
	i.signal()
}

func (i *inbox) signal() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *inbox) take(empty []wish) []wish {
	i.mu.Lock()
	defer i.mu.Unlock()
	wishes := i.wishes
	i.wishes = empty[:0]
	return wishes
}

// run carries out wishes until ctx ends.
func (s *subscriber) run(ctx context.Context) {
	var wishes []wish
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.inbox.wake:
		}
		wishes = s.inbox.take(wishes)
		for _, w := range wishes {
			s.apply(w)
		}
	}
}

func (s *subscriber) apply(w wish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.leave {
		s.watch(w.subscription, w.shard, w.cell, w.watchers)
		return
	}
	for place := range w.subscription.watched {
		s.watch(w.subscription, place.shard, place.cell, 0)
	}
}

func (s *subscriber) watch(sub *subscription, shard world.ShardID, cell world.Cell, watchers uint32) {
	p := place{shard, cell}
	if watchers == 0 {
		s.unwatch(sub, p)
		return
	}
	if sub.subscriber.Closed() {
		return
	}
	sub.watched[p] = struct{}{}
	c := s.channels[s.bus.cellChannel(shard, cell)]
	if c == nil {
		c = s.openCell(shard, cell)
	}
	c.wanted[sub] = watchers
	if c.confirmed {
		s.boards.Watch(sub.subscriber, shard, cell, watchers)
	}
}

func (s *subscriber) openCell(shard world.ShardID, cell world.Cell) *channel {
	// The digests first: whoever is told Watching gets these, too.
	name := s.bus.digestChannel(shard)
	digest := s.channels[name]
	if digest == nil {
		digest = s.open(&channel{name: name, kind: channelDigest, shard: shard})
	}
	digest.cells++
	return s.open(&channel{name: s.bus.cellChannel(shard, cell), kind: channelCell, shard: shard, cell: cell,
		wanted: make(map[*subscription]uint32)})
}

func (s *subscriber) open(c *channel) *channel {
	c.slot = redisnodes.Slot(c.name)
	s.channels[c.name] = c
	s.place(c)
	return c
}

func (s *subscriber) unwatch(sub *subscription, p place) {
	if _, known := sub.watched[p]; !known {
		return
	}
	delete(sub.watched, p)
	s.boards.Watch(sub.subscriber, p.shard, p.cell, 0)
	c := s.channels[s.bus.cellChannel(p.shard, p.cell)]
	delete(c.wanted, sub)
	if len(c.wanted) > 0 {
		return
	}
	s.drop(c)
	digest := s.channels[s.bus.digestChannel(p.shard)]
	if digest.cells--; digest.cells == 0 {
		s.drop(digest)
	}
}

func (s *subscriber) drop(c *channel) {
	delete(s.channels, c.name)
	if c.session != nil {
		c.session.unsubscribe(c)
		c.session = nil
	}
	c.confirmed = false
}

// place subscribes a channel at the node that serves its slot.
func (s *subscriber) place(c *channel) {
	if s.closed {
		return
	}
	address := s.bus.nodes.Owner(c.slot)
	if address == "" {
		s.retryLater()
		return
	}
	c.session = s.session(address)
	c.session.subscribe(c)
}

func (s *subscriber) session(address string) *session {
	if existing := s.sessions[address]; existing != nil {
		return existing
	}
	made := newSession(address, s)
	s.sessions[address] = made
	s.running.Go(func() { made.run(s.bus.ctx, s.bus.nodes.Config()) })
	return made
}

// retryLater asks for the slots again and places what has no place, after a
// while that grows with each try in vain.
func (s *subscriber) retryLater() {
	if s.timer != nil || s.closed {
		return
	}
	s.retry = min(max(2*s.retry, retryFirst), retryMost)
	s.running.Add(1)
	s.timer = time.AfterFunc(s.retry, func() {
		defer s.running.Done()
		ctx, cancel := context.WithTimeout(s.bus.ctx, 2*time.Second)
		defer cancel()
		_ = s.bus.nodes.Refresh(ctx) // if in vain the old table will do
		s.mu.Lock()
		defer s.mu.Unlock()
		s.timer = nil
		for _, c := range s.channels {
			if c.session == nil {
				s.place(c)
			}
		}
	})
}

// lose takes a channel off its node and tells who heard it.
func (s *subscriber) lose(c *channel) {
	c.session = nil
	if !c.confirmed {
		return
	}
	c.confirmed = false
	s.bus.metrics.interrupted.Inc()
	switch c.kind {
	case channelCell:
		s.boards.Lose(c.shard, c.cell)
	case channelDigest:
		// A lost digest is found out about through the next one.
	}
}

func (s *subscriber) close() {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil && s.timer.Stop() {
		s.running.Done()
	}
	s.mu.Unlock()
	s.running.Wait() // sessions end with the bus's context
}

// confirmed implements sessionEvents.
func (s *subscriber) confirmed(at *session, c *channel) {
	s.flush(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session != at || s.channels[c.name] != c {
		return
	}
	c.confirmed = true
	s.retry = 0
	for sub, watchers := range c.wanted {
		s.boards.Watch(sub.subscriber, c.shard, c.cell, watchers)
	}
}

// refused implements sessionEvents: the slot is elsewhere, or nowhere for now.
func (s *subscriber) refused(at *session, c *channel, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at.forget(c)
	if c.session != at {
		return
	}
	s.lose(c)
	if r, ok := redisnodes.ParseRedirect(message); ok && s.channels[c.name] == c {
		s.bus.nodes.Moved(c.slot, r.Address)
		s.place(c)
		return
	}
	s.retryLater()
}

// unsubscribed implements sessionEvents: the slot moved away.
func (s *subscriber) unsubscribed(at *session, c *channel) {
	s.flush(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session != at || !c.confirmed {
		return // the answer to the subscribe under way decides
	}
	at.forget(c)
	s.lose(c)
	s.retryLater()
}

// ended implements sessionEvents.
func (s *subscriber) ended(at *session, err error) {
	s.flush(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[at.address] == at {
		delete(s.sessions, at.address)
	}
	if s.closed {
		return
	}
	s.bus.config.Logger.Warn("connection of the bus to Redis ended", "address", at.address, "error", err)
	for _, c := range s.channels {
		if c.session == at {
			s.lose(c)
		}
	}
	s.retryLater()
}

// received implements sessionEvents.
func (s *subscriber) received(at *session, c *channel, payload []byte) {
	switch c.kind {
	case channelProbe:
		s.bus.probes.received(c.probe, payload)
	case channelDigest:
		s.flush(at)
		if d, ok := decodeDigest(payload); ok && d.Shard == c.shard {
			s.boards.PublishDigest(d)
			return
		}
		s.bus.metrics.malformed.Inc()
	case channelCell:
		s.gather(at, c, payload)
	}
}

func (s *subscriber) gather(at *session, c *channel, payload []byte) {
	m, ok := decodeMessage(payload)
	if !ok || m.Shard != c.shard || m.Cell != c.cell {
		s.bus.metrics.malformed.Inc()
		return
	}
	if len(at.batch) > 0 && at.batch[0].Shard != m.Shard {
		s.flush(at)
	}
	at.batch = append(at.batch, m)
}

// idle implements sessionEvents.
func (s *subscriber) idle(at *session) { s.flush(at) }

func (s *subscriber) flush(at *session) {
	if len(at.batch) == 0 {
		return
	}
	s.boards.Publish(at.batch)
	s.bus.metrics.received.Add(float64(len(at.batch)))
	clear(at.batch)
	at.batch = at.batch[:0]
}

// place names a cell.
type place struct {
	shard world.ShardID
	cell  world.Cell
}

// subscription is one subscriber of this process.
type subscription struct {
	owner      *subscriber
	subscriber *fanout.Subscriber
	watched    map[place]struct{} // under subscriber.mu of the owner
}

// Watch is described at pubsub.Subscription.
func (s *subscription) Watch(shard world.ShardID, cell world.Cell, watchers uint32) {
	if !s.subscriber.Closed() {
		s.owner.inbox.put(wish{subscription: s, shard: shard, cell: cell, watchers: watchers})
	}
}

// Close ends the subscription. A callback that runs may still finish.
func (s *subscription) Close() {
	s.subscriber.Close()
	s.owner.inbox.put(wish{subscription: s, leave: true})
}

// keepProbes makes the probe channels those of the masters there are.
func (s *subscriber) keepProbes(names map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		if c.kind == channelProbe && names[c.probe] != c.name {
			s.drop(c)
		}
	}
	for address, name := range names {
		if s.channels[name] == nil {
			s.open(&channel{name: name, kind: channelProbe, probe: address})
		}
	}
	s.dropIdleSessions()
}

// dropIdleSessions ends connections to nodes of which nothing is heard.
func (s *subscriber) dropIdleSessions() {
	used := make(map[*session]bool)
	for _, c := range s.channels {
		used[c.session] = true
	}
	for address, open := range s.sessions {
		if !used[open] && !slices.Contains(s.bus.nodes.Masters(), address) {
			open.close()
		}
	}
}
