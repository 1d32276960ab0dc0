package regions

import (
	"sync"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// releases are the requests to other owners to hand a shard over.
type releases struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*release
	closed  bool
}

type release struct {
	holder string
	done   func(bool)
	late   *time.Timer
}

// RequestRelease implements actions.Assignment.
func (n *Node) RequestRelease(holder string, shard world.ShardID, done func(released bool)) {
	link, local := n.reach(holder)
	if local {
		n.parts.Owner.Release(shard, func() { done(true) })
		return
	}
	if link == nil {
		done(false)
		return
	}
	request, ok := n.releases.add(holder, n.options.ReleaseTime, done)
	if !ok {
		done(false)
		return
	}
	if link.Send(peer.KindRelease, &clusterv1.ReleaseShard{Request: request, Shard: world.ShardMessage(shard), To: n.id}) != nil {
		n.releases.reply(holder, request, false)
	}
}

func (t *releases) add(holder string, bound time.Duration, done func(bool)) (request uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, false
	}
	if t.waiting == nil {
		t.waiting = map[uint64]*release{}
	}
	t.last++
	request = t.last
	t.waiting[request] = &release{holder: holder, done: done, late: time.AfterFunc(bound, func() { t.reply(holder, request, false) })}
	return request, true
}

func (t *releases) reply(holder string, request uint64, released bool) {
	t.mu.Lock()
	r := t.waiting[request]
	if r == nil || r.holder != holder {
		t.mu.Unlock()
		return
	}
	delete(t.waiting, request)
	t.mu.Unlock()
	r.late.Stop()
	r.done(released)
}

// failHolder answers what a process was asked whose stream broke.
func (t *releases) failHolder(holder string) {
	for _, request := range t.of(func(r *release) bool { return r.holder == holder }) {
		t.reply(holder, request, false)
	}
}

func (t *releases) failAll() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, request := range t.of(func(*release) bool { return true }) {
		t.mu.Lock()
		r := t.waiting[request]
		t.mu.Unlock()
		if r != nil {
			t.reply(r.holder, request, false)
		}
	}
}

func (t *releases) of(matches func(*release) bool) (requests []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for request, r := range t.waiting {
		if matches(r) {
			requests = append(requests, request)
		}
	}
	return requests
}

// releaseFor hands a shard over because another owner asks for it. It is done
// only if the shard should not be here by this process's own view too:
// otherwise the two would take it from each other until their views agree.
func (n *Node) releaseFor(r *remote, m *clusterv1.ReleaseShard) {
	shard := world.ShardOf(m.GetShard())
	if n.parts.Owner == nil || n.Owner(shard) == n.id {
		n.look() // the one that asks sees it otherwise
		r.must(peer.KindReleaseReply, &clusterv1.ReleaseReply{Request: m.GetRequest(), Released: n.parts.Owner == nil})
		return
	}
	n.parts.Owner.Release(shard, func() {
		r.must(peer.KindReleaseReply, &clusterv1.ReleaseReply{Request: m.GetRequest(), Released: true})
		n.moved(shard, m.GetTo())
	})
}

// moved tells the gateways that a shard which was served here is another's now:
// those who only watch would notice late.
func (n *Node) moved(shard world.ShardID, to string) {
	if to == "" || to == n.id {
		return
	}
	n.metrics.moves.Inc()
	n.router.follow(shard, to)
	v := n.View()
	if v == nil {
		return
	}
	for i := range v.Nodes {
		if m := &v.Nodes[i]; m.ID != n.id && m.Has(directory.RoleGateway) {
			if link := n.mesh.Link(m.ID); link != nil {
				_ = link.Send(peer.KindNotMine, &clusterv1.NotMine{Shard: world.ShardMessage(shard), Later: true, Owner: to})
			}
		}
	}
}
