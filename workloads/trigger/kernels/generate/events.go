package main

import "fmt"

// eventsInLanes writes a kernel with sixteen events in the lanes of 512 bits, and
// weights broadcast from memory. It adds up no lanes, so it spends least on an event, and
// needs sixteen of them.
//
// A sum waits five cycles for itself while two products a cycle could be added: of a
// layer, so many units go at once as registers are free.
type eventsInLanes struct {
	*file
	at   int   // where the weights of the layer begin, from DX
	free []int // registers that hold nothing
}

// mostUnits is how many units go at once: 16 of 5 cycles each are more than enough.
const mostUnits = 16

// Registers that keep a constant: zeros, and from where packed words give their upper
// bytes. Mask K2 has the upper two of each four bytes.
const (
	shuffleRegister = 30
	noneRegister    = 31
	upperHalves     = 0xCCCCCCCCCCCCCCCC
)

// jetByEvent writes func jetVNNIx16.
func (p *file) jetByEvent() {
	k := &eventsInLanes{file: p, at: weightsAt}
	p.line("// func jetVNNIx16(records *byte, out *stream.Decision, weights *byte, times int)")
	p.begin("jetVNNIx16", 0, "records:SI", "out:DI", "weights:DX", "times:CX")
	p.op("VPXORD Z%[1]d, Z%[1]d, Z%[1]d", noneRegister)
	p.op("VMOVDQU32 %d(DX), Z%d", shuffleAt, shuffleRegister)
	p.op("MOVQ $0x%X, AX", uint64(upperHalves))
	p.op("KMOVQ AX, K2")
	p.line("next:")
	for r := shuffleRegister - 1; r >= 4; r-- {
		k.free = append(k.free, r)
	}
	x := k.load()
	firstBytes, damaged := k.free[0], k.free[1]
	p.op("VPTERNLOGD $0xFF, Z%[1]d, Z%[1]d, Z%[1]d", damaged)
	p.op("VPSLLD $24, Z%[1]d, Z%[1]d", damaged)
	p.op("VPSLLD $24, Z%d, Z%d", x[0], firstBytes)
	p.op("VPCMPEQD Z%d, Z%d, K1 // damaged", damaged, firstBytes)
	last := len(jetUnits) - 1
	for l := 1; l < last; l++ {
		x = k.layer(x, jetUnits[l])
	}
	k.decide(k.logits(x, jetUnits[last]))
	p.op("ADDQ $256, SI")
	p.op("ADDQ $64, DI")
	p.countdown("CX", "next")
	p.end()
}

// take gives n free registers.
func (k *eventsInLanes) take(n int) []int {
	from := len(k.free) - n
	taken := append([]int(nil), k.free[from:]...)
	k.free = k.free[:from]
	return taken
}

func (k *eventsInLanes) give(registers ...int) { k.free = append(k.free, registers...) }

// load loads 16 records of 16 bytes: dword d of each in Zd, of event 4*i+j in lane
// 4*j+i.
func (k *eventsInLanes) load() []int {
	t := k.take(8)
	for i := range 4 {
		k.op("VMOVDQU32 %d(SI), Z%d", 64*i, t[i])
	}
	k.op("VPUNPCKLDQ Z%d, Z%d, Z%d", t[1], t[0], t[4])
	k.op("VPUNPCKHDQ Z%d, Z%d, Z%d", t[1], t[0], t[5])
	k.op("VPUNPCKLDQ Z%d, Z%d, Z%d", t[3], t[2], t[6])
	k.op("VPUNPCKHDQ Z%d, Z%d, Z%d", t[3], t[2], t[7])
	k.op("VPUNPCKLQDQ Z%d, Z%d, Z0", t[6], t[4])
	k.op("VPUNPCKHQDQ Z%d, Z%d, Z1", t[6], t[4])
	k.op("VPUNPCKLQDQ Z%d, Z%d, Z2", t[7], t[5])
	k.op("VPUNPCKHQDQ Z%d, Z%d, Z3", t[7], t[5])
	k.give(t...)
	return []int{0, 1, 2, 3}
}

