package main

// few writes a kernel for one or two events, whose registers hold 16 units of one event
// each. Activations lie on the stack byte by byte and are broadcast pair by pair; those of the
// last hidden layer stay in a register, which a unit's weights meet as they are, since
// five units are too few to fill one. Two events share the loads of weights.
//
// The first layer goes by blocks of 32 units, so that the second begins with the first of
// them while the others are made.
type few struct {
	*file
	events int
	at     int // where the weights of the layer begin, from DX
}

// Registers: 0 to 7 sums, 8 and 9 inputs, 10 and 11 weights, 12 to 15 products.
const fewX, fewWeights, fewProducts = 8, 10, 12

// block is how many units go at once, in two registers of each event.
const block = 32

// jetFew writes func jetWordsx1 or x2(records, out, weights, times): each time so many
// events.
func (p *file) jetFew(events int) {
	k := &few{p, events, wordsAt}
	name := "jetWordsx" + string(rune('0'+events))
	p.line("// func %s(records *byte, out *stream.Decision, weights *byte, times int)", name)
	p.begin(name, fewLine*events*3+32, "records:SI", "out:DI", "weights:DX", "times:CX")
	p.op("MOVQ SP, R8")
	p.op("ADDQ $31, R8")
	p.op("ANDQ $-32, R8")
	p.line("next:")
	last := len(jetUnits) - 1
	for l := 1; l < last; l++ {
		inputs, units := jetUnits[l-1], jetUnits[l]
		for from := 0; from < units; from += block {
			k.block(l, inputs, units, from)
			k.activate(l, from, l == last-1)
		}
		k.at += 2 * units * (2 + inputs/2)
	}
	k.decide(jetUnits[last])
	p.op("ADDQ $%d, SI", jetUnits[0]*events)
	p.op("ADDQ $%d, DI", 4*events)
	p.countdown("CX", "next")
	p.end()
}

// fewLine is the bytes that a layer's activations of an event take on the stack.
const fewLine = 64

// sum is the register of an event's sum of even or odd pairs.
func (k *few) sum(event, half, t int) int { return 4*event + 2*half + t }

// block adds up 32 units of all events.
func (k *few) block(l, inputs, units, from int) {
	weights := func(row, t int) int { return k.at + 2*units*row + 2*(from+16*t) }
	for half := range 2 {
		for t := range 2 {
			for e := range k.events {
				k.op("VMOVDQU %d(DX), Y%d", weights(half, t), k.sum(e, half, t))
			}
		}
	}
	for pair := range inputs / 2 {
		for e := range k.events {
			if l == 1 {
				k.op("VPBROADCASTW %d(SI), Y%d", jetUnits[0]*e+2*pair, fewX+e)
			} else {
				k.op("VPBROADCASTW %d(R8), Y%d", k.line(l-1, e)+packed32(2*pair), fewX+e)
			}
		}
		for t := range 2 {
			k.multiply(weights(2+pair, t), pair%2, t)
		}
	}
}

// line is where the activations of a layer stand.
func (k *few) line(l, event int) int { return fewLine * (k.events*(l-1) + event) }

// multiply adds products of 32 weights to a sum of each event.
func (k *few) multiply(weights, half, t int) {
	if k.events > 1 {
		k.op("VMOVDQU %d(DX), Y%d", weights, fewWeights+t)
	}
	for e := range k.events {
		product := fewProducts + 2*t + e
		if k.events > 1 {
			k.op("VPMADDUBSW Y%d, Y%d, Y%d", fewWeights+t, fewX+e, product)
		} else {
			k.op("VPMADDUBSW %d(DX), Y%d, Y%d", weights, fewX+e, product)
		}
		k.op("VPADDW Y%[1]d, Y%[2]d, Y%[2]d", product, k.sum(e, half, t))
	}
}

