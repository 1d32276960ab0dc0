package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// requests matches answers of owners to what was asked of them. Numbers have a
// low byte of 0; the hubs' have not.
type requests struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*request
}

// request is a Control that was asked of a shard's owner.
type request struct {
	number uint64
	shard  world.ShardID
	answer chan *clusterv1.ControlReply // nil is sent for NotMine
	again  chan struct{}                // the shard may have another owner, or the way to it is open again
}

func (r *requests) open(shard world.ShardID) *request {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	q := &request{number: r.last << 8, shard: shard, answer: make(chan *clusterv1.ControlReply, 1), again: make(chan struct{}, 1)}
	if r.waiting == nil {
		r.waiting = make(map[uint64]*request)
	}
	r.waiting[q.number] = q
	return q
}

func (r *requests) close(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, number)
}

// answer hands an answer in; nil says that the owner is not there now.
func (r *requests) answer(number uint64, reply *clusterv1.ControlReply) {
	r.mu.Lock()
	q := r.waiting[number]
	if q != nil {
		select {
		case q.answer <- reply:
		default: // answered already
		}
	}
	r.mu.Unlock()
}

// routesChanged has what was asked of the shards that affected names asked
// again at once.
func (r *requests) routesChanged(affected func(world.ShardID) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.waiting {
		if affected(q.shard) {
			select {
			case q.again <- struct{}{}:
			default:
			}
		}
	}
}

// errUnreachable: no owner answered within the time.
var errUnreachable = errors.New("the world cannot be reached now")

const (
	askAgain    = time.Second // after which an unanswered Control is sent again
	firstPause  = 10 * time.Millisecond
	longPause   = 250 * time.Millisecond
	maxForwards = 16
)

// ask sends a Control to a shard until it is answered, following sessions that
// moved: after pauses, and at once when the way to the shard changes. Asking
// twice is harmless.
func (g *Gateway) ask(ctx context.Context, shard world.ShardID, fill func(*clusterv1.Control)) (*clusterv1.ControlReply, world.ShardID, error) {
	pause, forwards := firstPause, 0
	for {
		q := g.requests.open(shard)
		control := &clusterv1.Control{Request: q.number, Shard: world.ShardMessage(shard)}
		fill(control)
		g.router.Control(g.edge, control)
		reply, changed := q.await(ctx, askAgain)
		switch {
		case reply == nil:
		case reply.MovedTo != nil && forwards < maxForwards:
			g.requests.close(q.number)
			shard = world.ShardOf(reply.MovedTo)
			forwards++
			continue
		case !isRetryable(reply.Code):
			g.requests.close(q.number)
			return reply, shard, nil
		}
		if !changed {
			changed = q.pause(ctx, pause)
			pause = min(2*pause, longPause)
		}
		g.requests.close(q.number)
		if ctx.Err() != nil {
			return nil, shard, errUnreachable
		}
		if changed {
			pause = firstPause
		}
	}
}

// await waits for the answer; nil if there is none in time or none to use.
// changed says that the way to the shard did meanwhile.
func (q *request) await(ctx context.Context, bound time.Duration) (reply *clusterv1.ControlReply, changed bool) {
	late := time.NewTimer(bound)
	defer late.Stop()
	select {
	case reply = <-q.answer:
	case <-q.again:
		changed = true
	case <-late.C:
	case <-ctx.Done():
	}
	return reply, changed
}

// pause waits, not longer than until the way to the shard changes.
func (q *request) pause(ctx context.Context, d time.Duration) (changed bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.again:
		changed = true
	case <-ctx.Done():
	}
	return changed
}
