// Package prefetch asks for pieces of tables before they are needed, so that they are near
// the processor when they are.
package prefetch

import "unsafe"

// Lines asks for one line of memory at each of places in table. Only the bits of mask
// count of a place, and mask must be below the length of the table, or places all within
// it; T must hold no pointers. Where the processor cannot be asked it does nothing.
func Lines[T any](table []T, places []uint32, mask uint32) {
	if len(table) > 0 && len(places) > 0 {
		lines(unsafe.Pointer(unsafe.SliceData(table)), unsafe.SliceData(places), len(places), mask, int(unsafe.Sizeof(table[0])))
	}
}
