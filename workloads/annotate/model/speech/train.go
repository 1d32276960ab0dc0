package speech

import (
	"math"
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/rows"
	"github.com/starling-vr/starling/workloads/annotate/model/vocabulary"
)

// Sentence is a sentence with the right tags. It has words, none of them empty.
type Sentence struct {
	Words []string
	Tags  []document.Tag
}

// Options of training.
type Options struct {
	// Bits is the binary logarithm of the number of rows.
	Bits int
	// Rounds is how often the sentences are gone through.
	Rounds int
	// Random shuffles the sentences before each round.
	Random *rand.Rand
}

// Train learns weights for New. The tagger learns after its own tags, not the right
// ones, so that it learns to live with its mistakes.
func Train(v *vocabulary.Vocabulary, sentences []Sentence, o Options) []int8 {
	t := trainer{vocabulary: v, perceptron: newPerceptron(1<<o.Bits, document.Tags), mask: 1<<o.Bits - 1, picked: make([]uint32, 0, most)}
	order := o.Random.Perm(len(sentences))
	for range o.Rounds {
		o.Random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			t.learn(sentences[i])
		}
	}
	return quantise(t.perceptron.averages(), document.Tags)
}

type trainer struct {
	vocabulary *vocabulary.Vocabulary
	perceptron *perceptron
	mask       uint32
	document   document.Document
	words      []word
	picked     []uint32
	sum        [document.Tags]float32
}

func (t *trainer) describe(s Sentence) {
	d := &t.document
	d.Reset()
	d.AppendWords(s.Words)
	t.vocabulary.Assign(d)
	t.words = describe(t.words, d, d.Sentences[0], t.vocabulary)
}

func (t *trainer) learn(s Sentence) {
	t.describe(s)
	var before, earlier document.Tag
	for i, right := range s.Tags {
		tag := t.words[i+window].only
		if tag == document.NoTag {
			tag = t.step(i, right, before, earlier)
		}
		earlier, before = before, tag
	}
}

func (t *trainer) step(i int, right, before, earlier document.Tag) document.Tag {
	t.picked = t.picked[:most]
	fixed((*[fixedFeatures]uint32)(t.picked), t.words, i+window)
	moving((*[movingFeatures]uint32)(t.picked[fixedFeatures:]), t.words, i+window, before, earlier)
	for k := range t.picked {
		t.picked[k] &= t.mask
	}
	clear(t.sum[:])
	t.perceptron.scores(t.picked, t.sum[:])
	tag := 1
	for k := 2; k < len(t.sum); k++ {
		if t.sum[k] > t.sum[tag] {
			tag = k
		}
	}
	t.perceptron.step++
	if document.Tag(tag) != right {
		t.perceptron.learn(t.picked, int(right), tag)
	}
	return document.Tag(tag)
}

// quantise brings rows of labels weights to 8 bits in rows of 64, by one scale that
// cuts off only what lies beyond 30 times the root mean square.
func quantise(weights []float32, labels int) []int8 {
	var squares, most float64
	count := 0
	for _, w := range weights {
		if w != 0 {
			squares += float64(w) * float64(w)
			count++
			most = max(most, math.Abs(float64(w)))
		}
	}
	if count == 0 {
		return make([]int8, len(weights)/labels*rows.Width64)
	}
	scale := 127 / min(most, 30*math.Sqrt(squares/float64(count)))
	out := make([]int8, len(weights)/labels*rows.Width64)
	for i, w := range weights {
		q := math.Round(float64(w) * scale)
		out[i/labels*rows.Width64+i%labels] = int8(max(-127, min(127, q)))
	}
	return out
}
