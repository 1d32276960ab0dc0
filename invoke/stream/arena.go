package stream

import (
	"fmt"
	"unsafe"
)

// Arena is memory for records of one size, outside the heap: aligned, in huge
// pages where the system gives them, and all of it there before the first use.
// Behind the last record lie MostAtOnce more that may be read.
type Arena struct {
	mapping
	refs   []Ref
	size   int
	stride int
	count  int
}

// mostArena bounds an arena to what a process can have.
const mostArena = 1 << 40

// NewArena makes an arena for at least count records of size bytes; the number is
// rounded up to a power of two. Close gives it back.
func NewArena(count, size int) (*Arena, error) {
	if count < 1 || size < 1 || size > mostArena/MostAtOnce || count > mostArena/(size+63) {
		return nil, fmt.Errorf("stream: an arena of %d records of %d bytes", count, size)
	}
	a := &Arena{size: size, stride: Stride(size), count: 1}
	for a.count < count {
		a.count *= 2
	}
	var err error
	if a.mapping, err = mapMemory(a.count*a.stride, MostAtOnce*a.stride); err != nil {
		return nil, fmt.Errorf("stream: an arena of %d records of %d bytes: %w", count, size, err)
	}
	a.refs = make([]Ref, a.count)
	base := unsafe.Pointer(unsafe.SliceData(a.memory))
	for i := range a.refs {
		a.refs[i] = Ref{unsafe.Add(base, i*a.stride)}
	}
	return a, nil
}

// Len is how many records it holds, a power of two.
func (a *Arena) Len() int { return a.count }

// Size is the size of a record in bytes.
func (a *Arena) Size() int { return a.size }

// Stride is how far apart records lie.
func (a *Arena) Stride() int { return a.stride }

// Record gives record i, to be filled before the arena is polled.
func (a *Arena) Record(i int) []byte { return a.refs[i].Bytes(a.size) }

// Bytes is how much memory the records take.
func (a *Arena) Bytes() int { return a.count * a.stride }

// HugeBytes is how much of its memory lies in huge pages, as far as the system tells.
func (a *Arena) HugeBytes() int { return min(hugeBytes(a.memory), a.Bytes()) }

// Close gives the memory back. Nothing may poll the arena any more.
func (a *Arena) Close() error {
	m := a.mapping
	a.mapping, a.refs, a.count = mapping{}, nil, 0
	return m.unmap()
}
