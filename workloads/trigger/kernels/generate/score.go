package main

// decide writes the last layer, whose sums are widened to 32 bits, and the decisions.
func (k *lanes) decide(l, inputs, units int) {
	k.op("LEAQ %d(DX), R10", k.at)
	n := (units + k.units - 1) / k.units
	even, odd := k.sums(l, inputs, 2*8, n)
	logits := k.widen(even, odd, units, 2*8*(2+inputs/2))
	k.score(logits)
	k.write()
}

// widen leaves the logits, of even and odd units by turns, in registers: each has every
// other unit of what was one register of words. Their biases lie at biases: those of even
// units, then those of odd ones.
func (k *lanes) widen(even func(int) string, odd, units, biases int) (logits []int) {
	k.op("VMOVDQU %d(DX), Y14", constantAt(evenWords))
	k.op("VMOVDQU %d(DX), Y15", constantAt(oddWords))
	for unit := range units {
		t, half := unit/k.units, unit%k.units
		if half > 1 {
			continue
		}
		to := []int{10, 11, 12, 13, 8}[len(logits)]
		k.op("VPMADDWD Y%d, %s, Y%d", 14+half, even(t), to)
		k.op("VPMADDWD Y%d, Y%d, Y9", 14+half, odd+t)
		k.op("VPADDD Y9, Y%[1]d, Y%[1]d", to)
		k.op("%s %d(R10), Y9", k.spread(), biases+16*half+2*k.units*t)
		k.op("VPADDD Y9, Y%[1]d, Y%[1]d", to)
		logits = append(logits, to)
	}
	return logits
}

// score leaves in register 10 the best signal's logit less the background's, in all lanes
// of an event.
func (k *lanes) score(logits []int) {
	if k.units == 2 {
		k.best(logits[1:])
		k.op("VPSUBD Y%d, Y%d, Y10", logits[0], logits[1])
		return
	}
	k.op("VPSHUFD $0xA0, Y%d, Y9", logits[0])
	for _, l := range logits {
		k.op("VPSUBD Y9, Y%[1]d, Y%[1]d", l)
	}
	k.op("VPOR %d(DX), Y10, Y10 // the background is no signal", constantAt(lowest))
	k.best(logits)
	k.op("VPSHUFD $0xB1, Y10, Y9")
	k.op("VPMAXSD Y9, Y10, Y10")
}

// best leaves the largest of logits in the first of them.
func (k *lanes) best(logits []int) {
	for _, l := range logits[1:] {
		k.op("VPMAXSD Y%d, Y%[2]d, Y%[2]d", l, logits[0])
	}
}

// write makes decisions of the scores in register 10.
func (k *lanes) write() {
	k.op("VMOVDQU %d(R8), Y12", k.inputsAt(0))
	k.finish("Y10", "Y12", "Y9", "Y13")
	k.op("VEXTRACTI128 $1, Y10, X11")
	if k.events == 4 {
		k.op("VPBLENDD $0x0A, X11, X10, X10")
		k.op("VMOVDQU X10, (DI)")
		return
	}
	k.op("VPUNPCKLDQ X11, X10, X12")
	k.op("VPUNPCKHDQ X11, X10, X13")
	k.op("VMOVDQU X12, (DI)")
	k.op("VMOVDQU X13, 16(DI)")
}
