package training

import (
	"math"
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/trigger/detector"
)

// Sample is an event with its truth.
type Sample struct {
	Record []byte
	Class  int
}

// Simulate draws count events, the share signal of them signals.
func Simulate(d detector.Detector, count int, signal float64, random *rand.Rand) []Sample {
	samples := make([]Sample, count)
	memory := make([]byte, count*d.Size())
	for i := range samples {
		s := &samples[i]
		s.Record = memory[i*d.Size() : (i+1)*d.Size() : (i+1)*d.Size()]
		s.Class = detector.Mix(random, d, signal)
		d.Event(random, s.Class, s.Record)
	}
	return samples
}

// Balance repeats samples at random until signals are as many as the background, each
// of their classes with an equal share. Classes without samples stay without.
func Balance(samples []Sample, random *rand.Rand) []Sample {
	var classes [][]Sample
	for _, s := range samples {
		for len(classes) <= s.Class {
			classes = append(classes, nil)
		}
		classes[s.Class] = append(classes[s.Class], s)
	}
	if len(classes) < 2 {
		return samples
	}
	signals := 0
	for _, c := range classes[1:] {
		if len(c) > 0 {
			signals++
		}
	}
	var balanced []Sample
	want := len(samples) / 2
	for class, c := range classes {
		n := want
		if class > 0 {
			n = want / signals
		}
		if len(c) == 0 {
			continue
		}
		for _, i := range random.Perm(max(n, len(c)))[:n] {
			balanced = append(balanced, c[i%len(c)])
		}
	}
	return balanced
}

// Options say how to train. The zero value is usable.
type Options struct {
	// Epochs is how often all samples are gone through. Default 12.
	Epochs int
	// Batch is after how many samples weights change. Default 64.
	Batch int
	// Rate is the first learning rate; it falls to a tenth as a cosine. Default 0.003.
	Rate float64
	// Tune trains for int8: with weights and activations rounded as they will be.
	Tune bool
	// Decay is by how much weights shrink in each step, times the learning rate.
	Decay float64
}

func (o Options) withDefaults() Options {
	if o.Epochs <= 0 {
		o.Epochs = 12
	}
	if o.Batch <= 0 {
		o.Batch = 64
	}
	if o.Rate <= 0 {
		o.Rate = 0.003
	}
	return o
}

// Trainer trains a model step by step, so that a step can be an invocation of its own
// and nothing waits for all of them. It minimises the cross-entropy by Adam (Kingma,
// Ba, 2015).
type Trainer struct {
	model   *Model
	options Options
	samples []Sample
	random  *rand.Rand

	order       []int
	at, step    int
	steps       int
	gradient    []layer
	first       []layer // moments
	second      []layer
	work        workspace
	tuned       *Model // with rounded weights, nil if not tuned
	plans       []plan
	loss        float64
	lossSamples int
}

// NewTrainer prepares to train model, in place, with samples.
func NewTrainer(model *Model, samples []Sample, options Options, random *rand.Rand) *Trainer {
	t := &Trainer{model: model, options: options.withDefaults(), samples: samples, random: random}
	batches := (len(samples) + t.options.Batch - 1) / t.options.Batch
	t.steps = batches * t.options.Epochs
	for _, moments := range []*[]layer{&t.gradient, &t.first, &t.second} {
		for _, l := range model.layers {
			*moments = append(*moments, layer{l.inputs, l.units, make([]float32, len(l.weights)), make([]float32, len(l.bias))})
		}
	}
	t.work.fit(model)
	if options.Tune {
		t.tuned = model.clone()
	}
	return t
}

// Steps says how many steps there are and how many were done.
func (t *Trainer) Steps() (done, all int) { return t.step, t.steps }

// Loss is the mean cross-entropy since it was last asked for.
func (t *Trainer) Loss() float64 {
	loss := t.loss / float64(max(t.lossSamples, 1))
	t.loss, t.lossSamples = 0, 0
	return loss
}

