package trigger

import (
	"math"

	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Drift is judged by two-sample chi-square tests (Press et al., Numerical Recipes,
// 14.3) of a window of samples against a reference, over 17 quantities: the score, and
// of the record its 16 parts (a byte each, or the mean of a sixteenth of the bytes,
// by powers of two), each in 16 bins. The chance of a false alarm is divided by the
// number of quantities (Bonferroni).

const (
	quantities = 17
	bins       = 16
)

// histogram counts a window.
type histogram struct {
	counts [quantities][bins]int
	size   int
}

// add counts a record and its score, the latter by the edges.
func (h *histogram) add(record []byte, score int32, edges *[bins - 1]int32) {
	h.addRecord(record)
	h.addScore(score, edges)
}

func (h *histogram) addRecord(record []byte) {
	part := max(len(record)/(quantities-1), 1)
	for q := range min(quantities-1, len(record)/part) {
		h.counts[q][binOf(record[q*part:(q+1)*part])]++
	}
	h.size++
}

func (h *histogram) addScore(score int32, edges *[bins - 1]int32) {
	bin := 0
	for bin < bins-1 && score > edges[bin] {
		bin++
	}
	h.counts[quantities-1][bin]++
}

// binOf puts a byte into 16 even bins, and a mean of bytes into bins that double
// every second time, as means of a mostly dark picture are small.
func binOf(part []byte) int {
	if len(part) == 1 {
		return int(part[0]) / 16
	}
	sum := 0
	for _, b := range part {
		sum += int(b)
	}
	mean := float64(sum) / float64(len(part))
	return min(int(2*math.Log2(1+8*mean)), bins-1)
}

// edgesOf divides scores evenly into bins. They are sorted.
func edgesOf(scores []int32) (edges [bins - 1]int32) {
	for i := range edges {
		edges[i] = scores[(i+1)*len(scores)/bins]
	}
	return edges
}

// Drift is what a test of a window found.
type Drift struct {
	// Drifted says that some quantity differs more than chance allows.
	Drifted bool
	// Quantity is the one that differs most: 0 to 15 a part of the record, 16 the
	// score. Chance is how likely as large a difference is without drift.
	Quantity int
	Chance   float64
}

// compare tests two windows.
func compare(reference, window *histogram, significance float64) Drift {
	d := Drift{Chance: 1}
	for q := range quantities {
		if p := chance(&reference.counts[q], &window.counts[q]); p < d.Chance {
			d.Quantity, d.Chance = q, p
		}
	}
	d.Drifted = d.Chance < significance/quantities
	return d
}

// chance is the probability that two histograms of one distribution differ as much.
func chance(a, b *[bins]int) float64 {
	sumA, sumB := 0, 0
	for i := range a {
		sumA += a[i]
		sumB += b[i]
	}
	if sumA == 0 || sumB == 0 {
		return 1
	}
	ratio := math.Sqrt(float64(sumB) / float64(sumA))
	square, freedom := 0.0, -1
	for i := range a {
		if a[i]+b[i] == 0 {
			continue
		}
		freedom++
		d := float64(a[i])*ratio - float64(b[i])/ratio
		square += d * d / float64(a[i]+b[i])
	}
	if freedom < 1 {
		return 1
	}
	return chiSquareTail(square, freedom)
}

// chiSquareTail is the probability that a chi-square variable exceeds x: the
// regularised upper incomplete gamma function Q(freedom/2, x/2), in closed form for
// whole and half numbers.
func chiSquareTail(x float64, freedom int) float64 {
	if x <= 0 {
		return 1
	}
	term, sum, from := math.Exp(-x/2), 0.0, 2
	if freedom%2 == 1 {
		sum = math.Erfc(math.Sqrt(x / 2))
		term, from = math.Sqrt(2*x/math.Pi)*math.Exp(-x/2), 3
	}
	for k := from; k <= freedom; k += 2 {
		sum += term
		term *= x / float64(k)
	}
	return min(sum, 1)
}

// scoreWith scores a record with a network, whatever model decided about it.
func scoreWith(n *network.Network, record []byte) int32 { return network.Score(n.Logits(record)) }
