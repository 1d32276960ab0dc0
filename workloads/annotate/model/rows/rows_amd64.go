package rows

import "golang.org/x/sys/cpu"

// vectors says that the processor has AVX2. Tests turn it off.
var vectors = cpu.X86.HasAVX2

//go:noescape
func sum64AVX2(sum *[Width64]int16, weights *int8, picked *uint32, n int, mask uint32)

//go:noescape
func add64AVX2(sum *[Width64]int16, weights *int8, picked *uint32, n int, mask uint32)

//go:noescape
func sum16AVX2(sum *[Width16]int16, weights *int8, picked *uint32, n int, mask uint32)

func sum64(sum *[Width64]int16, weights []int8, picked []uint32, mask uint32) {
	if !vectors || len(picked) == 0 {
		plainSum64(sum, weights, picked, mask)
		return
	}
	sum64AVX2(sum, &weights[0], &picked[0], len(picked), mask)
}

func add64(sum *[Width64]int16, weights []int8, picked []uint32, mask uint32) {
	if !vectors || len(picked) == 0 {
		plainAdd64(sum, weights, picked, mask)
		return
	}
	add64AVX2(sum, &weights[0], &picked[0], len(picked), mask)
}

func sum16(sum *[Width16]int16, weights []int8, picked []uint32, mask uint32) {
	if !vectors || len(picked) == 0 {
		plainSum16(sum, weights, picked, mask)
		return
	}
	sum16AVX2(sum, &weights[0], &picked[0], len(picked), mask)
}

//go:noescape
func best64AVX2(sum, floor *[Width64]int16) int

//go:noescape
func step16AVX2(now, before, emission *[Width16]int16, c *Chain16)

func best64(sum, floor *[Width64]int16) int {
	if !vectors {
		return plainBest64(sum, floor)
	}
	return best64AVX2(sum, floor)
}

func step16(now, before, emission *[Width16]int16, c *Chain16) {
	if !vectors {
		plainStep16(now, before, emission, c)
		return
	}
	step16AVX2(now, before, emission, c)
}
