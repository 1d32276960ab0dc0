package main

// jetUnits is the network that has kernels of its own, 16-64-32-32-5.
var jetUnits = []int{16, 64, 32, 32, 5}

// byOutput writes a kernel that keeps the outputs of a layer in the lanes, and
// several events at once so that their instructions overlap.
type byOutput struct {
	*file
	*instructions
	events int
	at     int // where the weights of the layer begin, from DX
}

// jetByOutput writes func jet<isa>x<events>(records, out, weights, times): each time
// so many events.
func (p *file) jetByOutput(isa *instructions, events int) {
	k := &byOutput{p, isa, events, weightsAt}
	p.line("// func jet%sx%d(records *byte, out *stream.Decision, weights *byte, times int)", isa.name, events)
	p.begin("jet"+isa.name+"x"+string(rune('0'+events)), 64*events+64, "records:SI", "out:DI", "weights:DX", "times:CX")
	p.op("MOVQ SP, R8")
	p.op("ADDQ $63, R8")
	p.op("ANDQ $-64, R8 // activations, a line for each event")
	if isa == avx2 {
		p.op("VMOVDQU %d(DX), Y%d", onesAt, onesRegister)
	}
	p.line("next:")
	for l := 1; l < len(jetUnits); l++ {
		k.layer(jetUnits[l-1], jetUnits[l], l == 1, l == len(jetUnits)-1)
	}
	p.op("ADDQ $%d, SI", jetUnits[0]*events)
	p.op("ADDQ $%d, DI", 4*events)
	p.countdown("CX", "next")
	p.end()
}

// input is where dword d of event e's input is found.
func (k *byOutput) input(e, d int, first bool) (displacement int, register string) {
	if first {
		return jetUnits[0]*e + 4*d, "SI"
	}
	return 64*e + 4*d, "R8"
}

// layer writes a layer for all events. There are too few AVX2 registers for more than
// two events at once; while their layer ends, the next two events' begins.
func (k *byOutput) layer(inputs, units int, first, last bool) {
	if k.instructions == vnni {
		k.layerVNNI(inputs, units, first, last)
		return
	}
	for e := 0; e < k.events; e += 2 {
		k.layerAVX2(e, min(k.events-e, 2), inputs, units, first, last)
	}
	tiles := (units + 7) / 8
	k.at += 32*tiles + 64*tiles*inputs/8
}

const onesRegister = 15

// layerAVX2 goes by 32 units (for one event: 64): of eight inputs, the products of
// the first four and the last four are added in 16 bits, then widened.
func (k *byOutput) layerAVX2(event, events, inputs, units int, first, last bool) {
	tiles, pairs := (units+7)/8, inputs/8
	chunk := min(tiles, 4)
	size := 32*chunk + 64*chunk*pairs
	pass := chunk
	if events == 1 {
		pass = tiles
	}
	for from := 0; from < tiles; from += pass {
		acc := func(e, t int) int { return e*pass + t }
		at := func(t int) int { return k.at + (from+t)/chunk*size }
		for e := range events {
			for t := range pass {
				k.op("VMOVDQU %d(DX), Y%d", at(t)+32*((from+t)%chunk), acc(e, t))
			}
		}
		broadcast := events * pass
		product := broadcast + 2*events
		for pair := range pairs {
			for e := range 2 * events {
				from, base := k.input(event+e/2, 2*pair+e%2, first)
				k.op("VPBROADCASTD %d(%s), Y%d", from, base, broadcast+e)
			}
			for t := range pass {
				weights := at(t) + 32*chunk + 64*chunk*pair + 64*((from+t)%chunk)
				for e := range events {
					k.multiplyAVX2(weights, "DX", broadcast+2*e, broadcast+2*e+1, product, acc(e, t))
				}
			}
		}
		for e := range events {
			if last {
				k.score(event+e, acc(e, 0), product, product+1)
				continue
			}
			for t := 0; t < pass; t += 4 {
				k.activate(acc(e, t), 64*(event+e)+8*(from+t))
			}
		}
	}
}

// multiplyAVX2 adds to acc the products of 64 weights with eight inputs.
func (p *file) multiplyAVX2(at int, base string, x0, x1, product, acc int) {
	p.op("VPMADDUBSW %d(%s), Y%d, Y%d", at, base, x0, product)
	p.op("VPMADDUBSW %d(%s), Y%d, Y%d", at+32, base, x1, product+1)
	p.op("VPADDW Y%d, Y%d, Y%d", product+1, product, product)
	p.op("VPMADDWD Y%d, Y%d, Y%d", onesRegister, product, product)
	p.op("VPADDD Y%d, Y%d, Y%d", product, acc, acc)
}

