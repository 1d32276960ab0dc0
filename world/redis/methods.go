package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/starling-vr/starling/world"
)

// Claim implements world.Log.
func (l *Log) Claim(ctx context.Context, shard world.ShardID, owner string, claim uint64, atLeast uint32) (world.Tail, error) {
	if owner == "" {
		return world.Tail{}, errors.New("claim: the owner's name is empty")
	}
	if owner[len(owner)-1] == ' ' {
		return world.Tail{}, fmt.Errorf("claim: the owner's name %q ends in a space", owner)
	}
	k := l.keys(shard)
	reply, _, err := l.call(ctx, command{slot: k.slot, committed: true, args: []any{
		"FCALL", "starling_log_1_claim", 1, k.tail, strconv.FormatUint(claim, 10), atLeast, owner}})
	if err != nil {
		return world.Tail{}, describe(err, "claim", shard)
	}
	h, err := holderOf(reply)
	return h.Tail, err
}

// Tail implements world.Log.
func (l *Log) Tail(ctx context.Context, shard world.ShardID) (world.Holder, error) {
	k := l.keys(shard)
	args := []any{"GET", k.tail}
	if l.config.Durability == world.DurabilityReplicated {
		args = []any{"FCALL", "starling_log_1_tail", 1, k.tail}
	}
	reply, _, err := l.call(ctx, command{slot: k.slot, args: args, committed: true})
	if err != nil {
		return world.Holder{}, describe(err, "tail", shard)
	}
	return holderOf(reply)
}

// Release implements world.Log.
func (l *Log) Release(ctx context.Context, shard world.ShardID, expect world.Tail) error {
	k := l.keys(shard)
	reply, _, err := l.call(ctx, command{slot: k.slot, committed: true, args: []any{
		"FCALL", "starling_log_1_release", 1, k.tail, appendTail(nil, expect)}})
	if err != nil {
		return describe(err, "release", shard)
	}
	return done(reply, shard, expect)
}

// WriteSnapshot implements world.Log. Redis swaps the new snapshot in as a
// whole, and drops the entries in the same step.
func (l *Log) WriteSnapshot(ctx context.Context, shard world.ShardID, expect world.Tail, at uint64, data []byte, keep uint64) error {
	if keep > at {
		return fmt.Errorf("snapshot of shard %v at %d: entries up to %d would be lost", shard, at, keep)
	}
	k := l.keys(shard)
	reply, _, err := l.call(ctx, command{slot: k.slot, committed: true, args: []any{
		"FCALL", "starling_log_1_snapshot", 3, k.tail, k.log, k.snapshot,
		appendFence(nil, expect), at, nonNil(data), keep + 1}})
	if err != nil {
		return describe(err, "snapshot", shard)
	}
	return done(reply, shard, expect)
}

// Snapshot implements world.Log.
func (l *Log) Snapshot(ctx context.Context, shard world.ShardID) (at uint64, data []byte, err error) {
	k := l.keys(shard)
	reply, _, err := l.call(ctx, command{slot: k.slot, args: []any{"HMGET", k.snapshot, "at", "data"}})
	if err != nil {
		return 0, nil, describe(err, "read snapshot", shard)
	}
	fields, ok := reply.([]any)
	if !ok || len(fields) != 2 {
		return 0, nil, fmt.Errorf("snapshot of shard %v: unexpected reply %v", shard, reply)
	}
	if fields[0] == nil {
		return 0, nil, nil
	}
	at, err = strconv.ParseUint(fields[0].(string), 10, 64)
	if err != nil {
		return 0, nil, fmt.Errorf("snapshot of shard %v: %w", shard, err)
	}
	return at, []byte(fields[1].(string)), nil
}

// Read implements world.Log.
func (l *Log) Read(ctx context.Context, shard world.ShardID, from uint64, limit int) ([]world.Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	from = max(from, 1)
	k := l.keys(shard)
	// The tail comes first: what it counts is in the stream, or was dropped.
	tail, entries, err := l.call(ctx, command{slot: k.slot, args: []any{"GET", k.tail},
		then: []any{"XRANGE", k.log, strconv.FormatUint(from, 10) + "-0", "+", "COUNT", limit}})
	if err != nil {
		return nil, describe(err, "read", shard)
	}
	holder, err := holderOf(tail)
	if err != nil {
		return nil, err
	}
	found, err := entriesOf(entries)
	if err != nil {
		return nil, fmt.Errorf("shard %v: %w", shard, err)
	}
	if len(found) > 0 && found[0].Sequence > from || len(found) == 0 && from <= holder.Sequence {
		return nil, fmt.Errorf("shard %v from %d: %w", shard, from, world.ErrTruncated)
	}
	return found, nil
}

func entriesOf(reply any) ([]world.Entry, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("unexpected entries %v", reply)
	}
	entries := make([]world.Entry, 0, len(list))
	for _, item := range list {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("unexpected entry %v", item)
		}
		id, _ := pair[0].(string)
		fields, _ := pair[1].([]any)
		if len(fields) != 2 {
			return nil, fmt.Errorf("entry %q has %d fields, want 2", id, len(fields))
		}
		entry, err := parseEntry(id)
		if err != nil {
			return nil, err
		}
		data, _ := fields[1].(string)
		entry.Data = []byte(data)
		entries = append(entries, entry)
	}
	return entries, nil
}

// Shards implements world.Log. It goes through all keys of Redis.
func (l *Log) Shards(ctx context.Context, each func(world.ShardID) error) error {
	seen := make(map[world.ShardID]struct{})
	for _, address := range l.nodes.Masters() {
		var cursor uint64
		for {
			keys, next, err := l.scan(ctx, address, cursor)
			if err != nil {
				return err
			}
			for _, key := range keys {
				shard, ok := l.shardOf(key)
				if _, known := seen[shard]; !ok || known {
					continue
				}
				seen[shard] = struct{}{}
				if err := each(shard); err != nil {
					return err
				}
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
}

func (l *Log) scan(ctx context.Context, address string, cursor uint64) ([]string, uint64, error) {
	if err := l.enter(); err != nil {
		return nil, 0, err
	}
	defer l.running.Done()
	if err := ctx.Err(); err != nil {
		return nil, 0, unavailable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	client, err := l.nodes.Client(address)
	if err != nil {
		return nil, 0, unavailable(err)
	}
	keys, next, err := client.Scan(ctx, cursor, l.config.Prefix+":{*}:tail", 1000).Result()
	if err != nil {
		return nil, 0, unavailable(err)
	}
	return keys, next, nil
}

// done reads the answer of a function that changes: 1, or the tail found.
func done(reply any, shard world.ShardID, expect world.Tail) error {
	if reply == int64(1) {
		return nil
	}
	found, err := holderOf(reply)
	if err != nil {
		return fmt.Errorf("shard %v: %w", shard, err)
	}
	return &world.ForeignTailError{Shard: shard, Expect: expect, Found: found}
}

func holderOf(reply any) (world.Holder, error) {
	switch text := reply.(type) {
	case nil:
		return world.Holder{}, nil
	case string:
		return parseHolder(text)
	}
	return world.Holder{}, fmt.Errorf("unexpected tail %v", reply)
}

func describe(err error, what string, shard world.ShardID) error {
	return fmt.Errorf("%s of shard %v: %w", what, shard, err)
}

// nonNil: go-redis writes nil bytes as an empty string, but says so nowhere.
func nonNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
