package redis

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/world"
)

// keys are the names of a shard's data, in one slot by their hash tag.
type keys struct {
	slot                int
	tail, log, snapshot string
}

func (l *Log) keys(shard world.ShardID) keys {
	base := string(l.appendBase(nil, shard))
	return keys{slot: redisnodes.Slot(base), tail: base + "tail", log: base + "log", snapshot: base + "snapshot"}
}

// appendBase gives what the names of a shard's keys start with.
func (l *Log) appendBase(to []byte, shard world.ShardID) []byte {
	to = append(to, l.config.Prefix...)
	to = append(to, ":{"...)
	to = shard.Append(to)
	return append(to, "}:"...)
}

// shardOf reads the shard out of the name of its tail.
func (l *Log) shardOf(key string) (world.ShardID, bool) {
	text, ok := strings.CutPrefix(key, l.config.Prefix+":{")
	if !ok {
		return world.ShardID{}, false
	}
	if text, ok = strings.CutSuffix(text, "}:tail"); !ok {
		return world.ShardID{}, false
	}
	shard, err := world.ParseShardID(text)
	return shard, err == nil
}

// appendFence gives "EPOCH CLAIM ", with which a tail starts.
func appendFence(to []byte, t world.Tail) []byte {
	to = strconv.AppendUint(to, uint64(t.Epoch), 10)
	to = append(to, ' ')
	to = strconv.AppendUint(to, t.Claim, 10)
	return append(to, ' ')
}

// appendTail gives "EPOCH CLAIM SEQUENCE ", to which the owner is added.
func appendTail(to []byte, t world.Tail) []byte {
	to = appendFence(to, t)
	to = strconv.AppendUint(to, t.Sequence, 10)
	return append(to, ' ')
}

// parseHolder reads a tail; "" is that of a shard never claimed.
func parseHolder(text string) (h world.Holder, err error) {
	if text == "" {
		return h, nil
	}
	parts := strings.SplitN(text, " ", 4)
	if len(parts) != 4 {
		return h, fmt.Errorf("tail %q: want epoch, claim, sequence and owner", text)
	}
	epoch, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil {
		return h, fmt.Errorf("tail %q: epoch: %w", text, err)
	}
	h.Epoch = uint32(epoch)
	if h.Claim, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return h, fmt.Errorf("tail %q: claim: %w", text, err)
	}
	if h.Sequence, err = strconv.ParseUint(parts[2], 10, 64); err != nil {
		return h, fmt.Errorf("tail %q: sequence: %w", text, err)
	}
	h.Owner = parts[3]
	return h, nil
}

// parseEntry reads the id of an entry, SEQUENCE-EPOCH.
func parseEntry(id string) (e world.Entry, err error) {
	sequence, epoch, ok := strings.Cut(id, "-")
	if !ok {
		return e, fmt.Errorf("entry id %q: want sequence-epoch", id)
	}
	if e.Sequence, err = strconv.ParseUint(sequence, 10, 64); err != nil {
		return e, fmt.Errorf("entry id %q: %w", id, err)
	}
	n, err := strconv.ParseUint(epoch, 10, 32)
	if err != nil {
		return e, fmt.Errorf("entry id %q: %w", id, err)
	}
	e.Epoch = uint32(n)
	return e, nil
}
