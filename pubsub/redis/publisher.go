package redis

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

const (
	sendTimeout = time.Second
	// sendAgain is how long to wait after a node did not take what it was sent.
	sendAgain = 50 * time.Millisecond
	// queueIdle is when a queue that nothing goes through is forgotten.
	queueIdle = time.Minute
)

// publisher has a queue per shard and a sender per node. A sender takes all that
// waits for its node in one pipeline.
type publisher struct {
	bus *Bus

	mu      sync.RWMutex
	queues  map[world.ShardID]*queue
	senders map[string]*sender
	closed  bool
	running sync.WaitGroup
}

func newPublisher(b *Bus) *publisher {
	return &publisher{bus: b, queues: make(map[world.ShardID]*queue), senders: make(map[string]*sender)}
}

func (p *publisher) publish(batch []pubsub.Message) {
	now := time.Now()
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && batch[n].Shard == batch[0].Shard {
			n++
		}
		p.enqueue(batch[0].Fence, func(q *queue) {
			for i := range batch[:n] {
				p.put(q, &batch[i], now)
			}
		})
		batch = batch[n:]
	}
}

func (p *publisher) put(q *queue, m *pubsub.Message, now time.Time) {
	payload, err := encodeMessage(m, now)
	if err != nil {
		return // encoding to memory does not fail
	}
	if !q.put(outgoing{p.bus.cellChannel(m.Shard, m.Cell), payload, m.Cell, m.Sequence}, p.bus.config.QueueBytes) {
		p.bus.metrics.overflowed.Inc()
	}
}

func (p *publisher) publishDigest(d pubsub.Digest) {
	payload, err := encodeDigest(&d, time.Now())
	if err != nil {
		return
	}
	p.enqueue(d.Fence, func(q *queue) {
		q.put(outgoing{channel: q.base + "digest", payload: payload}, p.bus.config.QueueBytes)
	})
}

// enqueue fills the shard's queue and hands it to a sender if it is with none.
func (p *publisher) enqueue(f pubsub.Fence, fill func(*queue)) {
	q := p.queue(f.Shard)
	q.newer(f)
	fill(q)
	schedule := !q.scheduled
	q.scheduled = true
	q.mu.Unlock()
	if schedule {
		p.schedule(q)
	}
}

// queue gives the shard's queue, its lock held.
func (p *publisher) queue(shard world.ShardID) *queue {
	for {
		p.mu.RLock()
		q := p.queues[shard]
		p.mu.RUnlock()
		if q == nil {
			q = p.openQueue(shard)
		}
		q.mu.Lock()
		if !q.removed {
			return q
		}
		q.mu.Unlock()
	}
}

func (p *publisher) openQueue(shard world.ShardID) *queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[shard]
	if q == nil {
		q = p.bus.newQueue(shard)
		q.used = time.Now()
		p.queues[shard] = q
	}
	return q
}

// sweep forgets queues that nothing went through for a while.
func (p *publisher) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for shard, q := range p.queues {
		q.mu.Lock()
		if !q.scheduled && now.Sub(q.used) > queueIdle {
			q.removed = true
			delete(p.queues, shard)
		}
		q.mu.Unlock()
	}
}

// schedule hands a queue to the sender of the node that serves its slot.
func (p *publisher) schedule(q *queue) {
	address := p.bus.nodes.Owner(q.slot)
	p.mu.RLock()
	s := p.senders[address]
	p.mu.RUnlock()
	if s == nil {
		if s = p.openSender(address); s == nil {
			return
		}
	}
	s.add(q)
}

func (p *publisher) openSender(address string) *sender {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	s := p.senders[address]
	if s == nil {
		s = &sender{publisher: p, address: address, wake: make(chan struct{}, 1)}
		p.senders[address] = s
		p.running.Go(func() { s.run(p.bus.ctx) })
	}
	return s
}

func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.running.Wait()
}

// sender sends to one node.
type sender struct {
	publisher *publisher
	address   string
	wake      chan struct{}

	mu    sync.Mutex
	ready []*queue
}

func (s *sender) add(q *queue) {
	s.mu.Lock()
	s.ready = append(s.ready, q)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sender) run(ctx context.Context) {
	var queues []*queue
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		s.mu.Lock()
		queues, s.ready = s.ready, queues[:0]
		s.mu.Unlock()
		failed := s.send(ctx, queues)
		if failed && !s.rest(ctx) {
			return
		}
		for _, q := range queues {
			if q != nil {
				s.publisher.schedule(q)
			}
		}
		clear(queues)
	}
}

// rest waits a while after a failure, and finds out where the slots are now.
func (s *sender) rest(ctx context.Context) bool {
	timer := time.NewTimer(sendAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_ = s.publisher.bus.nodes.Refresh(ctx) // in vain: the next failure asks again
	return true
}

// parcel is what one queue gave, and what became of it.
type parcel struct {
	messages []outgoing
	results  []*goredis.Cmd
	told     map[world.Cell]uint64
}

// send publishes what the queues hold. It sets those that are done with to nil
// and says whether some could not be sent.
func (s *sender) send(ctx context.Context, queues []*queue) (failed bool) {
	parcels := make([]parcel, len(queues))
	client, err := s.publisher.bus.nodes.Client(s.address)
	if err != nil {
		return true
	}
	pipe := client.Pipeline()
	now := time.Now()
	for i, q := range queues {
		parcels[i].told = q.lostNow()
		parcels[i].messages = q.take(now)
		for _, o := range parcels[i].messages {
			parcels[i].results = append(parcels[i].results, pipe.Do(ctx, "SPUBLISH", o.channel, o.payload))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_, _ = pipe.Exec(ctx) // each has its own result
	for i, q := range queues {
		unsent := s.unsent(&parcels[i])
		failed = failed || len(unsent) > 0
		if !q.finish(unsent, parcels[i].told) {
			queues[i] = nil
		}
	}
	return failed
}

// unsent gives the messages that Redis is not known to have taken: they count
// as lost, since sending them again could bring them out of order.
func (s *sender) unsent(p *parcel) []outgoing {
	var unsent []outgoing
	for i, r := range p.results {
		err := r.Err()
		if err == nil {
			continue
		}
		unsent = append(unsent, p.messages[i])
		var reply goredis.Error
		if errors.As(err, &reply) {
			if to, ok := redisnodes.ParseRedirect(reply.Error()); ok && !to.Ask {
				s.publisher.bus.nodes.Moved(to.Slot, to.Address)
			}
		}
	}
	m := s.publisher.bus.metrics
	m.published.Add(float64(len(p.results) - len(unsent)))
	m.failed.Add(float64(len(unsent)))
	return unsent
}

// lostNow copies what is to be told in the next digest.
func (q *queue) lostNow() map[world.Cell]uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lost) == 0 {
		return nil
	}
	return maps.Clone(q.lost)
}
