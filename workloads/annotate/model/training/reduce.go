package training

import (
	"cmp"
	"math"
	"slices"

	"github.com/starling-vr/starling/workloads/annotate/model/embedding"
)

// principalFrom is the number of words, the most frequent, that principal components
// are found from.
const principalFrom = 30_000

// reduce brings vectors to embedding.Dimensions: their directions, less the mean, in
// the axes along which those of frequent words vary most (principal components).
func reduce(v *Vectors) [][embedding.Dimensions]float32 {
	unit := unitVectors(v)
	n := min(len(v.Words), principalFrom)
	mean := meanOf(unit, n, v.Dimensions)
	axes := principalAxes(covariance(unit, mean, n, v.Dimensions), embedding.Dimensions)
	out := make([][embedding.Dimensions]float32, len(v.Words))
	centred := make([]float32, v.Dimensions)
	for i := range out {
		for k := range centred {
			centred[k] = unit[i*v.Dimensions+k] - mean[k]
		}
		for a, axis := range axes {
			out[i][a] = dot(axis, centred)
		}
		normalise(out[i][:], out[i][:])
	}
	return out
}

func meanOf(unit []float32, n, dimensions int) []float32 {
	mean := make([]float32, dimensions)
	for i := range n {
		add(mean, unit[i*dimensions:(i+1)*dimensions])
	}
	for k := range mean {
		mean[k] /= float32(n)
	}
	return mean
}

func covariance(unit, mean []float32, n, dimensions int) [][]float64 {
	c := make([][]float64, dimensions)
	for i := range c {
		c[i] = make([]float64, dimensions)
	}
	x := make([]float64, dimensions)
	for i := range n {
		for k := range x {
			x[k] = float64(unit[i*dimensions+k] - mean[k])
		}
		for a := range x {
			for b := a; b < dimensions; b++ {
				c[a][b] += x[a] * x[b]
			}
		}
	}
	for a := range c {
		for b := range a {
			c[a][b] = c[b][a]
		}
	}
	return c
}

// principalAxes gives the eigenvectors of the largest eigenvalues of a symmetric
// matrix, by Jacobi's cyclic rotations (Golub and Van Loan, 8.5). It uses up the matrix.
func principalAxes(m [][]float64, count int) [][]float32 {
	n := len(m)
	vectors := make([][]float64, n)
	for i := range vectors {
		vectors[i] = make([]float64, n)
		vectors[i][i] = 1
	}
	for range 12 {
		for p := range n {
			for q := p + 1; q < n; q++ {
				rotate(m, vectors, p, q)
			}
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m[b][b], m[a][a]) })
	axes := make([][]float32, min(count, n))
	for a := range axes {
		axes[a] = make([]float32, n)
		for k := range n {
			axes[a][k] = float32(vectors[order[a]][k])
		}
	}
	return axes
}

// rotate makes m[p][q] zero. Rows of vectors are the eigenvectors in the making.
func rotate(m, vectors [][]float64, p, q int) {
	if math.Abs(m[p][q]) < 1e-12 {
		return
	}
	theta := (m[q][q] - m[p][p]) / (2 * m[p][q])
	t := 1 / (math.Abs(theta) + math.Sqrt(theta*theta+1))
	if theta < 0 {
		t = -t
	}
	c := 1 / math.Sqrt(t*t+1)
	s := t * c
	for k := range m {
		m[k][p], m[k][q] = c*m[k][p]-s*m[k][q], s*m[k][p]+c*m[k][q]
	}
	for k := range m {
		m[p][k], m[q][k] = c*m[p][k]-s*m[q][k], s*m[p][k]+c*m[q][k]
		vectors[p][k], vectors[q][k] = c*vectors[p][k]-s*vectors[q][k], s*vectors[p][k]+c*vectors[q][k]
	}
}

// vectorWords is the number of words of the vocabulary, the most frequent, that get vectors.
const vectorWords = 1 << 16

// vectorsOf gives the rows of the vocabulary's vectors: each word's direction times
// its rarity, as integers.
func vectorsOf(n *numbered, v *Vectors) []int8 {
	reduced := reduce(v)
	var most float64
	each := func(use func(number int, value float64, k int)) {
		for number := range min(len(n.Hash), vectorWords) {
			if n.vector[number] < 0 {
				continue
			}
			for k, x := range reduced[n.vector[number]] {
				use(number, float64(x)*float64(n.Rarity[number]), k)
			}
		}
	}
	each(func(_ int, value float64, _ int) { most = max(most, math.Abs(value)) })
	out := make([]int8, vectorWords*embedding.Dimensions)
	if most == 0 {
		return out
	}
	each(func(number int, value float64, k int) {
		out[number*embedding.Dimensions+k] = int8(math.Round(value * 127 / most))
	})
	return out
}
