package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/starling-vr/starling/world"
	"pgregory.net/rapid"
)

// modelShard is the plainest thing that does what a shard's log does.
type modelShard struct {
	holder     world.Holder
	entries    []world.Entry // all there ever were
	dropped    uint64
	snapshotAt uint64
	snapshot   []byte
}

// model plays random calls against a store and a model of it.
func model(t *testing.T, s Store) {
	var place uint64 = 1 << 40
	rapid.Check(t, func(r *rapid.T) {
		m := &machine{log: s.Log, ctx: t, shards: map[world.ShardID]*modelShard{}}
		for range 2 {
			place++ // a fresh shard for each run: the store stays open
			m.ids = append(m.ids, world.ShardID{Place: world.PlaceID(place)})
			m.shards[m.ids[len(m.ids)-1]] = &modelShard{}
		}
		r.Repeat(map[string]func(*rapid.T){
			"claim":    m.claim,
			"append":   m.append,
			"snapshot": m.writeSnapshot,
			"release":  m.release,
			"read":     m.read,
			"":         m.check,
		})
	})
}

type machine struct {
	log    world.Log
	ctx    testing.TB
	ids    []world.ShardID
	shards map[world.ShardID]*modelShard
	tails  []world.Tail // that somebody once had
}

func (m *machine) pick(r *rapid.T) (world.ShardID, *modelShard) {
	id := rapid.SampledFrom(m.ids).Draw(r, "shard")
	return id, m.shards[id]
}

// expect draws what a caller takes for the tail: mostly right.
func (m *machine) expect(r *rapid.T, s *modelShard) world.Tail {
	expect := s.holder.Tail
	switch rapid.IntRange(0, 9).Draw(r, "whose tail") {
	case 0:
		if len(m.tails) > 0 {
			expect = rapid.SampledFrom(m.tails).Draw(r, "old tail")
		}
	case 1:
		expect.Claim++
	case 2:
		expect.Sequence += rapid.Uint64Range(0, 2).Draw(r, "ahead")
	}
	return expect
}

func (m *machine) claim(r *rapid.T) {
	id, s := m.pick(r)
	atLeast := rapid.Uint32Range(0, s.holder.Epoch+2).Draw(r, "at least")
	claim := rand.Uint64()
	want := world.Tail{Epoch: max(s.holder.Epoch, atLeast) + 1, Claim: claim, Sequence: s.holder.Sequence}
	got, err := m.log.Claim(m.ctx.Context(), id, "owner", claim, atLeast)
	if err != nil || got != want {
		r.Fatalf("claim: %+v, %v; want %+v", got, err, want)
	}
	s.holder = world.Holder{Tail: want, Owner: "owner"}
	m.tails = append(m.tails, want)
}

func (m *machine) append(r *rapid.T) {
	id, s := m.pick(r)
	expect := m.expect(r, s)
	batch := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "batch")
	got, err := m.log.Append(m.ctx.Context(), id, expect, batch)
	if s.holder.Owner == "" || expect != s.holder.Tail {
		wantFound(r, err, s.holder)
		return
	}
	s.holder.Sequence++
	if err != nil || got != s.holder.Tail {
		r.Fatalf("append: %+v, %v; want %+v", got, err, s.holder.Tail)
	}
	s.entries = append(s.entries, world.Entry{Epoch: got.Epoch, Sequence: got.Sequence, Data: batch})
	m.tails = append(m.tails, got)
}

func (m *machine) writeSnapshot(r *rapid.T) {
	id, s := m.pick(r)
	expect := m.expect(r, s)
	at := rapid.Uint64Range(s.snapshotAt, max(s.snapshotAt, s.holder.Sequence)).Draw(r, "at")
	keep := rapid.Uint64Range(0, at).Draw(r, "keep")
	data := fmt.Appendf(nil, "state at %d", at)
	err := m.log.WriteSnapshot(m.ctx.Context(), id, expect, at, data, keep)
	if s.holder.Owner == "" || expect.Epoch != s.holder.Epoch || expect.Claim != s.holder.Claim {
		wantFound(r, err, s.holder)
		return
	}
	if at == 0 {
		return // nothing to stand for: whether it is kept is the store's affair
	}
	if err != nil {
		r.Fatalf("snapshot: %v", err)
	}
	s.snapshotAt, s.snapshot = at, data
	s.dropped = max(s.dropped, keep)
}

func (m *machine) release(r *rapid.T) {
	id, s := m.pick(r)
	expect := m.expect(r, s)
	err := m.log.Release(m.ctx.Context(), id, expect)
	if s.holder.Epoch == 0 || expect != s.holder.Tail {
		wantFound(r, err, s.holder)
		return
	}
	if err != nil {
		r.Fatalf("release: %v", err)
	}
	s.holder.Owner = ""
}

func (m *machine) read(r *rapid.T) {
	id, s := m.pick(r)
	from := rapid.Uint64Range(0, s.holder.Sequence+2).Draw(r, "from")
	limit := rapid.IntRange(1, 5).Draw(r, "limit")
	got, err := m.log.Read(m.ctx.Context(), id, from, limit)
	from = max(from, 1)
	if from <= s.dropped {
		if !errors.Is(err, world.ErrTruncated) {
			r.Fatalf("read from %d of a log cut at %d: %v", from, s.dropped, err)
		}
		return
	}
	var want []world.Entry
	if from <= s.holder.Sequence {
		want = s.entries[from-1 : min(from-1+uint64(limit), s.holder.Sequence)]
	}
	if err != nil || len(got) != len(want) {
		r.Fatalf("read from %d: %d entries, %v; want %d", from, len(got), err, len(want))
	}
	for i, e := range got {
		if e.Epoch != want[i].Epoch || e.Sequence != want[i].Sequence || !bytes.Equal(e.Data, want[i].Data) {
			r.Fatalf("entry %+v, want %+v", e, want[i])
		}
	}
}

// check compares what can be read without change, after each call.
func (m *machine) check(r *rapid.T) {
	for id, s := range m.shards {
		holder, err := m.log.Tail(m.ctx.Context(), id)
		if err != nil || holder != s.holder {
			r.Fatalf("tail: %+v, %v; want %+v", holder, err, s.holder)
		}
		at, data, err := m.log.Snapshot(m.ctx.Context(), id)
		if err != nil || at != s.snapshotAt || at > 0 && !bytes.Equal(data, s.snapshot) {
			r.Fatalf("snapshot: %q at %d, %v; want %q at %d", data, at, err, s.snapshot, s.snapshotAt)
		}
	}
}

func wantFound(r *rapid.T, err error, found world.Holder) {
	var foreign *world.ForeignTailError
	if !errors.As(err, &foreign) || foreign.Found != found {
		r.Fatalf("got %v; want a foreign tail, %+v", err, found)
	}
}
