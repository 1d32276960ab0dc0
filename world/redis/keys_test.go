package redis

import (
	"testing"

	"github.com/starling-vr/starling/world"
)

func FuzzParseHolder(f *testing.F) {
	for _, seed := range []string{"", "1 7 0 owner", "4294967295 18446744073709551615 3 ", "1 2 3", "x y z w", "1 2 3 owner with spaces"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHolder(text)
		if err != nil || text == "" {
			return
		}
		again, err := parseHolder(string(appendTail(nil, h.Tail)) + h.Owner)
		if err != nil || again != h {
			t.Fatalf("%q is %+v, written and read again %+v, %v", text, h, again, err)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	for _, seed := range []string{"1-1", "18446744073709551615-4294967295", "-", "1", "a-b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		e, err := parseEntry(id)
		if err != nil {
			return
		}
		again, err := parseEntry(string(entryID(world.Tail{Epoch: e.Epoch, Sequence: e.Sequence})))
		if err != nil || again.Epoch != e.Epoch || again.Sequence != e.Sequence {
			t.Fatalf("%q is %+v, written and read again %+v, %v", id, e, again, err)
		}
	})
}

func TestShardsAreNamedByTheirTails(t *testing.T) {
	l := &Log{config: Config{Prefix: "starling"}}
	for _, shard := range []world.ShardID{{Cell: 0x87411e5a4ffffff}, {Place: 31}, {Cell: 3}} {
		if got, ok := l.shardOf(l.keys(shard).tail); !ok || got != shard {
			t.Errorf("%v came back as %v, %v", shard, got, ok)
		}
	}
	for _, key := range []string{"", "starling:{register-3}:log", "other:{register-3}:tail", "starling:{register-99}:tail"} {
		if shard, ok := l.shardOf(key); ok {
			t.Errorf("%q was taken for the tail of %v", key, shard)
		}
	}
}
