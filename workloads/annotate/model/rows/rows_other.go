//go:build !amd64

package rows

func sum64(sum *[Width64]int16, weights []int8, picked []uint32, mask uint32) {
	plainSum64(sum, weights, picked, mask)
}

func add64(sum *[Width64]int16, weights []int8, picked []uint32, mask uint32) {
	plainAdd64(sum, weights, picked, mask)
}

func sum16(sum *[Width16]int16, weights []int8, picked []uint32, mask uint32) {
	plainSum16(sum, weights, picked, mask)
}

func best64(sum, floor *[Width64]int16) int { return plainBest64(sum, floor) }

func step16(now, before, emission *[Width16]int16, c *Chain16) { plainStep16(now, before, emission, c) }
