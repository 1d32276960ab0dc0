package redis

import (
	"context"
	"strconv"

	"github.com/starling-vr/starling/world"
)

// Append implements world.Log.
func (l *Log) Append(ctx context.Context, shard world.ShardID, expect world.Tail, batch []byte) (world.Tail, error) {
	then := expect
	then.Sequence++
	k := l.keys(shard)
	reply, _, err := l.call(ctx, command{slot: k.slot, committed: true, args: []any{
		"FCALL", "starling_log_1_append", 2, k.tail, k.log,
		appendTail(nil, expect), appendTail(nil, then), entryID(then), nonNil(batch)}})
	if err != nil {
		return world.Tail{}, describe(err, "append", shard)
	}
	if err := done(reply, shard, expect); err != nil {
		return world.Tail{}, err
	}
	return then, nil
}

func entryID(t world.Tail) []byte { return appendEntryID(nil, t) }

// appendEntryID gives SEQUENCE-EPOCH.
func appendEntryID(to []byte, t world.Tail) []byte {
	to = strconv.AppendUint(to, t.Sequence, 10)
	to = append(to, '-')
	return strconv.AppendUint(to, uint64(t.Epoch), 10)
}
