// Package training trains the trigger's networks in 32-bit floats, turns them into
// the int8 networks that kernels run, and says how good both are.
//
// # From floats to int8
//
// A float network computes y = W x + b and max(0, y) in hidden layers. In the int8
// network input i of a layer stands for a number: s[i] times its integer (a byte of the
// record: 1). Since max(0, c y) = c max(0, y) for c > 0, every hidden unit o may have a
// scale of its own:
//
//	c[o] = min(limit / max over i of |W[o][i] s[i]|, 32767 * 2^shift / P[o])
//	w[o][i] = round(W[o][i] s[i] c[o])
//	b[o] = round(b[o] c[o]) + 128 * 2^shift
//	s'[o] = 256 * 2^shift / c[o]
//
// where limit is the largest weight that kernels take, P[o] the 99.9th percentile of y[o]
// over calibration events, so that the activation 127 is about the largest that occurs,
// and 128 makes rounding down a rounding to the nearest. The shift is the smallest with
// which at least half of the units use their weights' full range (for the jet network
// 0, which its kernels ask for). The last layer has one scale for all its units, so that
// logits can be compared.
//
// A trained model is tuned for it: training goes on with weights rounded as they will
// be, and activations in 127 steps, while gradients change the weights behind the
// rounding (Jacob et al., Quantization and training of neural networks for efficient
// integer-arithmetic-only inference, 2018).
package training

