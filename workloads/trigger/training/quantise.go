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
		weights, bias := m.folded(l)
		for o := range p.factors {
			p.factors[o] = limit / largest(weights, scales, len(p.factors), o)
		}
		for o := range p.factors {
			p.factors[o] = fitWords(unit{weights, bias[o], scales, len(p.factors), o}, l == 0, p.factors[o])
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

// mostInWord is how many inputs a layer may have for its sums to be fitted into words;
// beyond them too much weight would be lost.
const mostInWord = 64

// unit is one of a layer's, with the weights of all of them.
type unit struct {
	weights []float64
	bias    float64
	scales  []float64
	units   int
	o       int
}

// span gives what the products of the unit's rounded weights with 0 to most may add up to:
// over the even pairs of inputs and over the odd ones.
func (u *unit) span(factor, most float64) (low, high [2]float64) {
	for i, s := range u.scales {
		product := most * math.RoundToEven(u.weights[i*u.units+u.o]*s*factor)
		low[i/2%2] += min(product, 0)
		high[i/2%2] += max(product, 0)
	}
	return low, high
}

// fitWords lowers a unit's factor until kernels can add up its products in 16 bits: the sums
// over the even and over the odd pairs of inputs span 16 bits at most, and their sum with
// the bias is within twice what 16 bits with sign hold, so that it is of two such numbers.
func fitWords(u unit, first bool, factor float64) float64 {
	if len(u.scales) > mostInWord {
		return factor
	}
	most := 127.0
	if first {
		most = 255
	}
	for {
		low, high := u.span(factor, most)
		bias := u.bias * factor
		excess := max(high[0]-low[0], high[1]-low[1],
			high[0]+high[1]+bias+roundUp, -low[0]-low[1]-bias) / (1<<16 - 1)
		if excess <= 1 {
			return factor
		}
		factor *= min(1/excess, 0.999)
	}
}

// roundUp is what a bias has more than the sum it stands for where nothing is shifted, and
// one for its own rounding and one for the end of what 16 bits hold.
const roundUp = 128 + 2

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
