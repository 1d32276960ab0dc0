package stream

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Ring brings records from one producer to one poller. The producer writes them
// where the poller reads them; nothing is copied or allocated on the way.
type Ring struct {
	arena *Arena
	clock *Clock
	due   []uint64 // by place, the tick at which the record was due

	_    [64]byte
	head atomic.Uint64 // records published; written by the producer
	_    [56]byte
	tail atomic.Uint64 // records whose place is free again; written by the poller
	_    [56]byte

	// the producer's
	next uint64
	free uint64 // the tail as last read, and the length of the ring
}

// ErrFull says that a ring has no free place: the poller is behind.
var ErrFull = errors.New("stream: the ring is full")

// RecordError says that a record made no sense.
type RecordError struct {
	// Function is the name of the function that found out, or "" at the ring's door.
	Function string
	// Sequence is which record of its poller it was, from 0 on.
	Sequence uint64
	// Why is the reason, for a person to read.
	Why string
}

func (e *RecordError) Error() string {
	if e.Function == "" {
		return "stream: malformed record: " + e.Why
	}
	return fmt.Sprintf("stream: %s: malformed record %d: %s", e.Function, e.Sequence, e.Why)
}

// NewRing makes a ring over an arena, which is the ring's from then on.
func NewRing(arena *Arena, clock *Clock) *Ring {
	r := &Ring{arena: arena, clock: clock, due: make([]uint64, arena.Len())}
	r.free = uint64(arena.Len())
	return r
}

func (r *Ring) records() *Arena { return r.arena }

// Reserve gives the memory of up to most records that the producer may write now:
// n of them, a stride apart, one after another. There may be fewer because the ring
// is full or ends there; none if it is full. They reach the poller with Publish.
func (r *Ring) Reserve(most int) (memory []byte, n int) {
	length := uint64(r.arena.count)
	if r.free-r.next < uint64(most) {
		r.free = r.tail.Load() + length
	}
	place := r.next & (length - 1)
	free := min(uint64(max(most, 0)), r.free-r.next, length-place)
	at := int(place) * r.arena.stride
	return r.arena.memory[at : at+int(free)*r.arena.stride], int(free)
}

// Publish hands the first n reserved records over. due is the tick from which their
// latency counts; 0 is now.
func (r *Ring) Publish(n int, due uint64) {
	if due == 0 {
		due = r.clock.Read()
	}
	place := r.next & uint64(r.arena.count-1)
	for i := range n {
		r.due[place+uint64(i)] = due
	}
	r.next += uint64(n)
	r.head.Store(r.next)
}

// Push copies one record into the ring. The error is a *RecordError if it has not
// the size of the ring's records, or ErrFull.
func (r *Ring) Push(record []byte) error {
	if len(record) != r.arena.size {
		return &RecordError{Sequence: r.next, Why: fmt.Sprintf("%d bytes instead of %d", len(record), r.arena.size)}
	}
	memory, n := r.Reserve(1)
	if n == 0 {
		return ErrFull
	}
	copy(memory, record)
	r.Publish(1, 0)
	return nil
}
