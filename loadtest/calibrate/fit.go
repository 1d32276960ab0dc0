package calibrate

import (
	"math"
	"slices"
)

// equation says that the sum of counts times unknown costs is what was measured.
type equation struct {
	counts   []float64
	measured float64
}

// fit finds costs, none of them negative, that explain measurements best: the
// least squares of relative deviations. What the measurements leave open is decided
// by the prior, to which each cost is drawn with a little weight (ridge regression).
// It goes down along one coordinate after another.
func fit(equations []equation, prior []float64) []float64 {
	const weight = 0.03 // of a relative deviation from the prior, beside one of a measurement
	costs := slices.Clone(prior)
	for range 20_000 {
		moved := 0.0
		for j := range costs {
			// The minimum along this coordinate, the others as they are.
			above, below := weight/prior[j], weight/(prior[j]*prior[j])
			for _, e := range equations {
				rest := e.measured - dot(e.counts, costs) + e.counts[j]*costs[j]
				w := 1 / (e.measured * e.measured)
				above += w * e.counts[j] * rest
				below += w * e.counts[j] * e.counts[j]
			}
			best := math.Max(0, above/below)
			moved = math.Max(moved, math.Abs(best-costs[j])/prior[j])
			costs[j] = best
		}
		if moved < 1e-9 {
			break
		}
	}
	return costs
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
