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
	waiting map[uint64]chan *clusterv1.ControlReply // nil is sent for NotMine
}

func (r *requests) open() (uint64, chan *clusterv1.ControlReply) {
	answer := make(chan *clusterv1.ControlReply, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	number := r.last << 8
	if r.waiting == nil {
		r.waiting = make(map[uint64]chan *clusterv1.ControlReply)
	}
	r.waiting[number] = answer
	return number, answer
}

func (r *requests) close(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, number)
}

// answer hands an answer in; nil says that the owner is not there now.
func (r *requests) answer(number uint64, reply *clusterv1.ControlReply) {
	r.mu.Lock()
	waiting := r.waiting[number]
	delete(r.waiting, number)
	r.mu.Unlock()
	if waiting != nil {
		waiting <- reply
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
// moved. Asking twice is harmless.
func (g *Gateway) ask(ctx context.Context, shard world.ShardID, fill func(*clusterv1.Control)) (*clusterv1.ControlReply, world.ShardID, error) {
	pause, forwards := firstPause, 0
	for {
		number, answer := g.requests.open()
		control := &clusterv1.Control{Request: number, Shard: shardMessage(shard)}
		fill(control)
		g.router.Control(g.edge, control)
		again := time.NewTimer(askAgain)
		var reply *clusterv1.ControlReply
		select {
		case reply = <-answer:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
		g.requests.close(number)
		switch {
		case reply == nil:
		case reply.MovedTo != nil && forwards < maxForwards:
			shard = shardOf(reply.MovedTo)
			forwards++
			continue
		case !isRetryable(reply.Code):
			return reply, shard, nil
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, longPause)
		case <-ctx.Done():
			return nil, shard, errUnreachable
		}
	}
}
