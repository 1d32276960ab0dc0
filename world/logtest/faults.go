package logtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/starling-vr/starling/world"
)

func lostReplies(t *testing.T, s Store) {
	link := NewFaulty(s.Log)
	o := claim(t, link, mapShard, "owner")
	o.append(t, "one")

	for _, c := range []struct {
		fault    Fault
		happened bool
	}{{LoseCall, false}, {LoseReply, true}} {
		link.Next(Append, c.fault)
		batch := fmt.Sprintf("after fault %d", c.fault)
		if _, err := link.Append(t.Context(), mapShard, o.tail, []byte(batch)); !errors.Is(err, world.ErrUnavailable) {
			t.Fatalf("append: %v, want ErrUnavailable", err)
		}
		holder, err := link.Tail(t.Context(), mapShard)
		if err != nil {
			t.Fatal(err)
		}
		next := o.tail
		next.Sequence++
		switch holder.Tail {
		case next:
			if !c.happened {
				t.Error("a lost call took effect")
			}
			// Appending again would be wrong, and is refused.
			_, err := link.Append(t.Context(), mapShard, o.tail, []byte(batch))
			if wantForeign(t, err, o.tail, holder).Behind() {
				t.Error("the store is ahead, not behind")
			}
			o.tail = next
		case o.tail:
			if c.happened {
				t.Error("the reply was lost, and the batch with it")
			}
			o.append(t, batch)
		default:
			t.Fatalf("tail %+v", holder.Tail)
		}
	}
	wantEntries(t, link, mapShard, 1, "one", "after fault 1", "after fault 2")

	link.Next(Claim, LoseReply)
	mine := rand.Uint64()
	if _, err := link.Claim(t.Context(), mapShard, "claimer", mine, 0); !errors.Is(err, world.ErrUnavailable) {
		t.Fatalf("claim: %v, want ErrUnavailable", err)
	}
	want := world.Tail{Epoch: o.tail.Epoch + 1, Claim: mine, Sequence: 3}
	wantHolder(t, link, mapShard, world.Holder{Tail: want, Owner: "claimer"})

	link.Next(Release, LoseReply)
	if err := link.Release(t.Context(), mapShard, want); !errors.Is(err, world.ErrUnavailable) {
		t.Fatalf("release: %v, want ErrUnavailable", err)
	}
	wantHolder(t, link, mapShard, world.Holder{Tail: want})
	if link.Lost() != 4 {
		t.Errorf("%d were lost, want 4", link.Lost())
	}
}

func restart(t *testing.T, s Store) {
	large := strings.Repeat("x", 1<<20)
	first := claim(t, s.Log, mapShard, "first")
	first.append(t, "1", large, "", "4")
	first.snapshot(t, 3, "to 3", 2)
	place := claim(t, s.Log, placeShard, "first")
	place.append(t, "in a place")
	if err := s.Log.Release(t.Context(), placeShard, place.tail); err != nil {
		t.Fatal(err)
	}
	bare := claim(t, s.Log, otherMapShard, "first")
	bare.append(t, "1", "2")
	bare.snapshot(t, 2, "to 2", 2) // not one entry left

	log := s.Reopen(t)
	if log.Durability() != s.Log.Durability() {
		t.Errorf("durability %q became %q", s.Log.Durability(), log.Durability())
	}
	wantHolder(t, log, mapShard, world.Holder{Tail: first.tail, Owner: "first"})
	wantEntries(t, log, mapShard, 3, "", "4")
	wantSnapshot(t, log, mapShard, 3, "to 3")
	if _, err := log.Read(t.Context(), mapShard, 2, 1); !errors.Is(err, world.ErrTruncated) {
		t.Errorf("read of a dropped entry: %v, want ErrTruncated", err)
	}
	wantHolder(t, log, placeShard, world.Holder{Tail: place.tail})
	wantEntries(t, log, placeShard, 1, "in a place")
	wantHolder(t, log, otherMapShard, world.Holder{Tail: bare.tail, Owner: "first"})
	wantSnapshot(t, log, otherMapShard, 2, "to 2")
	bare.log = log
	bare.append(t, "3")
	wantEntries(t, log, otherMapShard, 3, "3")
	listed := 0
	if err := log.Shards(t.Context(), func(world.ShardID) error { listed++; return nil }); err != nil || listed != 3 {
		t.Errorf("%d shards listed, %v; want 3", listed, err)
	}

	// The owner before may go on if nobody claimed meanwhile.
	first.log = log
	first.append(t, "5")
	second := claim(t, log, mapShard, "second")
	if second.tail.Epoch != first.tail.Epoch+1 {
		t.Errorf("epoch %d after %d", second.tail.Epoch, first.tail.Epoch)
	}
	second.append(t, "6")
	log = s.Reopen(t)
	wantEntries(t, log, mapShard, 3, "", "4", "5", "6")
	_, err := log.Append(t.Context(), mapShard, first.tail, []byte("late"))
	wantForeign(t, err, first.tail, world.Holder{Tail: second.tail, Owner: "second"})
}