// layerVNNI keeps all units of a layer in registers, in several sums where there is
// room, since a sum waits for itself.
func (k *byOutput) layerVNNI(inputs, units int, first, last bool) {
	tiles, groups := (units+15)/16, inputs/4
	chains := 1
	for 2*chains*k.events*tiles <= 8 && 2*chains <= groups {
		chains *= 2
	}
	acc := func(e, t, c int) int { return (e*tiles+t)*chains + c }
	broadcast := k.events * tiles * chains
	for e := range k.events {
		for t := range tiles {
			k.op("VMOVDQU32 %d(DX), Z%d", k.at+64*t, acc(e, t, 0))
			for c := 1; c < chains; c++ {
				k.op("VPXORD Z%d, Z%d, Z%d", acc(e, t, c), acc(e, t, c), acc(e, t, c))
			}
		}
	}
	k.at += 64 * tiles
	for g := range groups {
		for e := range k.events {
			at, base := k.input(e, vnniDword(g, inputs, first), first)
			k.op("VPBROADCASTD %d(%s), Z%d", at, base, broadcast+e)
		}
		for t := range tiles {
			if k.events == 1 {
				k.op("VPDPBUSD %d(DX), Z%d, Z%d", k.at+64*t, broadcast, acc(0, t, g%chains))
				continue
			}
			k.op("VMOVDQU32 %d(DX), Z31", k.at+64*t)
			for e := range k.events {
				k.op("VPDPBUSD Z31, Z%d, Z%d", broadcast+e, acc(e, t, g%chains))
			}
		}
		k.at += 64 * tiles
	}
	for e := range k.events {
		for t := range tiles {
			for step := chains / 2; step > 0; step /= 2 {
				for c := range step {
					k.op("VPADDD Z%d, Z%d, Z%d", acc(e, t, c+step), acc(e, t, c), acc(e, t, c))
				}
			}
		}
		if last {
			k.score(e, acc(e, 0, 0), broadcast, broadcast+1)
			continue
		}
		k.activateVNNI(e, tiles, func(t int) int { return acc(e, t, 0) })
	}
}

// vnniDword is the dword of the stored activations that holds the inputs of group g:
// of 32 units, two dwords of each 128 bits are used.
func vnniDword(g, inputs int, first bool) int {
	if first || inputs == 64 {
		return g
	}
	return g/2*4 + g%2
}

// activate narrows the sums of 32 units in a .. a+3 to bytes and stores them.
func (k *byOutput) activate(a, at int) {
	k.op("VPACKSSDW Y%d, Y%d, Y%d", a+1, a, a)
	k.op("VPACKSSDW Y%d, Y%d, Y%d", a+3, a+2, a+2)
	k.op("VPSRAW $8, Y%d, Y%d", a, a)
	k.op("VPSRAW $8, Y%d, Y%d", a+2, a+2)
	k.op("VPACKUSWB Y%d, Y%d, Y%d", a+2, a, a)
	k.op("VMOVDQU Y%d, %d(R8)", a, at)
}

func (k *byOutput) activateVNNI(e, tiles int, acc func(int) int) {
	a := acc(0)
	k.op("VPACKSSDW Z%d, Z%d, Z%d", acc(1), a, a)
	k.op("VPSRAW $8, Z%d, Z%d", a, a)
	if tiles == 4 {
		k.op("VPACKSSDW Z%d, Z%d, Z%d", acc(3), acc(2), acc(2))
		k.op("VPSRAW $8, Z%d, Z%d", acc(2), acc(2))
		k.op("VPACKUSWB Z%d, Z%d, Z%d", acc(2), a, a)
	} else {
		k.op("VPACKUSWB Z%d, Z%d, Z%d", a, a, a)
	}
	k.op("VMOVDQU32 Z%d, %d(R8)", a, 64*e)
}

// score turns the logits in the lanes of register y into event e's decision. Lanes
// without a logit are so low that they never win.
func (k *byOutput) score(e, y, t, u int) {
	k.op("VPBROADCASTD X%d, %s", y, k.v(t))
	k.op("VPSUBD %s, %s, %s", k.v(t), k.v(y), k.v(y))
	k.op("%s %d(DX), %s, %s // the background is no signal", k.or, lowestAt, k.v(y), k.v(y))
	k.op("VEXTRACTI128 $1, Y%d, X%d", y, u)
	k.op("VPMAXSD X%d, X%d, X%d", u, y, y)
	k.op("VPSHUFD $0x4E, X%d, X%d", y, u)
	k.op("VPMAXSD X%d, X%d, X%d", u, y, y)
	k.op("VPSHUFD $0xB1, X%d, X%d", y, u)
	k.op("VPMAXSD X%d, X%d, X%d", u, y, y)
	k.op("VMOVD X%d, AX", y)
	k.op("MOVL %d(DX), BX", thresholdAt)
	k.op("SUBL AX, BX // below 0: selected")
	k.op("ANDL $0x80000000, BX")
	k.op("ANDL $0x3FFFFFFF, AX")
	k.op("ORL BX, AX")
	k.op("MOVBLZX %d(SI), BX", jetUnits[0]*e)
	k.op("INCL BX")
	k.op("ANDL $0x100, BX")
	k.op("SHLL $22, BX // damaged")
	k.op("ORL BX, AX")
	k.op("MOVL AX, %d(DI)", 4*e)
}
