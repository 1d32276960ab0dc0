package training

import (
	"math"
	"slices"

	"github.com/starling-vr/starling/workloads/trigger/network"
)

// calibrationEvents is how many samples the percentiles are taken from.
const calibrationEvents = 2000

// plan is how a layer becomes integers.
type plan struct {
	scales  []float64 // of the inputs: s
	factors []float64 // of the units: c
	shift   int
	ceiling []float32 // of the units: what the activation 127 stands for; nil in the last layer
}

// plans chooses scales for all layers, with samples as the model will see them.
func (m *Model) plans(samples []Sample) []plan {
	peaks := m.peaks(samples[:min(len(samples), calibrationEvents)])
	all := make([]plan, len(m.layers))
	scales := make([]float64, m.Shape.Inputs())
	for i := range scales {
		scales[i] = 1
	}
	for l := range m.layers {
		p := &all[l]
		p.scales, p.factors = scales, make([]float64, m.layers[l].units)
		limit := float64(network.HiddenLimit)
		if l == 0 {
			limit = network.FirstLimit
		}
		weights, _ := m.folded(l)
		for o := range p.factors {
			p.factors[o] = limit / largest(weights, scales, len(p.factors), o)
		}
		if l > 0 {
			for o := range p.factors {
				p.factors[o] = fitWords(weights, scales, len(p.factors), o, p.factors[o])
			}
		}
		if l == len(m.layers)-1 {
			lowest := slices.Min(p.factors)
			for o := range p.factors {
				p.factors[o] = lowest
			}
			break
		}
		p.shift = chooseShift(p.factors, peaks[l])
		scales, p.ceiling = make([]float64, len(p.factors)), make([]float32, len(p.factors))
		for o := range p.factors {
			p.factors[o] = min(p.factors[o], math.Ldexp(32767, p.shift)/peaks[l][o])
			scales[o] = math.Ldexp(256, p.shift) / p.factors[o]
			p.ceiling[o] = float32(127 * scales[o])
		}
	}
	return all
}

// Quantise turns the model into an int8 network; samples are events as it will see
// them. The threshold is 0: see Threshold.
func (m *Model) Quantise(samples []Sample) (*network.Network, error) {
	n := &network.Network{Shape: m.Shape}
	for l, p := range m.plans(samples) {
		weights, bias := m.folded(l)
		quantised := round(weights, bias, p.scales, p.factors)
		quantised.Shift = p.shift
		for o := range p.ceiling {
			quantised.Bias[o] += int32(128 << p.shift)
		}
		n.Layers = append(n.Layers, quantised)
	}
	return n, n.Check()
}

// rounded gives the weights as the integers of the plan would be, in floats.
func (m *Model) rounded(plans []plan, into []layer) {
	for l := range m.layers {
		from, to, p := &m.layers[l], &into[l], &plans[l]
		copy(to.bias, from.bias)
		for i, s := range p.scales {
			if l == 0 {
				s /= float64(m.Deviation[i])
			}
			for o, c := range p.factors {
				at := i*from.units + o
				to.weights[at] = float32(math.RoundToEven(float64(from.weights[at])*s*c) / (s * c))
			}
		}
	}
}

// folded gives a layer's weights and biases for inputs as they are in a record.
func (m *Model) folded(l int) (weights, bias []float64) {
	from := &m.layers[l]
	weights, bias = make([]float64, len(from.weights)), make([]float64, from.units)
	for o := range bias {
		bias[o] = float64(from.bias[o])
	}
	for i := range from.inputs {
		for o := range from.units {
			w := float64(from.weights[i*from.units+o])
			if l == 0 {
				w /= float64(m.Deviation[i])
				bias[o] -= w * float64(m.Mean[i])
			}
			weights[i*from.units+o] = w
		}
	}
	return weights, bias
}

// peaks gives for each hidden unit the 99.9th percentile of its sum, at least what
// keeps the formulas finite.
func (m *Model) peaks(samples []Sample) [][]float64 {
	var w workspace
	w.fit(m)
	peaks := make([][]float64, len(m.layers)-1)
	values := make([][][]float32, len(peaks))
	for l := range peaks {
		values[l] = make([][]float32, m.layers[l].units)
		peaks[l] = make([]float64, m.layers[l].units)
	}
	for _, s := range samples {
		m.forward(s.Record, &w)
		for l := range peaks {
			for o, y := range w.y[l] {
				values[l][o] = append(values[l][o], y)
			}
		}
	}
	for l := range peaks {
		for o, all := range values[l] {
			peaks[l][o] = 1e-6
			if len(all) > 0 {
				slices.Sort(all)
				peaks[l][o] = max(float64(all[(len(all)-1)*999/1000]), 1e-6)
			}
		}
	}
	return peaks
}

func largest(weights, scales []float64, units, o int) float64 {
	most := 1e-9
	for i, s := range scales {
		most = max(most, math.Abs(weights[i*units+o]*s))
	}
	return most
}

// wordsHold is what the absolute weights of a unit of a hidden layer may add up to over
// the inputs i with i % 4 < 2, and over the others, so that their products with 0 to
// 127 span 16 bits: where a layer has few enough inputs, kernels then add them up there.
const (
	wordsHold  = (1<<16 - 1) / 127
	mostInWord = 64 // inputs; beyond them too much weight would be lost
)

// fitWords lowers a unit's factor until its rounded weights are within wordsHold.
func fitWords(weights, scales []float64, units, o int, factor float64) float64 {
	if len(scales) > mostInWord {
		return factor
	}
	for {
		var sums [2]float64
		for i, s := range scales {
			sums[i%4/2] += math.Abs(math.RoundToEven(weights[i*units+o] * s * factor))
		}
		most := max(sums[0], sums[1])
		if most <= wordsHold {
			return factor
		}
		factor *= min(wordsHold/most, 0.999)
	}
}

// chooseShift finds the smallest shift with which at least half of the units may use
// their weights' full range.
func chooseShift(factors, peaks []float64) int {
	shift := 0
	for ; shift < network.MostShift; shift++ {
		full := 0
		for o, f := range factors {
			if f*peaks[o] <= math.Ldexp(32767, shift) {
				full++
			}
		}
		if 2*full >= len(factors) {
			break
		}
	}
	return shift
}

// round makes the integers, unit by unit.
func round(weights, bias, scales, factors []float64) network.Layer {
	inputs, units := len(scales), len(factors)
	l := network.Layer{Inputs: inputs, Units: units, Weights: make([]int8, inputs*units), Bias: make([]int32, units)}
	for o := range units {
		for i := range inputs {
			l.Weights[o*inputs+i] = int8(math.RoundToEven(weights[i*units+o] * scales[i] * factors[o]))
		}
		l.Bias[o] = int32(min(max(math.Round(bias[o]*factors[o]), -mostBias), mostBias))
	}
	return l
}

// mostBias leaves room below what network.Check takes.
const mostBias = 1 << 26