import (
	"math"
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Model is a network in floats. Its inputs are (byte - Mean) / Deviation.
type Model struct {
	Shape           network.Shape
	Mean, Deviation []float32
	layers          []layer
	ceilings        [][]float32 // if tuned: what 127 stands for, by hidden layer and unit
}

// layer keeps weights by input, so that an input of 0 costs nothing.
type layer struct {
	inputs, units int
	weights       []float32 // inputs x units
	bias          []float32
}

// NewModel draws weights at random (He et al., 2015) for inputs as they are in samples.
func NewModel(shape network.Shape, samples []Sample, random *rand.Rand) (*Model, error) {
	if err := shape.Check(); err != nil {
		return nil, err
	}
	m := &Model{Shape: shape}
	m.standardise(samples)
	inputs := shape.Inputs()
	for _, units := range shape.Units {
		l := layer{inputs, units, make([]float32, inputs*units), make([]float32, units)}
		spread := math.Sqrt(2 / float64(inputs))
		for i := range l.weights {
			l.weights[i] = float32(spread * random.NormFloat64())
		}
		m.layers = append(m.layers, l)
		inputs = units
	}
	return m, nil
}

// picture is how many inputs make a picture: their mean stays, so that empty cells
// stay 0, and they share one deviation.
const picture = 64

// standardise takes mean and deviation of each input; of a picture, one deviation.
func (m *Model) standardise(samples []Sample) {
	n := m.Shape.Inputs()
	sum, square := make([]float64, n), make([]float64, n)
	x := make([]byte, n)
	for _, s := range samples {
		for i, b := range m.inputsOf(s.Record, x) {
			sum[i] += float64(b)
			square[i] += float64(b) * float64(b)
		}
	}
	m.Mean, m.Deviation = make([]float32, n), make([]float32, n)
	count, all := float64(max(len(samples), 1)), 0.0
	for i := range n {
		mean := sum[i] / count
		m.Mean[i] = float32(mean)
		m.Deviation[i] = float32(math.Sqrt(max(square[i]/count-mean*mean, 1)))
		all += square[i] / count
	}
	if n <= picture {
		return
	}
	for i := range n {
		m.Mean[i], m.Deviation[i] = 0, float32(4*math.Sqrt(max(all/float64(n), 1)))
	}
}

// inputsOf pools a record into x where the shape says so.
func (m *Model) inputsOf(record, x []byte) []byte {
	pool := m.Shape.Pool
	if pool == 1 {
		return record
	}
	for i := range x {
		sum := 0
		for _, b := range record[i*pool : (i+1)*pool] {
			sum += int(b)
		}
		x[i] = byte(sum / pool)
	}
	return x
}

// FromNetwork gives the floats that an int8 network stands for, to train on from
// there; inputs are standardised as in samples.
func FromNetwork(n *network.Network, samples []Sample) (*Model, error) {
	if err := n.Check(); err != nil {
		return nil, err
	}
	m := &Model{Shape: n.Shape}
	m.standardise(samples)
	scale := 1.0 // of the layer's inputs
	for l := range n.Layers {
		from := &n.Layers[l]
		// Sums are divided so that an activation of 127 is about 1.
		divisor := math.Ldexp(1, 15+from.Shift)
		half := math.Ldexp(128, from.Shift)
		if l == len(n.Layers)-1 {
			divisor, half = lastDivisor(from, scale), 0
		}
		to := layer{from.Inputs, from.Units, make([]float32, len(from.Weights)), make([]float32, from.Units)}
		for o := range from.Units {
			bias := (float64(from.Bias[o]) - half) / divisor
			for i, w := range from.Row(o) {
				v := float64(w) / divisor * scale
				if l == 0 {
					bias += v * float64(m.Mean[i])
					v *= float64(m.Deviation[i])
				}
				to.weights[i*to.units+o] = float32(v)
			}
			to.bias[o] = float32(bias)
		}
		m.layers = append(m.layers, to)
		scale = 128
	}
	return m, nil
}

// lastDivisor makes logits about as large as a trained network's: the scale is lost
// in int8, where only their order matters. The largest row reaches 4 in the mean square.
func lastDivisor(l *network.Layer, scale float64) float64 {
	largest := 1.0
	for o := range l.Units {
		sum := 0.0
		for _, w := range l.Row(o) {
			sum += float64(w) * float64(w)
		}
		largest = max(largest, math.Sqrt(sum))
	}
	return largest * scale / 4
}

// Logits computes the outputs for a record.
func (m *Model) Logits(record []byte) []float32 {
	var w workspace
	w.fit(m)
	m.forward(record, &w)
	return append([]float32(nil), w.y[len(m.layers)-1]...)
}

// workspace holds what a pass through the network leaves.
type workspace struct {
	pooled []byte
	x      []float32
	y, dy  [][]float32 // by layer: outputs (in hidden layers at least 0), and their gradients
}

func (w *workspace) fit(m *Model) {
	if w.x != nil {
		return
	}
	w.pooled, w.x = make([]byte, m.Shape.Inputs()), make([]float32, m.Shape.Inputs())
	for _, l := range m.layers {
		w.y = append(w.y, make([]float32, l.units))
		w.dy = append(w.dy, make([]float32, l.units))
	}
}

func (m *Model) forward(record []byte, w *workspace) {
	for i, b := range m.inputsOf(record, w.pooled) {
		w.x[i] = (float32(b) - m.Mean[i]) / m.Deviation[i]
	}
	x := w.x
	for l := range m.layers {
		y := w.y[l]
		m.layers[l].forward(x, y)
		if l < len(m.layers)-1 {
			for o := range y {
				y[o] = max(y[o], 0)
			}
			if m.ceilings != nil {
				inSteps(y, m.ceilings[l])
			}
		}
		x = y
	}
}

// inSteps rounds activations to 127 steps up to their ceilings.
func inSteps(y, ceilings []float32) {
	for o, ceiling := range ceilings {
		y[o] = float32(int32(min(y[o]/ceiling, 1)*127+0.5)) * ceiling / 127
	}
}

// clone copies the weights.
func (m *Model) clone() *Model {
	c := &Model{Shape: m.Shape, Mean: m.Mean, Deviation: m.Deviation}
	for _, l := range m.layers {
		c.layers = append(c.layers, layer{l.inputs, l.units, append([]float32(nil), l.weights...), append([]float32(nil), l.bias...)})
	}
	return c
}

func (l *layer) forward(x, y []float32) {
	copy(y, l.bias)
	for i, v := range x {
		if v == 0 {
			continue
		}
		row := l.weights[i*l.units : (i+1)*l.units]
		for o := range y {
			y[o] += v * row[o]
		}
	}
}
