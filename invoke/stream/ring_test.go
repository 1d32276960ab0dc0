package stream

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// One goroutine brings records, the poller's takes them: all arrive, in order, whole.
func TestARingBringsAllInOrder(t *testing.T) {
	arena := newArena(t, 64, 32)
	ring := NewRing(arena, ProcessorClock())
	const records = 20_000
	var next, wrong atomic.Uint64
	run := func(batch []Ref, out []Decision) {
		for i, ref := range batch {
			r := ref.Bytes(32)
			if n := next.Add(1) - 1; binary.LittleEndian.Uint64(r) != n || binary.LittleEndian.Uint64(r[24:]) != n {
				wrong.Add(1)
			}
			out[i] = 0
		}
	}
	s := newScheduler(t)
	f := deploy(t, s, Spec{Name: "ring", Program: &Program{Kernels: ladder(run, 1, 8, 64)}, Sources: []Source{ring}, Pace: Yielding})
	before := next.Load() // the kernels were timed
	next.Store(0)
	wrong.Store(0)
	if before == 0 {
		t.Error("the kernels were not timed")
	}
	for sent := 0; sent < records; {
		memory, n := ring.Reserve(min(1+sent%70, records-sent))
		for i := range n {
			binary.LittleEndian.PutUint64(memory[i*arena.Stride():], uint64(sent+i))
			binary.LittleEndian.PutUint64(memory[i*arena.Stride()+24:], uint64(sent+i))
		}
		ring.Publish(n, 0)
		if sent += n; n == 0 {
			yieldCore()
		}
	}
	for next.Load() < records {
		yieldCore()
	}
	f.Close()
	if wrong.Load() != 0 {
		t.Errorf("%d records were not what was sent", wrong.Load())
	}
	if stats := f.Stats(); stats.Decided != records || stats.Latency.Count() != records || stats.Lost != 0 {
		t.Errorf("%d decided, %d latencies, %d lost", stats.Decided, stats.Latency.Count(), stats.Lost)
	}
}

func TestARingAgainstAQueue(t *testing.T) {
	clock := NewClock(func() uint64 { return 7 }, 1e9, 0, 1)
	rapid.Check(t, func(t *rapid.T) {
		arena, err := NewArena(8, 8)
		if err != nil {
			t.Fatal(err)
		}
		defer arena.Close()
		ring := NewRing(arena, clock)
		sent, taken := uint64(0), uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				var record [8]byte
				binary.LittleEndian.PutUint64(record[:], sent)
				err := ring.Push(record[:])
				if full := sent-taken == 8; full != errors.Is(err, ErrFull) || !full && err != nil {
					t.Fatalf("%v with %d in the ring", err, sent-taken)
				}
				if err == nil {
					sent++
				}
			},
			"reserve": func(t *rapid.T) {
				_, n := ring.Reserve(rapid.IntRange(-1, 20).Draw(t, "most"))
				if uint64(n) > 8-(sent-taken) {
					t.Fatalf("%d places of %d free ones", n, 8-(sent-taken))
				}
			},
			"take": func(t *rapid.T) {
				if taken == ring.head.Load() {
					return
				}
				if got := binary.LittleEndian.Uint64(arena.refs[taken&7].Bytes(8)); got != taken || ring.due[taken&7] != 7 {
					t.Fatalf("record %d is %d, due at %d", taken, got, ring.due[taken&7])
				}
				taken++
				ring.tail.Store(taken)
			},
		})
	})
}

// FuzzPush puts anything into a ring: what has not the size is a typed error.
func FuzzPush(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 16))
	f.Add(make([]byte, 17))
	clock := NewClock(func() uint64 { return 7 }, 1e9, 0, 1)
	f.Fuzz(func(t *testing.T, record []byte) {
		arena, err := NewArena(2, 16)
		if err != nil {
			t.Fatal(err)
		}
		defer arena.Close()
		ring := NewRing(arena, clock)
		err = ring.Push(record)
		var malformed *RecordError
		if (len(record) == 16) != (err == nil) || err != nil && !errors.As(err, &malformed) {
			t.Errorf("%d bytes: %v", len(record), err)
		}
		if err == nil && string(arena.Record(0)) != string(record) || ring.head.Load() != ring.next {
			t.Error("the record is not there")
		}
	})
}

// Batches of length zero hand nothing over and take no room; an empty record is malformed,
// and the ring goes on.
func TestBatchesOfLengthZero(t *testing.T) {
	ring := NewRing(newArena(t, 8, 16), NewClock(func() uint64 { return 7 }, testFrequency, 0, 1))
	for _, most := range []int{0, -1} {
		if memory, n := ring.Reserve(most); n != 0 || len(memory) != 0 {
			t.Errorf("Reserve(%d): %d records, %d bytes", most, n, len(memory))
		}
		ring.Publish(0, 0)
	}
	var malformed *RecordError
	if err := ring.Push(nil); !errors.As(err, &malformed) {
		t.Errorf("an empty record: %v", err)
	}
	if n := ring.head.Load(); n != 0 {
		t.Errorf("%d records were handed over", n)
	}
	for range 8 {
		if err := ring.Push(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.Push(make([]byte, 16)); err != ErrFull {
		t.Errorf("the ninth of eight: %v", err)
	}
}
