package entity

import (
	"math"
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/rows"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// Sentence is a sentence with its tags and the right marks. No word is empty.
type Sentence struct {
	Words []string
	Tags  []document.Tag
	Marks []document.EntityMark
}

// Options of training.
type Options struct {
	// Bits is the binary logarithm of the number of rows.
	Bits int
	// Rounds is how often the sentences are gone through.
	Rounds int
	// Rate is the step size of AdaGrad (Duchi, Hazan and Singer 2011).
	Rate float64
	// Decay is the weight of the squared norm.
	Decay float64
	// Dropout is the share of features left out at random.
	Dropout float64
	// Boldness is taken off the weight of being outside of names, in nats: more names
	// are found, and more that are none.
	Boldness float64
	// Random shuffles the sentences and drops features.
	Random *rand.Rand
}

// Train learns weights for New by maximising the conditional likelihood.
func Train(v *vocabulary.Vocabulary, sentences []Sentence, o Options) Weights {
	n := 1 << o.Bits * labels
	t := &trainer{vocabulary: v, options: o, mask: 1<<o.Bits - 1, weights: make([]float32, n), squares: make([]float32, n)}
	order := o.Random.Perm(len(sentences))
	for round := range o.Rounds {
		t.rate = o.Rate * (1 - float64(round)/float64(o.Rounds))
		o.Random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			t.learn(sentences[i])
		}
	}
	return t.quantise()
}

type trainer struct {
	vocabulary *vocabulary.Vocabulary
	options    Options
	rate       float64
	mask       uint32
	weights    []float32 // labels a row
	squares    []float32
	chain      chain
	document   document.Document
	words      []word
	picked     []uint32
	ends       []int // of each word's features in picked
}

func (t *trainer) learn(s Sentence) {
	if len(s.Words) == 0 {
		return
	}
	d := &t.document
	d.Reset()
	d.AppendWords(s.Words)
	for i := range d.Tokens {
		d.Tokens[i].Tag = s.Tags[i]
	}
	t.vocabulary.Assign(d)
	t.words = describe(t.words, d, d.Sentences[0], t.vocabulary)
	right := labelsOf(s.Marks)
	t.pick(right)
	t.chain.expect(right)
	t.move(right)
	t.chain.learn(t.rate, t.options.Decay)
}

// pick finds each word's features and the sums of their rows. A word that is never
// part of a name is left out unless it is one here.
func (t *trainer) pick(right []int) {
	t.picked, t.ends = t.picked[:0], t.ends[:0]
	t.chain.emissions = t.chain.emissions[:0]
	for i := range right {
		var e [labels]float64
		if named(t.words, i+window) == 0 && right[i] == 0 {
			for l := 1; l < labels; l++ {
				e[l] = -50
			}
		} else {
			from := len(t.picked)
			t.picked = append(t.picked, make([]uint32, most)...)
			features((*[most]uint32)(t.picked[from:]), t.words, i+window)
			t.drop(from)
			t.sum(t.picked[from:], &e)
		}
		t.ends = append(t.ends, len(t.picked))
		t.chain.emissions = append(t.chain.emissions, e)
	}
}

func (t *trainer) drop(from int) {
	kept := t.picked[:from]
	for _, f := range t.picked[from:] {
		if t.options.Dropout == 0 || t.options.Random.Float64() >= t.options.Dropout {
			kept = append(kept, f&t.mask)
		}
	}
	t.picked = kept
}

func (t *trainer) sum(picked []uint32, e *[labels]float64) {
	for _, f := range picked {
		row := t.weights[int(f)*labels : int(f)*labels+labels]
		for l, w := range row {
			e[l] += float64(w)
		}
	}
	if t.options.Dropout > 0 {
		for l := range e {
			e[l] /= 1 - t.options.Dropout
		}
	}
}

// move steps against the gradient, which for each label of a word is its probability,
// less one for the right one.
func (t *trainer) move(right []int) {
	from := 0
	for i, end := range t.ends {
		gradient := t.chain.marginals[i]
		gradient[right[i]]--
		for l, g := range gradient {
			if math.Abs(g) < 1e-3 {
				continue
			}
			for _, f := range t.picked[from:end] {
				step(&t.weights[int(f)*labels+l], &t.squares[int(f)*labels+l], g, t.rate, t.options.Decay)
			}
		}
		from = end
	}
}

func step(w, squares *float32, gradient, rate, decay float64) {
	gradient += decay * float64(*w)
	*squares += float32(gradient * gradient)
	*w -= float32(rate * gradient / math.Sqrt(float64(*squares)+1e-6))
}

func (t *trainer) quantise() Weights {
	var squares, most float64
	count := 0
	for _, w := range t.weights {
		if w != 0 {
			squares += float64(w) * float64(w)
			count++
			most = max(most, math.Abs(float64(w)))
		}
	}
	scale := 1.0
	if count > 0 {
		scale = 127 / min(most, 14*math.Sqrt(squares/float64(count)))
	}
	out := Weights{Emissions: make([]int8, len(t.weights)/labels*rows.Width16), Transitions: make([]int16, TransitionCount)}
	for i, w := range t.weights {
		q := math.Round(float64(w) * scale)
		out.Emissions[i/labels*rows.Width16+i%labels] = int8(max(-127, min(127, q)))
	}
	for p := range 16 {
		for l := range labels {
			w := t.chain.transitions[p][l]
			if l == 0 {
				w -= t.options.Boldness
			}
			out.Transitions[p*16+l] = int16(max(-30000, min(30000, math.Round(w*scale))))
		}
	}
	return out
}
