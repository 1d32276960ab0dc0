package prefetch

import "unsafe"

//go:noescape
func lines(table unsafe.Pointer, places *uint32, n int, mask uint32, size int)
