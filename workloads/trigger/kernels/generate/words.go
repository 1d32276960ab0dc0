package main

// Kernels with sums in words: where all sums of a unit's products are known to fit into
// 16 bits (kernels.offsets), they are added up there and widened once a layer. That
// leaves two instructions for 32 products.

// ahead is how many bytes ahead of them records are asked for: 8 KB. Into the second-level
// cache: the first is too small for it.
const ahead = 8 << 10

// wideWords writes func wideWordsx<events>(records, stride, sums, weights, blocks): the
// sums of a first layer over records of whole cache lines, four units a block:
// sums[e][unit], 4*blocks values an event. The lines are cut into runs in which the
// words hold their sums. A block has four biases, the number of its runs (16 bytes),
// and for each run the number of its lines (32 bytes), the words of the four units, and
// for each line its 64 weights for each of the units.
func (p *file) wideWords(events int) {
	name := "wideWordsx" + string(rune('0'+events))
	const units = 4
	p.line("// func %s(records *byte, stride int, sums *int32, weights *byte, blocks int)", name)
	p.begin(name, 32*units*events, "records:R9", "stride:R12", "sums:DI", "weights:DX", "blocks:CX")
	for e := 1; e < events; e++ {
		p.op("LEAQ (%s)(R12*1), %s", record(e-1), record(e))
	}
	p.op("MOVQ CX, R13")
	p.op("SHLQ $4, R13 // bytes of sums an event")
	p.op("MOVQ SP, SI // sums in 32 bits")
	p.op("VPCMPEQW Y%d, Y%d, Y%d", onesRegister, onesRegister, onesRegister)
	p.op("VPSRLW $15, Y%d, Y%d", onesRegister, onesRegister)
	acc := func(e, u int) int { return units*e + u }
	x := units * events
	weights, product := x+2*events, x+2*events+1
	p.line("block:")
	p.op("VMOVDQU (DX), X%d", x)
	p.op("VMOVDQU X%d, (DI) // the biases, to be added to", x)
	p.op("MOVQ 16(DX), R11")
	p.op("ADDQ $32, DX")
	p.op("XORQ AX, AX")
	p.op("VPXOR Y%d, Y%d, Y%d", x, x, x)
	for i := range units * events {
		p.op("VMOVDQU Y%d, %d(SI)", x, 32*i)
	}
	p.line("run:")
	p.op("MOVQ (DX), R8")
	for u := range units {
		for e := range events {
			p.op("VMOVDQU %d(DX), Y%d", 32+32*u, acc(e, u))
		}
	}
	p.op("ADDQ $%d, DX", 32+32*units)
	p.line("line:")
	for e := range events {
		for half := range 2 {
			p.op("VMOVDQU %d(%s)(AX*1), Y%d", 32*half, record(e), x+2*e+half)
		}
	}
	for e := range events {
		p.op("PREFETCHT1 %d(%s)(AX*1) // for records that lie in memory", ahead, record(e))
	}
	for u := range units {
		for half := range 2 {
			if events == 1 {
				p.op("VPMADDUBSW %d(DX), Y%d, Y%d", 64*u+32*half, x+half, product)
				p.op("VPADDW Y%d, Y%d, Y%d", product, acc(0, u), acc(0, u))
				continue
			}
			p.op("VMOVDQU %d(DX), Y%d", 64*u+32*half, weights)
			for e := range events {
				p.op("VPMADDUBSW Y%d, Y%d, Y%d", weights, x+2*e+half, product+e)
				p.op("VPADDW Y%d, Y%d, Y%d", product+e, acc(e, u), acc(e, u))
			}
		}
	}
	p.op("ADDQ $64, AX")
	p.op("ADDQ $%d, DX", 64*units)
	p.countdown("R8", "line")
	for i := range units * events {
		p.op("VPMADDWD Y%d, Y%d, Y%d", onesRegister, i, i)
		p.op("VPADDD %d(SI), Y%d, Y%d", 32*i, i, i)
		p.op("VMOVDQU Y%d, %d(SI)", i, 32*i)
	}
	p.countdown("R11", "run")
	p.op("MOVQ DI, R8")
	p.op("VMOVDQU (DI), X%d", x)
	for e := range events {
		p.addUp(avx2, acc(e, 0), x+1)
		p.op("VPADDD X%d, X%d, X%d", x, acc(e, 0), acc(e, 0))
		p.op("VMOVDQU X%d, (R8)", acc(e, 0))
		p.op("ADDQ R13, R8")
	}
	p.op("ADDQ $16, DI")
	p.countdown("CX", "block")
	p.end()
}