// layer gives the registers of the layer's activations, a dword of four units for each
// event in each, and frees those of its inputs.
func (k *eventsInLanes) layer(x []int, units int) (activations []int) {
	for from := 0; from < units; {
		n := min(mostUnits, units-from, len(k.free)&^3)
		sums := k.take(n)
		for o, sum := range sums {
			k.op("VPBROADCASTD %d(DX), Z%d", k.bias(from+o, len(x)), sum)
		}
		for g := range x {
			for o, sum := range sums {
				k.op("VPDPBUSD.BCST %d(DX), Z%d, Z%d", k.weights(from+o, g, len(x)), x[g], sum)
			}
		}
		for u := 0; u < n; u += 4 {
			activations = append(activations, k.activate(sums[u:u+4]))
		}
		from += n
	}
	k.at += (units + 7) / 8 * k.block(len(x))
	k.give(x...)
	return activations
}

// Weights lie by eight units: their biases, then for each four inputs theirs.
func (k *eventsInLanes) block(groups int) int { return 32 + 32*groups }

func (k *eventsInLanes) bias(unit, groups int) int {
	return k.at + unit/8*k.block(groups) + unit%8*4
}

func (k *eventsInLanes) weights(unit, group, groups int) int {
	return k.bias(unit, groups) + 32 + 32*group
}

// activate leaves the activations of four units in the first register and frees the
// others: the upper bytes of their sums, saturated to words, side by side for each event.
func (k *eventsInLanes) activate(sums []int) int {
	a, b := sums[0], sums[2]
	k.op("VPACKSSDW Z%d, Z%d, Z%d", sums[1], a, a)
	k.op("VPACKSSDW Z%d, Z%d, Z%d", sums[3], b, b)
	k.op("VPSHUFB Z%d, Z%d, Z%d", shuffleRegister, a, a)
	k.op("VPSHUFB Z%d, Z%d, K2, Z%d", shuffleRegister, b, a)
	k.op("VPMAXSB Z%d, Z%d, Z%d", noneRegister, a, a)
	k.give(sums[1:]...)
	return a
}

// logits are two sums a unit, of even and odd groups of inputs, put together: there are
// too few units to keep the multipliers busy otherwise.
func (k *eventsInLanes) logits(x []int, units int) []int {
	even, odd := k.take(units), k.take(units)
	for o := range units {
		k.op("VPBROADCASTD %d(DX), Z%d", k.bias(o, len(x)), even[o])
		k.op("VPXORD Z%[1]d, Z%[1]d, Z%[1]d", odd[o])
	}
	for g := range x {
		for o := range units {
			k.op("VPDPBUSD.BCST %d(DX), Z%d, Z%d", k.weights(o, g, len(x)), x[g], [][]int{even, odd}[g%2][o])
		}
	}
	for o := range units {
		k.op("VPADDD Z%d, Z%[2]d, Z%[2]d", odd[o], even[o])
	}
	return even
}

// decide writes the decisions, from the background's logit and those of the signals.
func (k *eventsInLanes) decide(logits []int) {
	background, score, t := logits[0], logits[1], logits[2]
	for _, l := range logits[2:] {
		k.op("VPMAXSD Z%d, Z%[2]d, Z%[2]d", l, score)
	}
	k.op("VPSUBD Z%d, Z%[2]d, Z%[2]d", background, score)
	k.op("VMOVDQU32 %d(DX), Z%d", thresholdAt, t)
	k.op("VPSUBD Z%d, Z%[2]d, Z%[2]d", score, t)
	k.op("VPSRLD $31, Z%[1]d, Z%[1]d", t)
	k.mark("VPORD", fmt.Sprintf("Z%d", t), fmt.Sprintf("Z%d", score))
	k.op("VPTERNLOGD $0xFF, Z%[1]d, Z%[1]d, Z%[1]d", t)
	k.op("VPSRLD $31, Z%[1]d, Z%[1]d", t)
	k.op("VPSLLD $30, Z%[1]d, Z%[1]d", t)
	k.op("VPORD Z%d, Z%[2]d, K1, Z%[2]d", t, score)
	k.op("VMOVDQU32 %d(DX), Z%d", eventsAt, t)
	k.op("VPERMD Z%d, Z%d, Z%d", score, t, score)
	k.op("VMOVDQU32 Z%d, (DI)", score)
}
