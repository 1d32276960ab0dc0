// Package logtest says what a world.Log owes, as tests that every
// implementation passes, and breaks one on purpose (Faulty) for the tests of
// those who use a log.
package logtest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/starling-vr/starling/world"
)

// Store is what is under test: a log, empty at first, and what else the tests
// may do to it.
type Store struct {
	Log world.Log

	// Reopen ends the log as a killed process would (or as close to it as the
	// store allows) and gives a new one over what it left behind. nil where the
	// store forgets.
	Reopen func(t testing.TB) world.Log

	// Save keeps what the store holds now; restore puts it back, as a failover
	// to a replica that lagged does. nil where the store cannot.
	Save func(t testing.TB) (restore func())
}

// Run holds a store against all that world.Log promises, and world.Appender if
// it is one. open is called for each test and gives an empty store; it leaves
// closing to t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Store) {
	runAll(t, open)
	if _, ok := open(t).Log.(world.Appender); ok {
		t.Run("submitted", func(t *testing.T) { runSubmitted(t, open) })
	}
}

// runSubmitted repeats what concerns appends for those that are submitted.
func runSubmitted(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"appends need the exact tail": appendsNeedTheExactTail, "nobody appends without a claim": appendsNeedAClaim,
		"a claim fences the owner before": claimFences, "batches come back as they were": batchesComeBack,
		"shards are apart": shardsAreApart, "a closed log is unavailable": closedLog,
		"racing owners write one history": racingOwners, "many shards at once": manyShards,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			s.Log = submitting{s.Log}
			test(t, s)
		})
	}
	t.Run("one after the other from within Done", func(t *testing.T) { submitted(t, open(t)) })
	t.Run("asked for late", func(t *testing.T) { sealed(t, open(t)) })
}

