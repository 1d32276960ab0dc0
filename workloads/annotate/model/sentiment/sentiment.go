// Package sentiment says whether a text is favourable: a linear model over the
// presence of words and of pairs of neighbours, trained as in Wang and Manning 2012
// ("Baselines and Bigrams"): each feature is scaled by how much more often it occurs
// in favourable texts than in others.
package sentiment

import (
	"fmt"
	"math"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/workspace"
)

// Weights are what a Classifier is made of.
type Weights struct {
	// Features has a weight for each hashed feature; a power of two of them.
	Features []int8
	// Bias and Scale make of the sum of the weights of a text's distinct features,
	// divided by the square root of their number, the log odds of a favourable text:
	// Bias + Scale * sum / sqrt(number).
	Bias, Scale float32
}

// Classifier tells favourable from unfavourable texts. It may be used by many
// goroutines at a time.
type Classifier struct {
	weights Weights
	scratch workspace.Pool[scratch]
}

// scratch has a bit for each feature that was seen, all zero between texts.
type scratch struct {
	seen   []uint64
	picked []uint32
}

// New makes a classifier of weights.
func New(w Weights) (*Classifier, error) {
	n := len(w.Features)
	if n < 64 || n&(n-1) != 0 || !finite(w.Bias) || !finite(w.Scale) {
		return nil, fmt.Errorf("sentiment: %d weights, bias %v and scale %v do not make a model", n, w.Bias, w.Scale)
	}
	c := &Classifier{weights: w}
	c.scratch = workspace.New(func() *scratch { return &scratch{seen: make([]uint64, n/64)} })
	return c, nil
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// Classify writes Sentiment. A text without words is not judged.
func (c *Classifier) Classify(d *document.Document) {
	s := c.scratch.Get()
	d.Sentiment = c.judge(d, s)
	c.scratch.Put(s)
}

func (c *Classifier) judge(d *document.Document, s *scratch) document.Sentiment {
	s.picked = s.pick(d, uint32(len(c.weights.Features)-1))
	if len(s.picked) == 0 {
		return document.Sentiment{}
	}
	sum := 0
	for _, f := range s.picked {
		sum += int(c.weights.Features[f])
		s.seen[f/64] = 0
	}
	odds := c.weights.Bias + c.weights.Scale*float32(sum)/float32(math.Sqrt(float64(len(s.picked))))
	return document.Sentiment{Known: true, Score: float32(math.Tanh(float64(odds) / 2))}
}

// pick gives the distinct features of a text: its words, and its pairs of neighbours.
func (s *scratch) pick(d *document.Document, mask uint32) []uint32 {
	picked := s.picked[:0]
	before := uint32(0)
	for i := range d.Tokens {
		w := d.Tokens[i].Word
		if d.Tokens[i].Shape == document.Mark && !telling(w) {
			continue
		}
		for _, f := range [...]uint32{one(w) & mask, two(before, w) & mask} {
			if bit := uint64(1) << (f % 64); s.seen[f/64]&bit == 0 {
				s.seen[f/64] |= bit
				picked = append(picked, f)
			}
		}
		before = w
	}
	return picked
}

var exclamation, question = document.HashString("!"), document.HashString("?")

func telling(w uint32) bool { return w == exclamation || w == question }

func one(w uint32) uint32 { return mix(uint64(w)) }

func two(before, w uint32) uint32 { return mix(uint64(before)<<32 | uint64(w) | 1<<63) }

func mix(key uint64) uint32 {
	x := key * 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return uint32(x >> 32)
}
