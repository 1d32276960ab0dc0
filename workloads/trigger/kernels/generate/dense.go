package main

// wide writes func wide<isa>x<events>(records, stride, sums, weights, lines, blocks): the sums
// of a first layer over records of lines cache lines, four units a block:
// sums[e][unit], 4*blocks values an event. A block's weights are four biases (32
// bytes), then for each line its 64 weights for each of the units.
func (p *file) wide(isa *instructions, events int) {
	name := "wide" + isa.name + "x" + string(rune('0'+events))
	p.line("// func %s(records *byte, stride int, sums *int32, weights *byte, lines int, blocks int)", name)
	p.begin(name, 0, "records:R9", "stride:R12", "sums:DI", "weights:DX", "lines:BX", "blocks:CX")
	for e := 1; e < events; e++ {
		p.op("LEAQ (%s)(R12*1), %s", record(e-1), record(e))
	}
	p.op("MOVQ CX, R13")
	p.op("SHLQ $4, R13 // bytes of sums an event")
	p.line("block:")
	const units = 4
	at := 2 // a sum waits five cycles for itself: one event has two of each unit
	if events > 1 {
		at = 1
	}
	acc := func(e, u, line int) int { return units*(e+line*events) + u }
	for i := range units * events * at {
		p.op("%s %s, %s, %s", isa.xor, isa.v(i), isa.v(i), isa.v(i))
	}
	p.op("%s (DX), X31", isa.move)
	p.op("%s X31, (DI) // the biases, to be added to", isa.move)
	p.op("ADDQ $32, DX")
	p.op("XORQ AX, AX")
	p.op("MOVQ BX, R8")
	if at == 2 {
		p.op("SHRQ $1, R8")
		p.op("JZ odd")
	}
	p.line("line:")
	p.lines(events, at, acc)
	p.countdown("R8", "line")
	if at == 2 {
		p.line("odd:")
		p.op("MOVQ BX, R8")
		p.op("ANDQ $1, R8")
		p.op("JZ last")
		p.lines(events, 1, acc)
		p.line("last:")
		for u := range units {
			p.op("VPADDD Z%d, Z%[2]d, Z%[2]d", acc(0, u, 1), acc(0, u, 0))
		}
	}
	bias, t := units*events, units*events+1
	p.op("%s (DI), X%d", isa.move, bias)
	p.op("MOVQ DI, R8")
	for e := range events {
		p.addUp(isa, acc(e, 0, 0), t)
		p.op("VPADDD X%d, X%d, X%d", bias, acc(e, 0, 0), acc(e, 0, 0))
		p.op("VMOVDQU X%d, (R8)", acc(e, 0, 0))
		p.op("ADDQ R13, R8")
	}
	p.op("ADDQ $16, DI")
	p.countdown("CX", "block")
	p.end()
}

// record is the register with the address of event e.
func record(e int) string { return [...]string{"R9", "R10", "R11", "R12"}[e] }

// lines adds the products of so many lines, each to its own sums.
func (p *file) lines(events, count int, acc func(e, u, line int) int) {
	const units, x, weights = 4, 16, 24
	for line := range count {
		for e := range events {
			p.op("VMOVDQU32 %d(%s)(AX*1), Z%d", 64*line, record(e), x+line+e)
		}
		for u := range units {
			at := 64 * (units*line + u)
			if events == 1 {
				p.op("VPDPBUSD %d(DX), Z%d, Z%d", at, x+line, acc(0, u, line))
				continue
			}
			p.op("VMOVDQU32 %d(DX), Z%d", at, weights+u)
			for e := range events {
				p.op("VPDPBUSD Z%d, Z%d, Z%d", weights+u, x+e, acc(e, u, line))
			}
		}
	}
	p.op("ADDQ $%d, AX", 64*count)
	p.op("ADDQ $%d, DX", 64*units*count)
}

// addUp adds the lanes of each of the registers a .. a+3 and leaves the four sums
// in X<a>.
func (p *file) addUp(isa *instructions, a, t int) {
	if isa == vnni {
		for i := range 4 {
			p.op("VEXTRACTI64X4 $1, Z%d, Y%d", a+i, t)
			p.op("VPADDD Y%d, Y%d, Y%d", t, a+i, a+i)
		}
	}
	p.transposeAdd(a, a+1, t, a)
	p.transposeAdd(a+2, a+3, t, a+2)
	p.op("VPUNPCKHQDQ Y%d, Y%d, Y%d", a+2, a, t)
	p.op("VPUNPCKLQDQ Y%d, Y%d, Y%d", a+2, a, a)
	p.op("VPADDD Y%d, Y%d, Y%d", t, a, a)
	if isa == vnni {
		p.op("VEXTRACTI32X4 $1, Y%d, X%d", a, t)
	} else {
		p.op("VEXTRACTI128 $1, Y%d, X%d", a, t)
	}
	p.op("VPADDD X%d, X%d, X%d", t, a, a)
}

