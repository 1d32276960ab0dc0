// Package sentiment says whether a text is favourable: a linear model over the
// presence of words and of pairs of neighbours, trained as in Wang and Manning 2012
// ("Baselines and Bigrams"): each feature is scaled by how much more often it occurs
// in favourable texts than in others.
package sentiment

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/prefetch"
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

// scratch has a bit for each pair that was seen; pairs that share one by chance are
// taken for the same (Bloom 1970), fewer than one in fifty of a text.
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
	c.scratch = workspace.New(func() *scratch { return &scratch{} })
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
	s.picked = s.pick(d, c.weights.Features, uint32(len(c.weights.Features)-1))
	if len(s.picked) == 0 {
		return document.Sentiment{}
	}
	sum := 0
	for _, f := range s.picked {
		sum += int(c.weights.Features[f])
	}
	odds := c.weights.Bias + c.weights.Scale*float32(sum)/float32(math.Sqrt(float64(len(s.picked))))
	return document.Sentiment{Known: true, Score: float32(math.Tanh(float64(odds) / 2))}
}

// pick gives the distinct features of a text, its words and its pairs of neighbours, and
// asks for their weights, if there are any yet.
func (s *scratch) pick(d *document.Document, weights []int8, mask uint32) []uint32 {
	s.picked = slices.Grow(s.picked[:0], len(d.Terms)+len(d.Tokens))
	for i := range d.Terms {
		if t := &d.Terms[i]; d.Tokens[t.First].Shape != document.Mark || telling(t.Word) {
			s.picked = append(s.picked, one(t.Word)&mask)
		}
	}
	prefetch.Lines(weights, s.picked, mask)
	shift := s.clear(len(d.Tokens))
	before := uint32(0)
	for rest := d.Tokens; len(rest) > 0; {
		some := rest[:min(ahead, len(rest))]
		n := len(s.picked)
		before = s.pairs(some, before, shift, mask)
		prefetch.Lines(weights, s.picked[n:], mask)
		rest = rest[len(some):]
	}
	return s.picked
}

// ahead is for how many tokens weights are asked for at a time.
const ahead = 64

// pairs appends the pairs of neighbours to those picked, and gives the last word.
func (s *scratch) pairs(tokens []document.Token, before, shift, mask uint32) uint32 {
	n := len(s.picked)
	picked := s.picked[:n+len(tokens)]
	for i := range tokens {
		t := &tokens[i]
		if t.Shape == document.Mark && !telling(t.Word) {
			continue
		}
		f := two(before, t.Word)
		before = t.Word
		picked[n] = f & mask // stays if it is new
		at, bit := f>>shift/64, f>>shift%64
		n += int(^s.seen[at] >> bit & 1)
		s.seen[at] |= 1 << bit
	}
	s.picked = picked[:n]
	return before
}

// clear makes 32 to 64 bits for each token, of 2^10 to 2^24 in all, and gives the shift
// that leaves of a hash the number of a bit.
func (s *scratch) clear(tokens int) (shift uint32) {
	size := min(max(bits.Len(uint(tokens))+5, 10), 24)
	words := 1 << size / 64
	s.seen = slices.Grow(s.seen[:0], words)[:words]
	clear(s.seen)
	return uint32(32 - size)
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
