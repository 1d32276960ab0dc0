package kernels

import (
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// decision puts together what the poller and the chain read. The score fits into 30
// bits with sign.
func decision(score, threshold int32, first byte) stream.Decision {
	d := stream.Decision(score) & (1<<30 - 1)
	if score > threshold {
		d |= stream.Selected
	}
	if first == network.Damaged {
		d |= stream.Malformed
	}
	return d
}

// ScoreOf gives the score in a decision's value.
func ScoreOf(d stream.Decision) int32 { return int32(d<<2) >> 2 }

// pure runs a network in Go alone.
type pure struct{ *network.Network }

func (p pure) run(batch []stream.Ref, out []stream.Decision) {
	for i, ref := range batch {
		record := ref.Bytes(p.Shape.Size)
		if p.Shape.Pool > 1 {
			out[i] = p.decidePooled(record)
		} else {
			out[i] = p.decide(record, record[0])
		}
	}
}

func (p pure) decidePooled(record []byte) stream.Decision {
	var inputs [network.MostBytes / network.PoolLine]byte
	for i := range p.Shape.Inputs() {
		sum := uint32(0)
		for _, b := range record[i*p.Shape.Pool : (i+1)*p.Shape.Pool] {
			sum += uint32(b)
		}
		inputs[i] = byte(sum / uint32(p.Shape.Pool))
	}
	return p.decide(inputs[:p.Shape.Inputs()], record[0])
}

func (p pure) decide(x []byte, first byte) stream.Decision {
	var activations [2][network.MostUnits]byte
	var logits [network.MostLogits]int32
	last := len(p.Layers) - 1
	for l := range last {
		layer := &p.Layers[l]
		next := activations[l%2][:layer.Units]
		for o := range next {
			next[o] = network.Activation(layer.Bias[o]+dot(layer.Row(o), x), layer.Shift)
		}
		x = next
	}
	layer := &p.Layers[last]
	for o := range layer.Units {
		logits[o] = layer.Bias[o] + dot(layer.Row(o), x)
	}
	return decision(network.Score(logits[:layer.Units]), p.Threshold, first)
}

// dot has four sums, so that one does not wait for the other. Lengths are equal, and
// a multiple of 4.
func dot(w []int8, x []byte) int32 {
	var a, b, c, d int32
	for len(w) >= 4 && len(x) >= 4 {
		a += int32(w[0]) * int32(x[0])
		b += int32(w[1]) * int32(x[1])
		c += int32(w[2]) * int32(x[2])
		d += int32(w[3]) * int32(x[3])
		w, x = w[4:], x[4:]
	}
	return a + b + c + d
}
