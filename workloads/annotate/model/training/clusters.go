package training

import (
	"math"
	"math/rand/v2"
)

// Levels of the clustering: the clusters of a level divide one of the level above into branches.
var branches = [...]int{32, 8, 8}

// clusterWords divides the words, by the direction of their vectors, into a tree of clusters:
// 32, each divided into 8, and each of these into 8. It gives each word's leaf, from 1 on, so that
// (leaf-1)>>3 and (leaf-1)>>6 number the clusters above. Words with a zero vector get 0.
// The clustering is spherical k-means (Dhillon and Modha 2001).
func clusterWords(v *Vectors, rounds int, rng *rand.Rand) []uint16 {
	unit := unitVectors(v)
	n := len(v.Words)
	leaf := make([]uint16, n)
	members := make([]int32, 0, n)
	for i := range n {
		if norm(unit[i*v.Dimensions:(i+1)*v.Dimensions]) > 0 {
			members = append(members, int32(i))
		}
	}
	t := clusterTree{unit: unit, dimensions: v.Dimensions, leaf: leaf, rounds: rounds, rng: rng}
	t.divide(members, 0, 0)
	return leaf
}

type clusterTree struct {
	unit       []float32
	dimensions int
	leaf       []uint16
	rounds     int
	rng        *rand.Rand
}

func (t *clusterTree) divide(members []int32, level, number int) {
	if level == len(branches) {
		for _, i := range members {
			t.leaf[i] = uint16(number + 1)
		}
		return
	}
	for k, part := range t.split(members, branches[level]) {
		t.divide(part, level+1, number*branches[level]+k)
	}
}

func (t *clusterTree) vector(i int32) []float32 {
	return t.unit[int(i)*t.dimensions : (int(i)+1)*t.dimensions]
}

func (t *clusterTree) split(members []int32, k int) [][]int32 {
	parts := make([][]int32, k)
	if len(members) == 0 {
		return parts
	}
	centres := make([]float32, k*t.dimensions)
	for c := range k {
		copy(centres[c*t.dimensions:], t.vector(members[t.rng.IntN(len(members))]))
	}
	sums := make([]float32, len(centres))
	for range t.rounds {
		clear(sums)
		for c := range parts {
			parts[c] = parts[c][:0]
		}
		for _, i := range members {
			x := t.vector(i)
			c := nearest(centres, x)
			parts[c] = append(parts[c], i)
			add(sums[c*t.dimensions:(c+1)*t.dimensions], x)
		}
		for c := range k {
			normalise(centres[c*t.dimensions:(c+1)*t.dimensions], sums[c*t.dimensions:(c+1)*t.dimensions])
		}
	}
	return parts
}

// nearest gives the centre with the largest dot product.
func nearest(centres, x []float32) int {
	best, most := 0, float32(math.Inf(-1))
	for c := 0; c*len(x) < len(centres); c++ {
		if s := dot(centres[c*len(x):(c+1)*len(x)], x); s > most {
			best, most = c, s
		}
	}
	return best
}

func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

func add(sum, x []float32) {
	for i := range sum {
		sum[i] += x[i]
	}
}

func norm(x []float32) float32 { return float32(math.Sqrt(float64(dot(x, x)))) }

// normalise writes x at unit length; a zero x leaves dst.
func normalise(dst, x []float32) {
	n := norm(x)
	if n == 0 {
		return
	}
	for i := range dst {
		dst[i] = x[i] / n
	}
}

func unitVectors(v *Vectors) []float32 {
	unit := make([]float32, len(v.Values))
	for i := range v.Words {
		normalise(unit[i*v.Dimensions:(i+1)*v.Dimensions], v.Vector(i))
	}
	return unit
}