// transposeAdd leaves in to, in each 128 bits, sums of a and b by turns.
func (p *file) transposeAdd(a, b, t, to int) {
	p.op("VPUNPCKHDQ Y%d, Y%d, Y%d", b, a, t)
	p.op("VPUNPCKLDQ Y%d, Y%d, Y%d", b, a, to)
	p.op("VPADDD Y%d, Y%d, Y%d", t, to, to)
}

// narrow writes func narrow<isa>(x, sums, weights, pairs, blocks): the sums of a
// layer over 8*pairs inputs, 32 units a block. A block's weights are 32 biases, then
// for each eight inputs four tiles of eight units: the first four inputs, the last.
func (p *file) narrow(isa *instructions) {
	name := "narrow" + isa.name
	p.line("// func %s(x *byte, sums *int32, weights *byte, pairs int, blocks int)", name)
	p.begin(name, 0, "x:SI", "sums:DI", "weights:DX", "pairs:BX", "blocks:CX")
	if isa == avx2 {
		p.op("VPCMPEQW Y%d, Y%d, Y%d", onesRegister, onesRegister, onesRegister)
		p.op("VPSRLW $15, Y%d, Y%d", onesRegister, onesRegister)
	}
	p.line("block:")
	for t := range 4 {
		p.op("VMOVDQU %d(DX), Y%d", 32*t, t)
	}
	p.op("ADDQ $128, DX")
	p.op("MOVQ SI, AX")
	p.op("MOVQ BX, R8")
	p.line("pair:")
	p.op("VPBROADCASTD (AX), Y4")
	p.op("VPBROADCASTD 4(AX), Y5")
	for t := range 4 {
		if isa == avx2 {
			p.multiplyAVX2(64*t, "DX", 4, 5, 6, t)
		} else {
			p.op("VPDPBUSD %d(DX), Y4, Y%d", 64*t, t)
			p.op("VPDPBUSD %d(DX), Y5, Y%d", 64*t+32, t)
		}
	}
	p.op("ADDQ $8, AX")
	p.op("ADDQ $256, DX")
	p.countdown("R8", "pair")
	for t := range 4 {
		p.op("VMOVDQU Y%d, %d(DI)", t, 32*t)
	}
	p.op("ADDQ $128, DI")
	p.countdown("CX", "block")
	p.end()
}

// requantise writes func requantiseAVX2(sums, x, shift, blocks): the activations of
// 32 units a block, in the order that packing leaves.
func (p *file) requantise() {
	p.line("// func requantiseAVX2(sums *int32, x *byte, shift int, blocks int)")
	p.begin("requantiseAVX2", 0, "sums:SI", "x:DI", "shift:AX", "blocks:CX")
	p.op("VMOVQ AX, X8")
	p.line("block:")
	for t := range 4 {
		p.op("VMOVDQU %d(SI), Y%d", 32*t, t)
		p.op("VPSRAD X8, Y%d, Y%d", t, t)
	}
	p.op("VPACKSSDW Y1, Y0, Y0")
	p.op("VPACKSSDW Y3, Y2, Y2")
	p.op("VPSRAW $8, Y0, Y0")
	p.op("VPSRAW $8, Y2, Y2")
	p.op("VPACKUSWB Y2, Y0, Y0")
	p.op("VMOVDQU Y0, (DI)")
	p.op("ADDQ $128, SI")
	p.op("ADDQ $32, DI")
	p.countdown("CX", "block")
	p.end()
}

// pool writes func poolAVX2(record, x, inputs, lines, shift): each input is the sum
// of 64*lines bytes, shifted right.
func (p *file) pool() {
	p.line("// func poolAVX2(record *byte, x *byte, inputs int, lines int, shift int)")
	p.begin("poolAVX2", 0, "record:SI", "x:DI", "inputs:BX", "lines:DX", "shift:CX")
	p.op("VPXOR Y7, Y7, Y7")
	p.line("input:")
	p.op("VPXOR Y0, Y0, Y0")
	p.op("MOVQ DX, R8")
	p.line("line:")
	p.op("VPSADBW (SI), Y7, Y1")
	p.op("VPSADBW 32(SI), Y7, Y2")
	p.op("VPADDD Y1, Y0, Y0")
	p.op("VPADDD Y2, Y0, Y0")
	p.op("ADDQ $64, SI")
	p.countdown("R8", "line")
	p.op("VEXTRACTI128 $1, Y0, X1")
	p.op("VPADDD X1, X0, X0")
	p.op("VPSHUFD $0x4E, X0, X1")
	p.op("VPADDD X1, X0, X0")
	p.op("VMOVD X0, AX")
	p.op("SHRL CX, AX")
	p.op("MOVB AX, (DI)")
	p.op("INCQ DI")
	p.countdown("BX", "input")
	p.end()
}
