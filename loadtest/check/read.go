package check

import (
	"context"
	"errors"
	"fmt"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

const readAtOnce = 1000 // entries

// ReadShards reads all logs of a store: from the start where entries were kept,
// from the newest snapshot where not.
func ReadShards(ctx context.Context, log world.Log) ([]Shard, error) {
	var ids []world.ShardID
	err := log.Shards(ctx, func(id world.ShardID) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	shards := make([]Shard, 0, len(ids))
	for _, id := range ids {
		shard, err := readShard(ctx, log, id)
		if err != nil {
			return nil, fmt.Errorf("shard %v: %w", id, err)
		}
		shards = append(shards, shard)
	}
	return shards, nil
}

func readShard(ctx context.Context, log world.Log, id world.ShardID) (Shard, error) {
	shard := Shard{ID: id}
	err := readEntries(ctx, log, &shard)
	if !errors.Is(err, world.ErrTruncated) {
		return shard, err
	}
	at, data, err := log.Snapshot(ctx, id)
	if err != nil {
		return shard, err
	}
	shard = Shard{ID: id, At: at, Snapshot: new(clusterv1.Snapshot)}
	if err := shard.Snapshot.UnmarshalVT(data); err != nil {
		return shard, fmt.Errorf("snapshot at %d: %w", at, err)
	}
	return shard, readEntries(ctx, log, &shard)
}

func readEntries(ctx context.Context, log world.Log, shard *Shard) error {
	for next := shard.At + 1; ; {
		entries, err := log.Read(ctx, shard.ID, next, readAtOnce)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return nil
		}
		for _, e := range entries {
			batch := new(clusterv1.Batch)
			if err := batch.UnmarshalVT(e.Data); err != nil {
				return fmt.Errorf("entry %d: %w", e.Sequence, err)
			}
			shard.Entries = append(shard.Entries, Entry{e.Epoch, e.Sequence, batch})
			next = e.Sequence + 1
		}
	}
}
