package main

import "fmt"

// lanes writes a kernel whose registers hold so many events side by side: of each, words
// of so many units. A pair of inputs meets the weights of all these units in one
// instruction, so there is nothing to add up across lanes.
//
// Each unit has two sums, of the even pairs of inputs and of the odd ones, that fit into
// a word each (package kernels proves it before it uses these kernels). One addition that
// saturates makes of them what the network's arithmetic asks for.
//
// Activations lie on the stack as lines: for each pair of inputs a register, in which each
// event has the pair as often as it has units.
type lanes struct {
	*file
	events, units int // in a register
	at            int // where the weights of the layer begin, from DX
}

// Registers: 0 to 7 sums, 8 and 9 inputs, 10 to 13 weights and products, 15 zero.
const (
	mostSums     = 8
	zeroRegister = 15
)

// Where things stand on the stack, from R8.
func (k *lanes) inputsAt(layer int) int {
	at := 32 * mostSums // the even pairs' sums of a block
	for _, inputs := range jetUnits[:layer] {
		at += 16 * inputs
	}
	return at
}

// jetWords writes func jetWordsx4 or x8(records, out, weights, times): each time so many
// events.
func (p *file) jetWords(events int) {
	k := &lanes{p, events, 16 / events, wordsAt}
	p.line("// func jetWordsx%d(records *byte, out *stream.Decision, weights *byte, times int)", events)
	p.begin("jetWordsx"+string(rune('0'+events)), k.inputsAt(len(jetUnits)-1)+32, "records:SI", "out:DI", "weights:DX", "times:CX")
	p.op("MOVQ SP, R8")
	p.op("ADDQ $31, R8")
	p.op("ANDQ $-32, R8")
	p.line("next:")
	p.op("VPXOR Y%d, Y%d, Y%d", zeroRegister, zeroRegister, zeroRegister)
	k.read()
	last := len(jetUnits) - 1
	for l := 1; l < last; l++ {
		k.layer(l, jetUnits[l-1], jetUnits[l])
	}
	k.decide(last, jetUnits[last-1], jetUnits[last])
	p.op("ADDQ $%d, SI", jetUnits[0]*events)
	p.op("ADDQ $%d, DI", 4*events)
	p.countdown("CX", "next")
	p.end()
}

// read leaves the records' pairs of bytes as lines. Events then stand in the order 0, 2,
// 4, 6 and 1, 3, 5, 7, or 0, 2 and 1, 3.
func (k *lanes) read() {
	shuffle := func(constant, from, line int) {
		k.op("VPSHUFB %d(DX), Y%d, Y10", constantAt(constant), from)
		k.op("VMOVDQU Y10, %d(R8)", k.inputsAt(0)+32*line)
	}
	load := func(n int) {
		for i := range n {
			k.op("VMOVDQU %d(SI), Y%d", 32*i, i)
		}
	}
	switch k.events {
	case 4:
		load(2)
		k.op("VPUNPCKLWD Y1, Y0, Y2")
		k.op("VPUNPCKHWD Y1, Y0, Y3")
		for line := range 8 {
			shuffle(pairOf4+line%4, 2+line/4, line)
		}
	case 8:
		load(4)
		for i := range 2 {
			k.op("VPUNPCKLDQ Y%d, Y%d, Y%d", 2*i+1, 2*i, 4+i)
			k.op("VPUNPCKHDQ Y%d, Y%d, Y%d", 2*i+1, 2*i, 6+i)
		}
		for i := range 2 {
			k.op("VPUNPCKLQDQ Y%d, Y%d, Y%d", 5+2*i, 4+2*i, 2*i)
			k.op("VPUNPCKHQDQ Y%d, Y%d, Y%d", 5+2*i, 4+2*i, 2*i+1)
		}
		for line := range 8 {
			shuffle(pairOf8+line%2, line/2, line)
		}
	}
}

// layer writes a hidden layer, in as many blocks of units as registers for their sums ask
// for.
func (k *lanes) layer(l, inputs, units int) {
	total := units / k.units
	n := min(total, mostSums)
	k.op("LEAQ %d(DX), R10", k.at)
	k.op("LEAQ %d(R8), R11", k.inputsAt(l))
	label := fmt.Sprintf("layer%d", l)
	if n < total {
		k.op("MOVQ $%d, AX", total/n)
		k.line("%s:", label)
	}
	even, odd := k.sums(l, inputs, 2*units, n)
	for t := range n {
		k.op("VPADDSW %s, Y%d, Y%d", even(t), odd+t, odd+t)
	}
	written := k.activate(odd, n)
	if n < total {
		k.op("ADDQ $%d, R10", 2*k.units*n)
		k.op("ADDQ $%d, R11", written)
		k.countdown("AX", label)
	}
	k.at += 2 * units * (2 + inputs/2)
}

// sums adds up n registers of units: where their even pairs' sums stand, and in which
// registers from odd on those of the odd pairs. A layer has a row of words for all its
// units: what the even pairs' sums begin with, what the odd ones' do, and the weights of each pair
// of inputs.
func (k *lanes) sums(l, inputs, row, n int) (even func(t int) string, odd int) {
	weights := func(r, t int) string { return fmt.Sprintf("%d(R10)", r*row+2*k.units*t) }
	begin := func(half, to int) {
		for t := range n {
			k.op("%s %s, Y%d", k.spread(), weights(half, t), to+t)
		}
	}
	add := func(pair, to int) {
		x := 8 + pair/2%2
		k.op("VMOVDQU %d(R8), Y%d", k.inputsAt(l-1)+32*pair, x)
		for t := range n {
			product := 10 + t%4
			k.op("%s %s, Y%d", k.spread(), weights(2+pair, t), product)
			k.op("VPMADDUBSW Y%d, Y%d, Y%[1]d", product, x)
			k.op("VPADDW Y%[1]d, Y%[2]d, Y%[2]d", product, to+t)
		}
	}
	if 2*n <= mostSums { // both at once
		begin(0, 0)
		begin(1, n)
		for pair := range inputs / 2 {
			add(pair, pair%2*n)
		}
		return func(t int) string { return fmt.Sprintf("Y%d", t) }, n
	}
	for half := range 2 {
		begin(half, 0)
		for pair := half; pair < inputs/2; pair += 2 {
			add(pair, 0)
		}
		if half == 0 {
			for t := range n {
				k.op("VMOVDQU Y%d, %d(R8)", t, 32*t)
			}
		}
	}
	return func(t int) string { return fmt.Sprintf("%d(R8)", 32*t) }, 0
}

// spread is the instruction that gives each event the words of all units.
func (k *lanes) spread() string {
	if k.units == 4 {
		return "VPBROADCASTQ"
	}
	return "VPBROADCASTD"
}

// activate writes the activations of n registers from a on, at R11, and says how many
// bytes that was.
func (k *lanes) activate(a, n int) (written int) {
	pairs := k.units / 2
	for t := range n {
		k.op("VPMAXSW Y%d, Y%d, Y%d", zeroRegister, a+t, a+t)
		for pair := range pairs {
			k.op("VPSHUFB %d(DX), Y%d, Y%d", constantAt(map[int]int{4: highBytes4, 8: highBytes8}[k.events]+pair), a+t, 10+pair)
			k.op("VMOVDQU Y%d, %d(R11)", 10+pair, 32*(t*pairs+pair))
		}
	}
	return 32 * n * pairs
}
