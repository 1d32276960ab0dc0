package sentiment

import (
	"math"
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// Example is a text with the right answer, as the features that it has.
type Example struct {
	Favourable bool
	features   []uint32
}

// NewExample takes the features of a text. Bits is the binary logarithm of the number
// of weights.
func NewExample(d *document.Document, favourable bool, bits int) Example {
	s := scratch{}
	return Example{Favourable: favourable, features: s.pick(d, nil, 1<<bits-1)}
}

// Options of training.
type Options struct {
	// Bits is the binary logarithm of the number of weights, at least 6.
	Bits int
	// Rounds is how often the examples are gone through.
	Rounds int
	// Smoothing is added to the number of texts with a feature.
	Smoothing float64
	// Rate is the first step of gradient descent; steps shrink to zero.
	Rate float64
	// Decay is the weight of the squared norm.
	Decay float64
	// Trust is the share of each weight that is the feature's own; the rest is the mean
	// of all weights, with which the features' ratios count as naive Bayes has them.
	Trust float64
	// Random shuffles the examples.
	Random *rand.Rand
}

// Train learns weights for New: logistic regression over features scaled by their
// log count ratio.
func Train(examples []Example, o Options) Weights {
	ratio := logRatios(examples, o)
	t := trainer{ratio: ratio, weight: make([]float64, len(ratio)), options: o}
	order := o.Random.Perm(len(examples))
	for round := range o.Rounds {
		rate := o.Rate * (1 - float64(round)/float64(o.Rounds))
		o.Random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			t.learn(&examples[i], rate)
		}
	}
	t.interpolate()
	return t.quantise()
}

// logRatios gives for each feature the logarithm of its frequency in favourable texts
// over that in others.
func logRatios(examples []Example, o Options) []float64 {
	n := 1 << o.Bits
	counts := [2][]float64{make([]float64, n), make([]float64, n)}
	var totals [2]float64
	for i := range examples {
		side := 0
		if examples[i].Favourable {
			side = 1
		}
		for _, f := range examples[i].features {
			counts[side][f]++
			totals[side]++
		}
	}
	ratio := make([]float64, n)
	for f := range ratio {
		if counts[0][f]+counts[1][f] > 0 {
			ratio[f] = math.Log((counts[1][f] + o.Smoothing) / (totals[1] + o.Smoothing*float64(n)) *
				(totals[0] + o.Smoothing*float64(n)) / (counts[0][f] + o.Smoothing))
		}
	}
	return ratio
}

type trainer struct {
	ratio, weight []float64
	bias          float64
	options       Options
}

func (t *trainer) learn(e *Example, rate float64) {
	if len(e.features) == 0 {
		return
	}
	length := 1 / math.Sqrt(float64(len(e.features)))
	odds := t.bias
	for _, f := range e.features {
		odds += t.weight[f] * t.ratio[f] * length
	}
	gradient := 1 / (1 + math.Exp(-odds))
	if e.Favourable {
		gradient--
	}
	t.bias -= rate * gradient * 0.1
	for _, f := range e.features {
		t.weight[f] -= rate * (gradient*t.ratio[f]*length + t.options.Decay*t.weight[f])
	}
}

// interpolate brings weights towards their mean (2.3 in Wang and Manning).
func (t *trainer) interpolate() {
	var sum float64
	count := 0
	for f, w := range t.weight {
		if t.ratio[f] != 0 {
			sum += math.Abs(w)
			count++
		}
	}
	mean := sum / float64(max(count, 1))
	t.bias *= t.options.Trust
	for f := range t.weight {
		t.weight[f] = (1-t.options.Trust)*mean + t.options.Trust*t.weight[f]
	}
}

func (t *trainer) quantise() Weights {
	var squares float64
	count := 0
	for f, w := range t.weight {
		if x := w * t.ratio[f]; x != 0 {
			squares += x * x
			count++
		}
	}
	step := 12 * math.Sqrt(squares/float64(max(count, 1))) / 127
	out := Weights{Features: make([]int8, len(t.weight)), Bias: float32(t.bias), Scale: float32(step)}
	for f, w := range t.weight {
		if step > 0 {
			out.Features[f] = int8(max(-127, min(127, math.Round(w*t.ratio[f]/step))))
		}
	}
	return out
}

// Odds judges an example.
func (w *Weights) Odds(e *Example) float64 {
	sum := 0
	for _, f := range e.features {
		sum += int(w.Features[f])
	}
	return float64(w.Bias) + float64(w.Scale)*float64(sum)/math.Sqrt(float64(max(1, len(e.features))))
}