func rolledBack(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "1", "2")
	restore := s.Save(t)
	kept := []string{"3", "4", "5"}
	o.append(t, kept...)
	restore()

	lost := o.tail
	found := world.Holder{Tail: world.Tail{Epoch: o.tail.Epoch, Claim: o.tail.Claim, Sequence: 2}, Owner: "owner"}
	wantHolder(t, s.Log, mapShard, found)
	_, err := s.Log.Append(t.Context(), mapShard, lost, []byte("6"))
	if !wantForeign(t, err, lost, found).Behind() {
		t.Fatal("a store that lost the end is not taken for one")
	}
	// What the owner then does: a higher epoch, and its kept batches again.
	tail, err := s.Log.Claim(t.Context(), mapShard, "owner", rand.Uint64(), lost.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	if tail.Epoch != lost.Epoch+1 || tail.Sequence != 2 {
		t.Fatalf("claimed %+v", tail)
	}
	again := &owner{s.Log, mapShard, "owner", tail}
	again.append(t, append(kept, "6")...)
	wantEntries(t, s.Log, mapShard, 1, "1", "2", "3", "4", "5", "6")
	_, err = s.Log.Append(t.Context(), mapShard, lost, []byte("late"))
	if wantForeign(t, err, lost, world.Holder{Tail: again.tail, Owner: "owner"}).Behind() {
		t.Error("a new epoch is taken for a store that lost its end")
	}
}

// reissuedEpoch: a failover loses a claim, and another owner is given the same
// epoch. The first one must not be able to write as the second.
func reissuedEpoch(t *testing.T, s Store) {
	base := claim(t, s.Log, mapShard, "base")
	base.append(t, "1")
	restore := s.Save(t)
	first := claim(t, s.Log, mapShard, "first")
	first.append(t, "2 of the first")
	restore()
	second := claim(t, s.Log, mapShard, "second")
	if second.tail.Epoch != first.tail.Epoch {
		t.Fatalf("epochs %d and %d: the test wants one issued twice", first.tail.Epoch, second.tail.Epoch)
	}
	second.append(t, "2 of the second")
	found := world.Holder{Tail: second.tail, Owner: "second"}
	_, err := s.Log.Append(t.Context(), mapShard, first.tail, []byte("3 of the first"))
	if wantForeign(t, err, first.tail, found).Behind() {
		t.Error("another's claim is taken for a store that lost its end")
	}
	wantForeign(t, s.Log.WriteSnapshot(t.Context(), mapShard, first.tail, 2, []byte("first"), 2), first.tail, found)
	wantForeign(t, s.Log.Release(t.Context(), mapShard, first.tail), first.tail, found)
	wantEntries(t, s.Log, mapShard, 1, "1", "2 of the second")
}

func forgottenShard(t *testing.T, s Store) {
	restore := s.Save(t)
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "1", "2")
	restore()
	_, err := s.Log.Append(t.Context(), mapShard, o.tail, []byte("3"))
	if !wantForeign(t, err, o.tail, world.Holder{}).Behind() {
		t.Error("a store that forgot the shard is not behind")
	}
	tail, err := s.Log.Claim(t.Context(), mapShard, "owner", rand.Uint64(), o.tail.Epoch)
	if err != nil || tail.Epoch != o.tail.Epoch+1 || tail.Sequence != 0 {
		t.Fatalf("claimed %+v, %v", tail, err)
	}
}