func runAll(t *testing.T, open func(t *testing.T) Store) {
	run := func(name string, test func(*testing.T, Store)) {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	run("a shard never claimed is empty", neverClaimed)
	run("claims raise the epoch", claimsRaiseTheEpoch)
	run("a claim without an owner is refused", claimWithoutOwner)
	run("appends need the exact tail", appendsNeedTheExactTail)
	run("nobody appends without a claim", appendsNeedAClaim)
	run("a claim fences the owner before", claimFences)
	run("release", release)
	run("batches come back as they were", batchesComeBack)
	run("read limits", readLimits)
	run("shards are apart", shardsAreApart)
	run("shards are listed", shardsAreListed)
	run("a snapshot stands for what it covers", snapshotStandsForEntries)
	run("snapshots need the claim", snapshotsNeedTheClaim)
	run("bad snapshots change nothing", badSnapshots)
	run("the old snapshot is there until the new one is whole", snapshotsAreWhole)
	run("an ended context is unavailable", endedContext)
	run("a closed log is unavailable", closedLog)
	run("a lost call and a lost reply are told apart by the tail", lostReplies)
	run("racing owners write one history", racingOwners)
	run("racing owners write one history over a lossy link", racingOwnersLossy)
	run("many shards at once", manyShards)
	run("any sequence of calls does what the model does", model)

	if s := open(t); s.Reopen != nil {
		run("what was committed outlives a restart", restart)
	}
	if s := open(t); s.Save != nil {
		run("a rolled-back tail is behind", rolledBack)
		run("a reissued epoch is not mistaken for the first", reissuedEpoch)
		run("a store that forgot a shard is behind", forgottenShard)
	}
}

// Shards that tests use: each kind, and places far apart.
var (
	mapShard      = world.ShardID{Cell: 0x874ba0a4effffff}
	otherMapShard = world.ShardID{Cell: 0x87194e64dffffff}
	placeShard    = world.ShardID{Place: 0x1f}
	registerShard = world.ShardID{Cell: 3}
	allKinds      = []world.ShardID{mapShard, otherMapShard, placeShard, registerShard, {Cell: 0}, {Place: 1<<64 - 1}}
)

// owner is a writer of one shard that knows its tail.
type owner struct {
	log   world.Log
	shard world.ShardID
	name  string
	tail  world.Tail
}

func claim(t testing.TB, log world.Log, shard world.ShardID, name string) *owner {
	t.Helper()
	tail, err := log.Claim(t.Context(), shard, name, rand.Uint64(), 0)
	if err != nil {
		t.Fatalf("claim of %v by %s: %v", shard, name, err)
	}
	return &owner{log, shard, name, tail}
}

func (o *owner) append(t testing.TB, batches ...string) {
	t.Helper()
	for _, batch := range batches {
		tail, err := o.log.Append(t.Context(), o.shard, o.tail, []byte(batch))
		if err != nil {
			t.Fatalf("append to %v: %v", o.shard, err)
		}
		want := o.tail
		want.Sequence++
		if tail != want {
			t.Fatalf("append to %v: tail %+v, want %+v", o.shard, tail, want)
		}
		o.tail = tail
	}
}

func (o *owner) snapshot(t testing.TB, at uint64, data string, keep uint64) {
	t.Helper()
	if err := o.log.WriteSnapshot(t.Context(), o.shard, o.tail, at, []byte(data), keep); err != nil {
		t.Fatalf("snapshot of %v at %d: %v", o.shard, at, err)
	}
}

func wantHolder(t testing.TB, log world.Log, shard world.ShardID, want world.Holder) {
	t.Helper()
	got, err := log.Tail(t.Context(), shard)
	if err != nil {
		t.Fatalf("tail of %v: %v", shard, err)
	}
	if got != want {
		t.Fatalf("tail of %v: %+v, want %+v", shard, got, want)
	}
}

func wantEntries(t testing.TB, log world.Log, shard world.ShardID, from uint64, want ...string) {
	t.Helper()
	entries := readAll(t, log, shard, from)
	if len(entries) != len(want) {
		t.Fatalf("%v from %d: %d entries, want %d", shard, from, len(entries), len(want))
	}
	for i, e := range entries {
		if !bytes.Equal(e.Data, []byte(want[i])) {
			t.Fatalf("%v: entry %d is %.40q, want %.40q", shard, e.Sequence, e.Data, want[i])
		}
	}
}

// readAll reads in small pages and checks that nothing is missing between.
func readAll(t testing.TB, log world.Log, shard world.ShardID, from uint64) []world.Entry {
	t.Helper()
	var all []world.Entry
	next := max(from, 1)
	for {
		page, err := log.Read(t.Context(), shard, next, 7)
		if err != nil {
			t.Fatalf("read of %v from %d: %v", shard, next, err)
		}
		if len(page) == 0 {
			return all
		}
		if len(page) > 7 {
			t.Fatalf("read of %v: %d entries, asked for 7", shard, len(page))
		}
		for _, e := range page {
			if e.Sequence != next {
				t.Fatalf("read of %v: entry %d where %d was due", shard, e.Sequence, next)
			}
			next++
		}
		all = append(all, page...)
	}
}

func wantSnapshot(t testing.TB, log world.Log, shard world.ShardID, at uint64, data string) {
	t.Helper()
	gotAt, got, err := log.Snapshot(t.Context(), shard)
	if err != nil {
		t.Fatalf("snapshot of %v: %v", shard, err)
	}
	if gotAt != at || string(got) != data {
		t.Fatalf("snapshot of %v: %.40q at %d, want %.40q at %d", shard, got, gotAt, data, at)
	}
}

// wantForeign checks that err says what was found instead of expect.
func wantForeign(t testing.TB, err error, expect world.Tail, found world.Holder) *world.ForeignTailError {
	t.Helper()
	var foreign *world.ForeignTailError
	if !errors.As(err, &foreign) {
		t.Fatalf("got error %v, want a ForeignTailError", err)
	}
	if foreign.Expect != expect || foreign.Found != found {
		t.Fatalf("foreign tail: expected %+v, found %+v; want %+v, %+v", foreign.Expect, foreign.Found, expect, found)
	}
	return foreign
}

// soon bounds what a test may take when the store hangs.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
