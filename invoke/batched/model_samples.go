package batched

import (
	"math/bits"
	"slices"
)

const classRuns = 32

// sample is one run.
type sample struct {
	n       int
	seconds float64
}

// ring keeps the last size samples.
type ring struct {
	size    int
	samples []sample
	next    int
}

func (r *ring) add(s sample) {
	if len(r.samples) < r.size {
		r.samples = append(r.samples, s)
		return
	}
	r.samples[r.next] = s
	r.next = (r.next + 1) % r.size
}

// sizeClass keeps the runs of sizes that are close: each size up to 8, and four
// classes for each doubling beyond.
type sizeClass struct{ ring }

func classOf(n int) int {
	if n <= 8 {
		return n - 1
	}
	octave := bits.Len(uint(n-1)) - 4 // 9..16 is 0
	return 8 + 4*octave + (n-1)>>(octave+1) - 4
}

// point is the median size and the median time, which belong together because time
// grows with size.
func (c *sizeClass) point() point {
	sizes, seconds := make([]int, len(c.samples)), make([]float64, len(c.samples))
	for i, s := range c.samples {
		sizes[i], seconds[i] = s.n, s.seconds
	}
	slices.Sort(sizes)
	slices.Sort(seconds)
	middle := len(sizes) / 2
	return point{float64(sizes[middle]), seconds[middle], float64(len(sizes))}
}