// Step goes through one batch; false when there was none left.
func (t *Trainer) Step() bool {
	if t.step >= t.steps {
		return false
	}
	if t.at == len(t.order) {
		t.order, t.at = t.random.Perm(len(t.samples)), 0
		if t.tuned != nil {
			t.plan()
		}
	}
	if t.tuned != nil {
		t.model.rounded(t.plans, t.tuned.layers)
	}
	n := min(t.options.Batch, len(t.order)-t.at)
	for _, i := range t.order[t.at : t.at+n] {
		t.backward(&t.samples[i])
	}
	t.at += n
	t.step++
	t.descend(n)
	return true
}

// plan chooses scales anew: they follow the weights, once an epoch.
func (t *Trainer) plan() {
	t.plans = t.model.plans(t.samples)
	t.tuned.ceilings = nil
	for _, p := range t.plans[:len(t.plans)-1] {
		t.tuned.ceilings = append(t.tuned.ceilings, p.ceiling)
	}
}

// backward adds a sample's gradient.
func (t *Trainer) backward(s *Sample) {
	m, w := t.model, &t.work
	if t.tuned != nil {
		m = t.tuned
	}
	m.forward(s.Record, w)
	last := len(m.layers) - 1
	t.loss += softmax(w.y[last], s.Class, w.dy[last])
	t.lossSamples++
	for l := last; l >= 0; l-- {
		x := w.x
		var dx []float32
		if l > 0 {
			x, dx = w.y[l-1], w.dy[l-1]
		}
		m.layers[l].backward(&t.gradient[l], x, w.dy[l], dx)
	}
}

// softmax writes the gradient of the cross-entropy and returns it.
func softmax(y []float32, class int, dy []float32) float64 {
	highest := y[0]
	for _, v := range y {
		highest = max(highest, v)
	}
	sum := 0.0
	for o, v := range y {
		e := math.Exp(float64(v - highest))
		dy[o] = float32(e)
		sum += e
	}
	for o := range dy {
		dy[o] /= float32(sum)
	}
	loss := -math.Log(max(float64(dy[class]), 1e-12))
	dy[class]--
	return loss
}

// backward adds to the gradient of the layer's weights, and gives that of its inputs,
// which are outputs of a hidden layer: where they are 0 nothing flows.
func (l *layer) backward(gradient *layer, x, dy, dx []float32) {
	for o, v := range dy {
		gradient.bias[o] += v
	}
	for i, v := range x {
		if v == 0 {
			if dx != nil {
				dx[i] = 0
			}
			continue
		}
		row, sums := l.weights[i*l.units:(i+1)*l.units], gradient.weights[i*l.units:(i+1)*l.units]
		back := float32(0)
		for o, d := range dy {
			sums[o] += v * d
			back += row[o] * d
		}
		if dx != nil {
			dx[i] = back
		}
	}
}

func (t *Trainer) descend(n int) {
	progress := float64(t.step) / float64(t.steps)
	rate := t.options.Rate * (0.1 + 0.9*(1+math.Cos(math.Pi*progress))/2)
	rate *= math.Sqrt(1-math.Pow(0.999, float64(t.step))) / (1 - math.Pow(0.9, float64(t.step)))
	for l := range t.model.layers {
		to, g, m, v := &t.model.layers[l], &t.gradient[l], &t.first[l], &t.second[l]
		adam(to.weights, g.weights, m.weights, v.weights, float32(rate), float32(rate*t.options.Decay), 1/float32(n))
		adam(to.bias, g.bias, m.bias, v.bias, float32(rate), 0, 1/float32(n))
	}
}

func adam(w, g, m, v []float32, rate, decay, share float32) {
	for i, sum := range g {
		d := sum * share
		g[i] = 0
		m[i] += 0.1 * (d - m[i])
		v[i] += 0.001 * (d*d - v[i])
		w[i] -= rate*m[i]/(float32(math.Sqrt(float64(v[i])))+1e-7) + decay*w[i]
	}
}

// Train goes through all steps, telling progress after each epoch if it is not nil.
func (t *Trainer) Train(progress func(epoch int, loss float64)) {
	perEpoch := max(t.steps/t.options.Epochs, 1)
	for t.Step() {
		if t.step%perEpoch == 0 && progress != nil {
			progress(t.step/perEpoch, t.Loss())
		}
	}
}
