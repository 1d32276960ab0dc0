package logtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/starling-vr/starling/world"
)

func snapshotStandsForEntries(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "1", "2", "3", "4", "5", "6")
	o.snapshot(t, 4, "to 4", 0)
	wantSnapshot(t, s.Log, mapShard, 4, "to 4")
	wantEntries(t, s.Log, mapShard, 1, "1", "2", "3", "4", "5", "6")

	o.snapshot(t, 5, "to 5", 3)
	wantSnapshot(t, s.Log, mapShard, 5, "to 5")
	for from := range uint64(4) {
		if entries, err := s.Log.Read(t.Context(), mapShard, from, 10); !errors.Is(err, world.ErrTruncated) {
			t.Errorf("read from %d gave %d entries and %v, want ErrTruncated", from, len(entries), err)
		}
	}
	wantEntries(t, s.Log, mapShard, 4, "4", "5", "6")
	o.snapshot(t, 5, "to 5 again", 2) // after a lost reply; what is gone stays gone
	wantSnapshot(t, s.Log, mapShard, 5, "to 5 again")
	wantEntries(t, s.Log, mapShard, 4, "4", "5", "6")

	o.append(t, "7")
	o.snapshot(t, 7, "to 7", 7)
	wantSnapshot(t, s.Log, mapShard, 7, "to 7")
	wantEntries(t, s.Log, mapShard, 8)
	if _, err := s.Log.Read(t.Context(), mapShard, 7, 1); !errors.Is(err, world.ErrTruncated) {
		t.Errorf("read of a dropped entry: %v, want ErrTruncated", err)
	}
	wantHolder(t, s.Log, mapShard, world.Holder{Tail: o.tail, Owner: "owner"})
	o.append(t, "8")
	wantEntries(t, s.Log, mapShard, 8, "8")

	next := claim(t, s.Log, mapShard, "next")
	wantSnapshot(t, s.Log, mapShard, 7, "to 7")
	next.append(t, "9")
	wantEntries(t, s.Log, mapShard, 8, "8", "9")
	next.snapshot(t, 9, "", 8) // an empty state is a state
	wantSnapshot(t, s.Log, mapShard, 9, "")
	wantEntries(t, s.Log, mapShard, 9, "9")
}

func snapshotsNeedTheClaim(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "1", "2", "3")
	o.snapshot(t, 1, "mine", 0)
	holder := world.Holder{Tail: o.tail, Owner: "owner"}
	for _, expect := range []world.Tail{
		{Epoch: o.tail.Epoch, Claim: o.tail.Claim + 1, Sequence: 3},
		{Epoch: o.tail.Epoch + 1, Claim: o.tail.Claim, Sequence: 3},
		{Epoch: o.tail.Epoch - 1, Claim: o.tail.Claim, Sequence: 3},
	} {
		err := s.Log.WriteSnapshot(t.Context(), mapShard, expect, 3, []byte("not mine"), 3)
		wantForeign(t, err, expect, holder)
	}
	wantSnapshot(t, s.Log, mapShard, 1, "mine")
	wantEntries(t, s.Log, mapShard, 1, "1", "2", "3")
	// The tail may have moved on since the state was taken.
	earlier := o.tail
	earlier.Sequence = 2
	if err := s.Log.WriteSnapshot(t.Context(), mapShard, earlier, 2, []byte("at 2"), 2); err != nil {
		t.Fatal(err)
	}
	wantSnapshot(t, s.Log, mapShard, 2, "at 2")
	wantEntries(t, s.Log, mapShard, 3, "3")
}

func badSnapshots(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "1", "2", "3")
	o.snapshot(t, 2, "good", 1)
	for _, c := range []struct {
		name     string
		at, keep uint64
	}{
		{"drops what it does not cover", 2, 3},
		{"is ahead of the log", 4, 0},
		{"is older than the one there", 1, 0},
	} {
		if err := s.Log.WriteSnapshot(t.Context(), mapShard, o.tail, c.at, []byte("bad"), c.keep); err == nil {
			t.Errorf("a snapshot that %s was taken", c.name)
		}
	}
	wantSnapshot(t, s.Log, mapShard, 2, "good")
	wantEntries(t, s.Log, mapShard, 2, "2", "3")
}

// snapshotsAreWhole reads while another writes: each read gives one snapshot,
// whole, and never an older one than before; and its entries are there.
func snapshotsAreWhole(t *testing.T, s Store) {
	const rounds = 40
	state := func(at uint64) []byte {
		return bytes.Repeat(binary.LittleEndian.AppendUint64(nil, at), 8<<10) // 64 KiB
	}
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "first")
	o.snapshot(t, 1, string(state(1)), 1)

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var last uint64
			for {
				at, data, err := s.Log.Snapshot(t.Context(), mapShard)
				if err != nil || at < last || !bytes.Equal(data, state(at)) {
					t.Errorf("snapshot at %d after one at %d: %d bytes, %v", at, last, len(data), err)
					return
				}
				last = at
				// One that is newer by now may have dropped what follows this one.
				entries, err := s.Log.Read(t.Context(), mapShard, at+1, 4)
				if err != nil && !errors.Is(err, world.ErrTruncated) {
					t.Error(err)
					return
				}
				for i, e := range entries {
					if e.Sequence != at+1+uint64(i) || string(e.Data) != fmt.Sprint(e.Sequence) {
						t.Errorf("entry %d after a snapshot at %d is %d %.20q", i, at, e.Sequence, e.Data)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range rounds {
		o.append(t, fmt.Sprint(o.tail.Sequence+1))
		o.snapshot(t, o.tail.Sequence, string(state(o.tail.Sequence)), o.tail.Sequence-1)
	}
	close(done)
	readers.Wait()
	wantSnapshot(t, s.Log, mapShard, rounds+1, string(state(rounds+1)))
}
