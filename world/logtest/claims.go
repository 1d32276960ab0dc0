package logtest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/starling-vr/starling/world"
)

func neverClaimed(t *testing.T, s Store) {
	for _, shard := range allKinds {
		wantHolder(t, s.Log, shard, world.Holder{})
		wantEntries(t, s.Log, shard, 0)
		wantEntries(t, s.Log, shard, 12)
		wantSnapshot(t, s.Log, shard, 0, "")
	}
	if err := s.Log.Shards(t.Context(), func(shard world.ShardID) error {
		t.Errorf("lists %v", shard)
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func claimsRaiseTheEpoch(t *testing.T, s Store) {
	const big = 1<<63 + 12345 // claim ids use all 64 bits
	for _, c := range []struct {
		atLeast, want uint32
	}{{0, 1}, {0, 2}, {1, 3}, {3, 4}, {9, 10}, {2, 11}, {4_000_000_000, 4_000_000_001}} {
		claimID := big + uint64(c.want)
		tail, err := s.Log.Claim(t.Context(), mapShard, "north", claimID, c.atLeast)
		if err != nil {
			t.Fatal(err)
		}
		want := world.Tail{Epoch: c.want, Claim: claimID}
		if tail != want {
			t.Fatalf("claim at least %d: %+v, want %+v", c.atLeast, tail, want)
		}
		wantHolder(t, s.Log, mapShard, world.Holder{Tail: want, Owner: "north"})
	}
	if tail, err := s.Log.Claim(t.Context(), mapShard, "north", 1, 1<<32-1); err == nil {
		t.Fatalf("there is no epoch above the highest, and a claim gave %+v", tail)
	}
	o := claim(t, s.Log, mapShard, "owner with spaces: and 雪")
	wantHolder(t, s.Log, mapShard, world.Holder{Tail: o.tail, Owner: o.name})
}

func claimWithoutOwner(t *testing.T, s Store) {
	if tail, err := s.Log.Claim(t.Context(), mapShard, "", 7, 0); err == nil {
		t.Fatalf("gave %+v", tail)
	}
	wantHolder(t, s.Log, mapShard, world.Holder{})
}

func claimFences(t *testing.T, s Store) {
	for _, shard := range allKinds {
		before := claim(t, s.Log, shard, "before")
		before.append(t, "one", "two")
		after := claim(t, s.Log, shard, "after")
		if after.tail.Epoch <= before.tail.Epoch || after.tail.Sequence != 2 {
			t.Fatalf("claimed %+v over %+v", after.tail, before.tail)
		}
		holder := world.Holder{Tail: after.tail, Owner: "after"}
		_, err := s.Log.Append(t.Context(), shard, before.tail, []byte("late"))
		if wantForeign(t, err, before.tail, holder).Behind() {
			t.Error("a fenced owner takes the store for one that lost its end")
		}
		err = s.Log.WriteSnapshot(t.Context(), shard, before.tail, 2, []byte("late"), 2)
		wantForeign(t, err, before.tail, holder)
		err = s.Log.Release(t.Context(), shard, before.tail)
		wantForeign(t, err, before.tail, holder)
		wantHolder(t, s.Log, shard, holder)
		after.append(t, "three")
		wantEntries(t, s.Log, shard, 1, "one", "two", "three")
		wantSnapshot(t, s.Log, shard, 0, "")
		entries := readAll(t, s.Log, shard, 1)
		if entries[1].Epoch != before.tail.Epoch || entries[2].Epoch != after.tail.Epoch {
			t.Errorf("entries of epochs %d, %d; want %d, %d",
				entries[1].Epoch, entries[2].Epoch, before.tail.Epoch, after.tail.Epoch)
		}
	}
}

func release(t *testing.T, s Store) {
	o := claim(t, s.Log, placeShard, "first")
	o.append(t, "one")
	stale := o.tail
	stale.Sequence--
	wantForeign(t, s.Log.Release(t.Context(), placeShard, stale), stale, world.Holder{Tail: o.tail, Owner: "first"})
	for range 2 { // again after a lost reply: harmless
		if err := s.Log.Release(t.Context(), placeShard, o.tail); err != nil {
			t.Fatal(err)
		}
		wantHolder(t, s.Log, placeShard, world.Holder{Tail: o.tail})
	}
	_, err := s.Log.Append(t.Context(), placeShard, o.tail, []byte("after the release"))
	if wantForeign(t, err, o.tail, world.Holder{Tail: o.tail}).Behind() {
		t.Error("a release is taken for a store that lost its end")
	}
	err = s.Log.WriteSnapshot(t.Context(), placeShard, o.tail, 1, []byte("after the release"), 0)
	wantForeign(t, err, o.tail, world.Holder{Tail: o.tail})
	next := claim(t, s.Log, placeShard, "second")
	if next.tail.Epoch != o.tail.Epoch+1 {
		t.Errorf("epoch %d after %d", next.tail.Epoch, o.tail.Epoch)
	}
	next.append(t, "two")
	wantEntries(t, s.Log, placeShard, 1, "one", "two")
	wantForeign(t, s.Log.Release(t.Context(), placeShard, o.tail), o.tail, world.Holder{Tail: next.tail, Owner: "second"})

	zero := world.Tail{}
	wantForeign(t, s.Log.Release(t.Context(), mapShard, zero), zero, world.Holder{})
}

func shardsAreListed(t *testing.T, s Store) {
	want := map[world.ShardID]bool{}
	add := func(shard world.ShardID) {
		want[shard] = true
		o := claim(t, s.Log, shard, "lister")
		if shard.Cell%2 == 0 {
			if err := s.Log.Release(t.Context(), shard, o.tail); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, shard := range allKinds {
		add(shard)
	}
	for n := range uint64(300) {
		add(world.ShardID{Cell: 0x870000000ffffff + n<<24})
	}
	got := map[world.ShardID]int{}
	if err := s.Log.Shards(t.Context(), func(shard world.ShardID) error {
		got[shard]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for shard := range want {
		if got[shard] != 1 {
			t.Errorf("%v listed %d times", shard, got[shard])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d shards listed, want %d", len(got), len(want))
	}
	enough := errors.New("enough")
	calls := 0
	err := s.Log.Shards(t.Context(), func(world.ShardID) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%d calls, error %v; want one call, and its error", calls, err)
	}
	// Within each, the log may be used.
	err = s.Log.Shards(t.Context(), func(shard world.ShardID) error {
		if shard != mapShard {
			return nil
		}
		_, err := s.Log.Claim(soon(t), shard, "in the list", 1, 0)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func endedContext(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "one")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range everyCall(ended, s.Log, mapShard, o.tail) {
		if !errors.Is(err, world.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
	}
	// Whether the calls took effect is open; what they left must be usable.
	next := claim(t, s.Log, mapShard, "next")
	next.append(t, "and on")
	if entries := readAll(t, s.Log, mapShard, 1); !slices.ContainsFunc(entries, func(e world.Entry) bool { return string(e.Data) == "and on" }) {
		t.Error("the entry written last is not there")
	}
}

func closedLog(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "one")
	if err := s.Log.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range everyCall(soon(t), s.Log, mapShard, o.tail) {
		if !errors.Is(err, world.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
	}
	if err := s.Log.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func everyCall(ctx context.Context, log world.Log, shard world.ShardID, tail world.Tail) map[string]error {
	calls := map[string]error{}
	_, calls["Append"] = log.Append(ctx, shard, tail, []byte("two"))
	_, calls["Tail"] = log.Tail(ctx, shard)
	_, calls["Read"] = log.Read(ctx, shard, 1, 1)
	calls["WriteSnapshot"] = log.WriteSnapshot(ctx, shard, tail, 1, []byte("state"), 0)
	_, _, calls["Snapshot"] = log.Snapshot(ctx, shard)
	_, calls["Claim"] = log.Claim(ctx, shard, "other", 3, 0)
	calls["Release"] = log.Release(ctx, shard, tail)
	calls["Shards"] = log.Shards(ctx, func(world.ShardID) error { return nil })
	return calls
}
