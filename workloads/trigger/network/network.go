package network

import (
	"fmt"
	"math/rand/v2"
)

// Layer is one layer's parameters.
type Layer struct {
	// Inputs and Units are how many bytes go in and how many values come out.
	Inputs, Units int
	// Weights has Units rows of Inputs weights.
	Weights []int8
	// Bias has a value for each unit.
	Bias []int32
	// Shift is applied before saturation; see the package. 0 in the last layer.
	Shift int
}

// Row gives the weights of unit o.
func (l *Layer) Row(o int) []int8 { return l.Weights[o*l.Inputs : (o+1)*l.Inputs] }

// Network is a network with its weights. It is immutable once it is used.
type Network struct {
	Shape  Shape
	Layers []Layer
	// Threshold is the score above which an event is selected. A score is the
	// largest logit of a signal minus the logit of the background, and fits into 30
	// bits with sign.
	Threshold int32
}

// Damaged is the first byte of a record that the front end marks as unusable. It
// must not mean anything else there: a measured value saturates at 254.
const Damaged = 255

// Error says what is wrong with a network's parameters.
type Error struct{ Why string }

func (e *Error) Error() string { return "network: " + e.Why }

// Check returns a *ShapeError or an *Error if a kernel could not run the network.
func (n *Network) Check() error {
	if err := n.Shape.Check(); err != nil {
		return err
	}
	wrong := func(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }
	if len(n.Layers) != len(n.Shape.Units) {
		return wrong("%d layers of weights for %s", len(n.Layers), &n.Shape)
	}
	if n.Threshold > MostThreshold || n.Threshold < -MostThreshold {
		return wrong("threshold %d is beyond any score", n.Threshold)
	}
	inputs := n.Shape.Inputs()
	for l := range n.Layers {
		layer := &n.Layers[l]
		if layer.Inputs != inputs || layer.Units != n.Shape.Units[l] ||
			len(layer.Weights) != inputs*layer.Units || len(layer.Bias) != layer.Units {
			return wrong("layer %d has %d weights and %d biases for %d -> %d", l, len(layer.Weights), len(layer.Bias), inputs, n.Shape.Units[l])
		}
		if layer.Shift < 0 || layer.Shift > MostShift || l == len(n.Layers)-1 && layer.Shift != 0 {
			return wrong("layer %d shifts by %d", l, layer.Shift)
		}
		reach := int64(mostSum)
		if l == len(n.Layers)-1 {
			reach = mostLogit
		}
		if err := layer.checkRange(l, reach); err != nil {
			return err
		}
		inputs = layer.Units
	}
	return nil
}

func (l *Layer) checkRange(at int, most int64) error {
	limit, largest := int8(HiddenLimit), 127
	if at == 0 {
		limit, largest = FirstLimit, 255
	}
	for o := range l.Units {
		reach := max(int64(l.Bias[o]), -int64(l.Bias[o]))
		for _, w := range l.Row(o) {
			if w > limit || w < -limit {
				return &Error{fmt.Sprintf("layer %d: weight %d is beyond %d", at, w, limit)}
			}
			reach += int64(largest) * int64(max(w, -w))
		}
		if reach > most {
			return &Error{fmt.Sprintf("layer %d: unit %d may reach %d, beyond %d", at, o, reach, most)}
		}
	}
	return nil
}

// Logits computes the outputs of the last layer: the definition that every kernel
// is held against. len(record) is Shape.Size. It allocates.
func (n *Network) Logits(record []byte) []int32 {
	x := n.pool(record)
	for l := range n.Layers {
		layer := &n.Layers[l]
		y := make([]int32, layer.Units)
		for o := range y {
			sum := layer.Bias[o]
			for i, w := range layer.Row(o) {
				sum += int32(w) * int32(x[i])
			}
			y[o] = sum
		}
		if l == len(n.Layers)-1 {
			return y
		}
		x = make([]byte, len(y))
		for o := range y {
			x[o] = Activation(y[o], layer.Shift)
		}
	}
	return nil
}

// Activation is a hidden unit's value, 0 to 127, from its sum.
func Activation(y int32, shift int) byte {
	return byte(max(0, min(32767, max(-32768, y>>shift))>>8))
}

func (n *Network) pool(record []byte) []byte {
	if n.Shape.Pool == 1 {
		return record
	}
	x := make([]byte, n.Shape.Inputs())
	for i := range x {
		sum := 0
		for _, b := range record[i*n.Shape.Pool : (i+1)*n.Shape.Pool] {
			sum += int(b)
		}
		x[i] = byte(sum / n.Shape.Pool)
	}
	return x
}

// Score is the largest signal's logit minus the background's.
func Score(logits []int32) int32 {
	best := logits[1]
	for _, y := range logits[2:] {
		best = max(best, y)
	}
	return best - logits[0]
}

// Class is the index of the largest logit, the first of equals.
func Class(logits []int32) int {
	best := 0
	for c, y := range logits {
		if y > logits[best] {
			best = c
		}
	}
	return best
}

// Random makes a network whose weights are drawn at random over all that Check
// allows, for tests and measurements: its decisions mean nothing.
func Random(shape Shape, random *rand.Rand) *Network {
	n := &Network{Shape: shape, Threshold: int32(random.IntN(20001) - 10000)}
	inputs := shape.Inputs()
	for l, units := range shape.Units {
		layer := Layer{Inputs: inputs, Units: units, Weights: make([]int8, inputs*units), Bias: make([]int32, units)}
		limit := HiddenLimit
		if l == 0 {
			limit = FirstLimit
			for s := inputs; s > 64; s /= 4 {
				layer.Shift++
			}
		}
		for i := range layer.Weights {
			layer.Weights[i] = int8(random.IntN(2*limit+1) - limit)
		}
		for o := range layer.Bias {
			layer.Bias[o] = int32(random.IntN(40001) - 10000)
		}
		if l == len(shape.Units)-1 {
			layer.Shift = 0
		}
		n.Layers = append(n.Layers, layer)
		inputs = units
	}
	return n
}
