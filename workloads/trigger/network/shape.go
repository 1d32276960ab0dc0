// Package network holds the trigger's networks: their shapes, the int8 arithmetic
// that every kernel must reproduce bit for bit, and the file that carries weights.
//
// # Arithmetic
//
// A record is Size bytes, each an unsigned integer. Where Pool is above 1, Pool
// consecutive bytes become one input, the sum divided by Pool and rounded down.
// Layer l has weights w (int8), biases b (int32) and a shift s:
//
//	y[o] = b[o] + sum over i of w[o][i] x[i]                  exact, in 32 bits
//	x'[o] = max(0, sat16(y[o] >> s) >> 8)                     hidden layers: 0 to 127
//
// where >> is the arithmetic shift (rounding down) and sat16 saturates to 16 bits
// with sign. The outputs of the last layer, the logits, are left as y.
//
// Weights are within +-32 in the first layer and +-64 behind it. So the sum of four
// products fits into 16 bits with sign (4 x 255 x 32 = 32640, 4 x 127 x 64 = 32512), and
// the instructions that saturate there (VPMADDUBSW) never do: AVX2 and AVX-512 VNNI
// give what Go gives. The scales behind it are documented in package training.
package network

import "fmt"

// Bounds of what a network may be.
const (
	// MostBytes is the largest record.
	MostBytes = 1 << 20
	// MostUnits is the largest number of outputs of a layer.
	MostUnits = 1024
	// MostLogits is the largest number of classes.
	MostLogits = 8
	// MostLayers is the largest number of layers.
	MostLayers = 8
	// FirstLimit and HiddenLimit bound the weights of the first and the other layers.
	FirstLimit, HiddenLimit = 32, 64
	// MostShift is the largest shift of a layer.
	MostShift = 16
	// mostLogit bounds the logits, so that their difference fits into 30 bits with
	// sign.
	mostLogit = 1 << 28
	// MostThreshold is above every score: nothing is selected.
	MostThreshold = 2 * mostLogit
	// mostSum bounds the sums of hidden layers.
	mostSum = 1 << 30
	// PoolLine and PoolLines are what may be pooled: one or four cache lines.
	PoolLine, PoolLines = 64, 256
	// mostInputs bounds what the first layer sums over.
	mostInputs = 1 << 16
)

// Shape is how a network is built.
type Shape struct {
	// Size is the bytes of a record (S_t), a multiple of 4; of 64 above 64.
	Size int
	// Pool is how many bytes make an input: 1, PoolLine or PoolLines.
	Pool int
	// Units are the outputs of each layer; the last are the logits, at least 2:
	// class 0 is the background, the others are signals.
	Units []int
}

// Inputs is how many inputs the first layer has.
func (s *Shape) Inputs() int { return s.Size / max(s.Pool, 1) }

// Operations counts a record's operations (Op): two for each weight, a
// multiplication and an addition, and one for each byte that is pooled.
func (s *Shape) Operations() int {
	ops, inputs := 0, s.Inputs()
	if s.Pool > 1 {
		ops = s.Size
	}
	for _, units := range s.Units {
		ops += 2 * inputs * units
		inputs = units
	}
	return ops
}

// String writes the shape as 2048->32->16->4, or 1048576/64->4 if pooled.
func (s *Shape) String() string {
	text := fmt.Sprint(s.Size)
	if s.Pool > 1 {
		text += fmt.Sprintf("/%d", s.Pool)
	}
	for _, units := range s.Units {
		text += fmt.Sprintf("->%d", units)
	}
	return text
}

// ShapeError says why no network can have a shape.
type ShapeError struct {
	Shape Shape
	Why   string
}

func (e *ShapeError) Error() string { return fmt.Sprintf("network %s: %s", &e.Shape, e.Why) }

// Check returns a *ShapeError if there can be no such network.
func (s *Shape) Check() error {
	wrong := func(format string, args ...any) error {
		return &ShapeError{*s, fmt.Sprintf(format, args...)}
	}
	if s.Size < 4 || s.Size > MostBytes || s.Size%4 != 0 || s.Size > 64 && s.Size%64 != 0 {
		return wrong("records of %d bytes: want a multiple of 4, of 64 above 64, at most %d", s.Size, MostBytes)
	}
	if s.Pool != 1 && (s.Pool != PoolLine && s.Pool != PoolLines || s.Size%(s.Pool*64) != 0) {
		return wrong("pooling by %d: want 1, or %d or %d for records of a multiple of 64 times that", s.Pool, PoolLine, PoolLines)
	}
	if s.Inputs() > mostInputs {
		return wrong("%d inputs: at most %d; pool them", s.Inputs(), mostInputs)
	}
	if len(s.Units) == 0 || len(s.Units) > MostLayers {
		return wrong("%d layers: want 1 to %d", len(s.Units), MostLayers)
	}
	last := len(s.Units) - 1
	for l, units := range s.Units {
		if units < 1 || units > MostUnits || l < last && units%4 != 0 {
			return wrong("layer %d has %d units: want 1 to %d, in hidden layers a multiple of 4", l, units, MostUnits)
		}
	}
	if n := s.Units[last]; n < 2 || n > MostLogits {
		return wrong("%d classes: want 2 to %d", n, MostLogits)
	}
	return nil
}
