// Package memory is a world.Log in the memory of the process: for tests, and
// for worlds that may be forgotten. Its one durability level is
// world.DurabilityMemory: all is lost when the process ends.
package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/starling-vr/starling/world"
)

// Log is a world.Log. The zero value is not usable: see New.
type Log struct {
	mu     sync.RWMutex // guards shards and closed; never held while a shard's is awaited
	shards map[world.ShardID]*shardLog
	closed bool
}

var _ world.Appender = (*Log)(nil)

type shardLog struct {
	mu sync.Mutex
	state
}

// state is what is kept of a shard. Entries, once written, are never changed,
// so that a copy of the struct with a clipped slice is a copy of the log.
type state struct {
	holder     world.Holder
	dropped    uint64        // entries up to here are gone
	entries    []world.Entry // dropped+1 .. holder.Sequence
	snapshotAt uint64
	snapshot   []byte
}

// New gives an empty log.
func New() *Log {
	return &Log{shards: make(map[world.ShardID]*shardLog)}
}

// Claim implements world.Log.
func (l *Log) Claim(ctx context.Context, shard world.ShardID, owner string, claim uint64, atLeast uint32) (world.Tail, error) {
	if owner == "" {
		return world.Tail{}, errors.New("claim: the owner's name is empty")
	}
	s, err := l.open(ctx, shard, true)
	if err != nil {
		return world.Tail{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	epoch := max(s.holder.Epoch, atLeast)
	if epoch == math.MaxUint32 {
		return world.Tail{}, fmt.Errorf("claim of shard %v: no epoch is left above %d", shard, epoch)
	}
	s.holder.Epoch, s.holder.Claim, s.holder.Owner = epoch+1, claim, owner
	return s.holder.Tail, nil
}

// Append implements world.Log.
func (l *Log) Append(ctx context.Context, shard world.ShardID, expect world.Tail, batch []byte) (world.Tail, error) {
	s, err := l.open(ctx, shard, false)
	if err != nil {
		return world.Tail{}, err
	}
	if s == nil {
		return world.Tail{}, &world.ForeignTailError{Shard: shard, Expect: expect}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder.Tail != expect || s.holder.Owner == "" {
		return world.Tail{}, &world.ForeignTailError{Shard: shard, Expect: expect, Found: s.holder}
	}
	s.holder.Sequence++
	s.entries = append(s.entries, world.Entry{
		Epoch: s.holder.Epoch, Sequence: s.holder.Sequence, Data: slices.Clone(batch),
	})
	return s.holder.Tail, nil
}

// Submit implements world.Appender: it is done when it returns.
func (l *Log) Submit(a *world.Append) {
	if a.Sealed(true) != world.Sealed {
		return
	}
	_, err := l.Append(context.Background(), a.Shard, a.Expect, a.Batch)
	a.End(err)
}

// Tail implements world.Log.
func (l *Log) Tail(ctx context.Context, shard world.ShardID) (world.Holder, error) {
	s, err := l.open(ctx, shard, false)
	if s == nil || err != nil {
		return world.Holder{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holder, nil
}

// Read implements world.Log.
func (l *Log) Read(ctx context.Context, shard world.ShardID, from uint64, limit int) ([]world.Entry, error) {
	s, err := l.open(ctx, shard, false)
	if s == nil || err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from = max(from, 1)
	if from <= s.dropped {
		return nil, fmt.Errorf("shard %v from %d: %w", shard, from, world.ErrTruncated)
	}
	skip := from - s.dropped - 1
	if skip >= uint64(len(s.entries)) || limit <= 0 {
		return nil, nil
	}
	found := s.entries[skip:]
	found = slices.Clone(found[:min(limit, len(found))])
	for i := range found {
		found[i].Data = slices.Clone(found[i].Data)
	}
	return found, nil
}

// WriteSnapshot implements world.Log.
func (l *Log) WriteSnapshot(ctx context.Context, shard world.ShardID, expect world.Tail, at uint64, data []byte, keep uint64) error {
	if keep > at {
		return fmt.Errorf("snapshot of shard %v at %d: entries up to %d would be lost", shard, at, keep)
	}
	s, err := l.open(ctx, shard, false)
	if err != nil {
		return err
	}
	if s == nil {
		return &world.ForeignTailError{Shard: shard, Expect: expect}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch held := s.holder; {
	case held.Epoch != expect.Epoch || held.Claim != expect.Claim || held.Owner == "":
		return &world.ForeignTailError{Shard: shard, Expect: expect, Found: held}
	case at > held.Sequence:
		return &world.ForeignTailError{Shard: shard, Expect: expect, Found: held}
	case at < s.snapshotAt:
		return fmt.Errorf("snapshot of shard %v at %d: there is a newer one at %d", shard, at, s.snapshotAt)
	}
	s.snapshotAt, s.snapshot = at, slices.Clone(data)
	if keep > s.dropped {
		// A new slice, so that what was dropped leaves memory.
		s.entries = slices.Clone(s.entries[keep-s.dropped:])
		s.dropped = keep
	}
	return nil
}

// Snapshot implements world.Log.
func (l *Log) Snapshot(ctx context.Context, shard world.ShardID) (at uint64, data []byte, err error) {
	s, err := l.open(ctx, shard, false)
	if s == nil || err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshotAt, slices.Clone(s.snapshot), nil
}

// Release implements world.Log.
func (l *Log) Release(ctx context.Context, shard world.ShardID, expect world.Tail) error {
	s, err := l.open(ctx, shard, false)
	if err != nil {
		return err
	}
	if s == nil {
		return &world.ForeignTailError{Shard: shard, Expect: expect}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder.Tail != expect {
		return &world.ForeignTailError{Shard: shard, Expect: expect, Found: s.holder}
	}
	s.holder.Owner = ""
	return nil
}

// Shards implements world.Log.
func (l *Log) Shards(ctx context.Context, each func(world.ShardID) error) error {
	if _, err := l.open(ctx, world.ShardID{}, false); err != nil {
		return err
	}
	l.mu.RLock()
	shards := make([]world.ShardID, 0, len(l.shards))
	for shard := range l.shards {
		shards = append(shards, shard)
	}
	l.mu.RUnlock()
	for _, shard := range shards {
		if err := ctx.Err(); err != nil {
			return unavailable(err)
		}
		if err := each(shard); err != nil {
			return err
		}
	}
	return nil
}

// Durability implements world.Log.
func (l *Log) Durability() world.Durability { return world.DurabilityMemory }

// Close implements world.Log. What was written is forgotten.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.shards = nil
	return nil
}

// open finds a shard's log; without create, nil for one never claimed.
func (l *Log) open(ctx context.Context, shard world.ShardID, create bool) (*shardLog, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	l.mu.RLock()
	s, closed := l.shards[shard], l.closed
	l.mu.RUnlock()
	if closed {
		return nil, unavailable(errors.New("the log is closed"))
	}
	if s != nil || !create {
		return s, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, unavailable(errors.New("the log is closed"))
	}
	if s = l.shards[shard]; s == nil {
		s = &shardLog{}
		l.shards[shard] = s
	}
	return s, nil
}

func unavailable(why error) error {
	return fmt.Errorf("%w: %w", world.ErrUnavailable, why)
}
