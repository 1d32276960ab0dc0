// Package hugepages gives memory for tables that are read at random places. Where the
// system can, it consists of pages of 2 MiB: the processor remembers where a few
// thousand pages lie, and looking up one that it does not remember costs more than the
// memory itself, in a virtual machine several times as much.
package hugepages

import "unsafe"

// Size of a page.
const Size = 2 << 20

// Make gives a slice of n zeros in memory of its own. T must hold no pointers. Small
// slices are ordinary ones. It is the collector's memory: nobody needs to give it back.
func Make[T any](n int) []T {
	var one T
	bytes := n * int(unsafe.Sizeof(one))
	if bytes < Size/4 {
		return make([]T, n)
	}
	whole := (bytes + Size - 1) &^ (Size - 1)
	room := make([]byte, whole+Size)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(room)))) & (Size - 1)
	room = room[skip : skip+whole]
	advise(room)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(room))), n)
}