// activate leaves the activations of 32 units in each event's first register, and on the
// stack if they are broadcast from there.
func (k *few) activate(l, from int, last bool) {
	for e := range k.events {
		for t := range 2 {
			to := k.sum(e, 0, t)
			k.op("VPADDSW Y%d, Y%[2]d, Y%[2]d", k.sum(e, 1, t), to)
			k.op("VPSRAW $8, Y%[1]d, Y%[1]d", to)
		}
		to := k.sum(e, 0, 0)
		k.op("VPACKUSWB Y%d, Y%[2]d, Y%[2]d", k.sum(e, 0, 1), to)
		if !last {
			k.op("VMOVDQU Y%d, %d(R8)", to, k.line(l, e)+from)
		}
	}
}

// packed32 is where packing registers of 16 units leaves a unit.
func packed32(unit int) int {
	switch unit % 32 / 8 {
	case 1:
		return unit + 8
	case 2:
		return unit - 8
	}
	return unit
}

// decide writes the last layer and the decisions. The background's weights come first;
// each signal's sum is taken less the background's, and the biases are those differences.
func (k *few) decide(units int) {
	at := k.at + 2*8*(2+block/2) + 32 // behind what the kernels for more events read
	v := func(i int) string { return [...]string{1: "X", 2: "Y"}[k.events] + string("0123456789"[i]) }
	k.op("VMOVDQU %d(DX), Y%d", onesAt, onesRegister)
	for e := range k.events {
		x := k.sum(e, 0, 0)
		for o := range units {
			to := []int{fewProducts, 8, 9, 10, 11}[o]
			k.op("VPMADDUBSW %d(DX), Y%d, Y%d", at+block*o, x, to)
			k.op("VPMADDWD Y%d, Y%[2]d, Y%[2]d", onesRegister, to)
			if o > 0 {
				k.op("VPSUBD Y%d, Y%[2]d, Y%[2]d", fewProducts, to)
			}
		}
		k.addUp(avx2, 8, 13)
		if e == 0 {
			k.op("VMOVDQA Y8, Y5")
		}
	}
	if k.events == 2 {
		k.op("VINSERTI128 $1, X8, Y5, Y5")
	}
	k.op("VPADDD %d(DX), %[2]s, %[2]s", at+block*units, v(5))
	for _, swap := range []int{0x4E, 0xB1} {
		k.op("VPSHUFD $0x%02X, %s, %s", swap, v(5), v(6))
		k.op("VPMAXSD %s, %[2]s, %[2]s", v(6), v(5))
	}
	k.op("VMOVDQU (SI), %s", v(6))
	k.finish(v(5), v(6), v(7), v(8))
	if k.events == 1 {
		k.op("VMOVD X5, (DI)")
		return
	}
	k.op("VEXTRACTI128 $1, Y5, X6")
	k.op("VPUNPCKLDQ X6, X5, X5")
	k.op("VMOVQ X5, (DI)")
}

// finish makes decisions of scores. The first bytes of records, in the lowest bytes of
// their lanes, say what is damaged; t and u are free.
func (p *file) finish(score, first, t, u string) {
	p.op("VMOVDQU %d(DX), %s", thresholdAt, t)
	p.op("VPCMPGTD %s, %s, %[1]s", t, score)
	p.mark("VPOR", t, score)
	p.op("VPCMPEQD %[1]s, %[1]s, %[1]s", u)
	p.op("VPSLLD $24, %[1]s, %[1]s", u)
	p.op("VPSLLD $24, %[1]s, %[1]s", first)
	p.op("VPCMPEQD %s, %[2]s, %[2]s", u, first)
	p.op("VPSRLD $31, %[1]s, %[1]s", first)
	p.op("VPSLLD $30, %[1]s, %[1]s // damaged", first)
	p.op("VPOR %s, %[2]s, %[2]s", first, score)
}

// mark makes the selection, in the lowest bits of t, the highest bit of scores of 30
// bits; or is the instruction that the registers take for that.
func (p *file) mark(or, t, score string) {
	p.op("VPSLLD $31, %[1]s, %[1]s // selected", t)
	p.op("VPSLLD $2, %[1]s, %[1]s", score)
	p.op("VPSRLD $2, %[1]s, %[1]s", score)
	p.op("%s %s, %[3]s, %[3]s", or, t, score)
}
