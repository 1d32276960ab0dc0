package embedded

import (
	"testing"

	"github.com/starling-vr/starling/world"
)

// What a file holds may be damaged: reading it gives an error or what encode
// writes, and never a panic.
func FuzzDecodeHead(f *testing.F) {
	whole := head{Holder: world.Holder{Tail: world.Tail{Epoch: 3, Claim: 1 << 63}, Owner: "owner"}, dropped: 5, snapshotAt: 9}
	f.Add(whole.encode())
	f.Add([]byte{})
	f.Add(make([]byte, headBytes))
	f.Add(whole.encode()[:headBytes-1])
	f.Fuzz(func(t *testing.T, stored []byte) {
		h, err := decodeHead(stored)
		if err != nil {
			return
		}
		if string(h.encode()) != string(stored) {
			t.Fatalf("%x is %+v, which is %x", stored, h, h.encode())
		}
	})
}

func FuzzKeysAreInOrder(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3), uint64(1), uint64(2), uint64(255))
	f.Add(uint64(0), uint64(3), uint64(1<<64-1), uint64(0), uint64(4), uint64(0))
	f.Fuzz(func(t *testing.T, place, cell, sequence, otherPlace, otherCell, otherSequence uint64) {
		a := world.ShardID{Place: world.PlaceID(place), Cell: cell}
		b := world.ShardID{Place: world.PlaceID(otherPlace), Cell: otherCell}
		one, other := entryKeyOf(a, sequence), entryKeyOf(b, otherSequence)
		if a == b && (string(one[:]) < string(other[:])) != (sequence < otherSequence) {
			t.Fatalf("entries %d and %d of a shard are out of order", sequence, otherSequence)
		}
		if a != b && string(one[:16]) == string(other[:16]) {
			t.Fatalf("%v and %v share their entries", a, b)
		}
	})
}
