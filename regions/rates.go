package regions

import (
	"sync"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/world"
)

// rates are what the shards here did in the last second.
type rates struct {
	mu     sync.Mutex
	at     time.Time
	shards map[world.ShardID]rate
}

type rate struct {
	actions, misses   uint64 // counted at the last look
	perSecond, missed float64
}

// take looks at the counters.
func (r *rates) take(shards []actions.ShardStatus, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seconds := now.Sub(r.at).Seconds()
	next := make(map[world.ShardID]rate, len(shards))
	for i := range shards {
		s := &shards[i]
		one := rate{actions: s.Actions, misses: s.Misses}
		if last, known := r.shards[s.Shard]; known && seconds > 0 && s.Actions >= last.actions && s.Misses >= last.misses {
			one.perSecond = float64(s.Actions-last.actions) / seconds
			one.missed = float64(s.Misses-last.misses) / seconds
		}
		next[s.Shard] = one
	}
	r.at, r.shards = now, next
}

func (r *rates) of(shard world.ShardID) rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shards[shard]
}

// measure looks at the shards each second, and tells the directory how busy the
// process is.
func (n *Node) measure() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case now := <-tick.C:
			n.member.Load().SetLoad(n.load(now))
		}
	}
}

func (n *Node) load(now time.Time) directory.Load {
	var load directory.Load
	if n.parts.Connections != nil {
		load.Connections = n.parts.Connections()
	}
	if n.parts.Shards == nil {
		return load
	}
	shards := n.parts.Shards()
	n.rates.take(shards, now)
	load.Shards = len(shards)
	for i := range shards {
		load.Sessions += shards[i].Participants
		load.ActionsPerSecond += n.rates.of(shards[i].Shard).perSecond
	}
	return load
}

// ownShards is what operators are told of the shards here.
func (n *Node) ownShards() []*clusterv1.ShardStatus {
	if n.parts.Shards == nil {
		return nil
	}
	var list []*clusterv1.ShardStatus
	for _, s := range n.parts.Shards() {
		r := n.rates.of(s.Shard)
		status := &clusterv1.ShardStatus{
			Shard: world.ShardMessage(s.Shard), Owner: n.id, State: s.State, Epoch: s.Epoch, Sequence: s.Sequence,
			Sessions: uint32(s.Participants), Entities: uint32(s.Entities), Actions: s.Actions, Misses: s.Misses,
			ActionsPerSecond: r.perSecond, MissesPerSecond: r.missed,
		}
		if should := n.Owner(s.Shard); should != n.id {
			status.ShouldBe = should
		}
		list = append(list, status)
	}
	return list
}
