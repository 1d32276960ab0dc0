package memory

import (
	"fmt"
	"slices"

	"github.com/starling-vr/starling/world"
)

// Capture is a log as it was at some time. Restoring it is what a failover to a
// replica that lagged behind looks like from outside.
type Capture struct {
	shards map[world.ShardID]state
}

// Capture keeps what the log holds now, each shard at one instant.
func (l *Log) Capture() *Capture {
	l.mu.RLock()
	defer l.mu.RUnlock()
	kept := &Capture{shards: make(map[world.ShardID]state, len(l.shards))}
	for id, s := range l.shards {
		s.mu.Lock()
		held := s.state
		s.mu.Unlock()
		held.entries = slices.Clip(held.entries)
		kept.shards[id] = held
	}
	return kept
}

// Restore puts the log back to what it was. It may be called more than once.
func (l *Log) Restore(kept *Capture) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.shards {
		s.mu.Lock()
		s.state = kept.shards[id]
		s.mu.Unlock()
	}
	for id, held := range kept.shards {
		if l.shards[id] == nil {
			l.shards[id] = &shardLog{state: held}
		}
	}
	for id := range l.shards {
		if _, was := kept.shards[id]; !was {
			delete(l.shards, id)
		}
	}
}

// RollBack takes the last batches of a shard away, as a failover does that lost
// the end: the tail goes back with its epoch and claim as they are.
func (l *Log) RollBack(shard world.ShardID, batches int) error {
	l.mu.RLock()
	s := l.shards[shard]
	l.mu.RUnlock()
	if s == nil {
		return fmt.Errorf("roll back: shard %v was never claimed", shard)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	left := len(s.entries) - batches
	if batches < 0 || left < 0 || s.holder.Sequence-uint64(batches) < s.snapshotAt {
		return fmt.Errorf("roll back: shard %v has no %d entries to lose after its snapshot", shard, batches)
	}
	s.entries = slices.Clip(s.entries[:left])
	s.holder.Sequence -= uint64(batches)
	return nil
}
