package memory_test

import (
	"testing"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/logtest"
	"github.com/starling-vr/starling/world/memory"
)

func TestLog(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Store {
		log := memory.New()
		t.Cleanup(func() { log.Close() })
		return logtest.Store{
			Log: log,
			Save: func(testing.TB) func() {
				kept := log.Capture()
				return func() { log.Restore(kept) }
			},
		}
	})
}

func TestRollBack(t *testing.T) {
	log := memory.New()
	shard := world.ShardID{Place: 5}
	if err := log.RollBack(shard, 1); err == nil {
		t.Error("a shard never claimed lost an entry")
	}
	tail, err := log.Claim(t.Context(), shard, "owner", 7, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []string{"1", "2", "3"} {
		if tail, err = log.Append(t.Context(), shard, tail, []byte(batch)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.WriteSnapshot(t.Context(), shard, tail, 1, []byte("to 1"), 1); err != nil {
		t.Fatal(err)
	}
	for _, batches := range []int{-1, 3, 4} {
		if err := log.RollBack(shard, batches); err == nil {
			t.Errorf("lost %d entries", batches)
		}
	}
	if err := log.RollBack(shard, 2); err != nil {
		t.Fatal(err)
	}
	holder, err := log.Tail(t.Context(), shard)
	want := tail
	want.Sequence = 1
	if err != nil || holder.Tail != want {
		t.Errorf("tail %+v, %v; want %+v", holder.Tail, err, want)
	}
}

func BenchmarkAppend(b *testing.B) {
	log := memory.New()
	shard := world.ShardID{Place: 5}
	tail, err := log.Claim(b.Context(), shard, "owner", 7, 0)
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]byte, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if tail, err = log.Append(b.Context(), shard, tail, batch); err != nil {
			b.Fatal(err)
		}
		if tail.Sequence%1000 == 0 {
			if err := log.WriteSnapshot(b.Context(), shard, tail, tail.Sequence, nil, tail.Sequence); err != nil {
				b.Fatal(err)
			}
		}
	}
}
