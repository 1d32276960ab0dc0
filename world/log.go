package world

import (
	"context"
	"errors"
	"fmt"
)

// Tail is the end of a shard's log: who wrote there last, and how far.
type Tail struct {
	Epoch    uint32 // grows with each claim; 0: never claimed
	Claim    uint64 // random for each claim, so that an epoch issued twice never makes two owners equal
	Sequence uint64 // number of the last batch, counted through all epochs; 0: none
}

// Entry is one batch of a log.
type Entry struct {
	Epoch    uint32
	Sequence uint64
	Data     []byte
}

// Holder says who holds a shard.
type Holder struct {
	Tail
	Owner string // node id given to Claim; "" after Release
}

// Log keeps one log per shard: the store's whole interface. All methods may be
// called from many goroutines, for many shards. No method retries by itself: a
// lost reply is for the caller to find out about through Tail.
//
// Errors are a *ForeignTailError where the tail is not what the caller says;
// ErrUnavailable (wrapped) when the store cannot be reached or did not answer
// in time: then whether the call took effect is unknown.
type Log interface {
	// Claim makes owner the only writer. The new epoch is one above the
	// larger of the store's and atLeast; the claim id is claim. The sequence
	// stays. It succeeds over any earlier claim: who may claim when is for the
	// leases to say, that only one can write is for the tail to say.
	Claim(ctx context.Context, shard ShardID, owner string, claim uint64, atLeast uint32) (Tail, error)

	// Append writes batch as sequence expect.Sequence+1 if the tail is exactly
	// expect and somebody holds the shard (a shard that was never claimed or is
	// released takes none), and returns when it is committed at the configured
	// durability. batch is not kept after the return.
	Append(ctx context.Context, shard ShardID, expect Tail, batch []byte) (Tail, error)

	// Tail reads who holds the shard and how far it is. A shard never claimed
	// has the zero Holder.
	Tail(ctx context.Context, shard ShardID) (Holder, error)

	// Read gives up to limit entries with sequence >= from, in order, without
	// gaps; none past the tail. Entries that a snapshot dropped: ErrTruncated.
	Read(ctx context.Context, shard ShardID, from uint64, limit int) ([]Entry, error)

	// WriteSnapshot keeps data as the state at sequence at, if the shard is held
	// and the tail still has expect's epoch and claim (its sequence may have
	// moved on). Entries up to keep are then dropped (keep <= at; 0 keeps all).
	// The snapshot before stays readable until the new one is whole. Writing it
	// again is harmless; one that is older than the one there, or ahead of the
	// tail, is refused.
	WriteSnapshot(ctx context.Context, shard ShardID, expect Tail, at uint64, data []byte, keep uint64) error

	// Snapshot reads the newest snapshot; at 0 and nil data when there is none.
	Snapshot(ctx context.Context, shard ShardID) (at uint64, data []byte, err error)

	// Release clears the owner if the tail is exactly expect, so that the next
	// one need not wait for a lease to lapse. Doing it again is harmless.
	Release(ctx context.Context, shard ShardID, expect Tail) error

	// Shards calls each with every shard that was ever claimed.
	Shards(ctx context.Context, each func(ShardID) error) error

	// Durability is what "committed" means here.
	Durability() Durability

	// Close waits for what is under way; calls after it are unavailable.
	Close() error
}

// Durability is what a commit survives.
type Durability string

const (
	// DurabilityMemory: lost with the store.
	DurabilityMemory Durability = "memory"
	// DurabilityDisk: on disk before it is told (Redis: AOF always; embedded: group fsync).
	DurabilityDisk Durability = "disk"
	// DurabilityReplicated: on one replica before it is told (Redis: WAIT checked).
	DurabilityReplicated Durability = "replicated"
)

// ParseDurability reads a durability level.
func ParseDurability(text string) (Durability, error) {
	switch d := Durability(text); d {
	case DurabilityMemory, DurabilityDisk, DurabilityReplicated:
		return d, nil
	}
	return "", fmt.Errorf("durability %q: want memory, disk or replicated", text)
}

// ErrTruncated: the entries asked for are covered by a snapshot.
var ErrTruncated = errors.New("entries before the snapshot are gone: start from the snapshot")

// ErrUnavailable: the store did not answer; whether the call took effect is unknown.
var ErrUnavailable = errors.New("store unavailable")

// ForeignTailError: the tail is not what the caller last wrote.
type ForeignTailError struct {
	Shard  ShardID
	Expect Tail
	Found  Holder
}

func (e *ForeignTailError) Error() string {
	return fmt.Sprintf("shard %v: tail is %d/%x/%d, not %d/%x/%d", e.Shard,
		e.Found.Epoch, e.Found.Claim, e.Found.Sequence, e.Expect.Epoch, e.Expect.Claim, e.Expect.Sequence)
}

// Behind says whether the store lost the end of what the same owner wrote: the
// owner may then claim again and append its kept batches from there.
func (e *ForeignTailError) Behind() bool {
	return e.Found.Epoch == e.Expect.Epoch && e.Found.Claim == e.Expect.Claim && e.Found.Sequence < e.Expect.Sequence ||
		e.Found.Epoch < e.Expect.Epoch
}
