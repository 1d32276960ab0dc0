package logtest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/starling-vr/starling/world"
)

func appendsNeedTheExactTail(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	o.append(t, "one", "two", "three")
	holder := world.Holder{Tail: o.tail, Owner: "owner"}
	for _, c := range []struct {
		name   string
		change func(*world.Tail)
		behind bool
	}{
		{"an earlier sequence", func(e *world.Tail) { e.Sequence-- }, false},
		{"a later sequence", func(e *world.Tail) { e.Sequence += 5 }, true},
		{"another claim", func(e *world.Tail) { e.Claim++ }, false},
		{"an earlier epoch", func(e *world.Tail) { e.Epoch-- }, false},
		{"a later epoch", func(e *world.Tail) { e.Epoch++ }, true},
		{"no tail", func(e *world.Tail) { *e = world.Tail{} }, false},
	} {
		expect := o.tail
		c.change(&expect)
		_, err := s.Log.Append(t.Context(), mapShard, expect, []byte(c.name))
		if got := wantForeign(t, err, expect, holder).Behind(); got != c.behind {
			t.Errorf("%s: behind is %v, want %v", c.name, got, c.behind)
		}
	}
	wantHolder(t, s.Log, mapShard, holder)
	wantEntries(t, s.Log, mapShard, 1, "one", "two", "three")
	o.append(t, "four")
}

func appendsNeedAClaim(t *testing.T, s Store) {
	for _, expect := range []world.Tail{{}, {Epoch: 1, Claim: 2}, {Epoch: 3, Claim: 4, Sequence: 5}} {
		_, err := s.Log.Append(t.Context(), mapShard, expect, []byte("unclaimed"))
		wantForeign(t, err, expect, world.Holder{})
		err = s.Log.WriteSnapshot(t.Context(), mapShard, expect, 0, []byte("unclaimed"), 0)
		wantForeign(t, err, expect, world.Holder{})
	}
	neverClaimed(t, s)
}

func batchesComeBack(t *testing.T, s Store) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	batches := []string{"", "x", string(every), "\x00", "", "line\r\nline", strings.Repeat("large ", 1<<20/6), "after"}
	o := claim(t, s.Log, mapShard, "owner")
	for _, batch := range batches {
		mine := []byte(batch)
		tail, err := s.Log.Append(t.Context(), mapShard, o.tail, mine)
		if err != nil {
			t.Fatal(err)
		}
		o.tail = tail
		clear(mine) // the buffer is the caller's again
	}
	if tail, err := s.Log.Append(t.Context(), mapShard, o.tail, nil); err != nil {
		t.Fatal(err)
	} else {
		o.tail = tail
	}
	wantEntries(t, s.Log, mapShard, 1, append(batches, "")...)
	entries := readAll(t, s.Log, mapShard, 2)
	clear(entries[0].Data) // so is what was read
	wantEntries(t, s.Log, mapShard, 2, append(batches, "")[1:]...)
}

func readLimits(t *testing.T, s Store) {
	o := claim(t, s.Log, mapShard, "owner")
	for n := range 25 {
		o.append(t, fmt.Sprint(n+1))
	}
	for _, c := range []struct {
		from       uint64
		limit      int
		first, len int
	}{
		{0, 3, 1, 3}, {1, 3, 1, 3}, {1, 1000, 1, 25}, {24, 7, 24, 2}, {25, 1, 25, 1},
		{26, 5, 0, 0}, {1 << 40, 5, 0, 0}, {1<<64 - 1, 5, 0, 0}, {1, 0, 0, 0},
	} {
		entries, err := s.Log.Read(t.Context(), mapShard, c.from, c.limit)
		if err != nil {
			t.Fatalf("from %d: %v", c.from, err)
		}
		if len(entries) != c.len {
			t.Errorf("from %d limit %d: %d entries, want %d", c.from, c.limit, len(entries), c.len)
			continue
		}
		for i, e := range entries {
			want := c.first + i
			if e.Sequence != uint64(want) || string(e.Data) != fmt.Sprint(want) || e.Epoch != o.tail.Epoch {
				t.Errorf("from %d limit %d: entry %d is %d %q of epoch %d", c.from, c.limit, i, e.Sequence, e.Data, e.Epoch)
			}
		}
	}
}

func shardsAreApart(t *testing.T, s Store) {
	owners := make([]*owner, len(allKinds))
	for i, shard := range allKinds {
		owners[i] = claim(t, s.Log, shard, fmt.Sprintf("owner-%d", i))
	}
	for round := range 3 {
		for i, o := range owners {
			o.append(t, fmt.Sprintf("%d of %d", round, i))
		}
	}
	owners[0].snapshot(t, 3, "state", 3)
	for i, o := range owners {
		wantHolder(t, s.Log, o.shard, world.Holder{Tail: o.tail, Owner: o.name})
		if i == 0 {
			continue
		}
		wantSnapshot(t, s.Log, o.shard, 0, "")
		for round, e := range readAll(t, s.Log, o.shard, 1) {
			if want := fmt.Appendf(nil, "%d of %d", round, i); !bytes.Equal(e.Data, want) {
				t.Errorf("%v: entry %d is %q, want %q", o.shard, e.Sequence, e.Data, want)
			}
		}
	}
}
