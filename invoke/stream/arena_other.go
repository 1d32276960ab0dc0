//go:build !linux

package stream

import "unsafe"

// mapping is memory of the heap, which does not move.
type mapping struct {
	mapped []byte
	memory []byte // of it, what is aligned
}

const alignment = 4096

func mapMemory(size, beyond int) (mapping, error) {
	mapped := make([]byte, size+beyond+alignment)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(mapped)))
	return mapping{mapped, mapped[int(-at&(alignment-1)):]}, nil
}

func (m mapping) unmap() error { return nil }

func hugeBytes([]byte) int { return 0 }
