package kernels

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

func dword(b []byte, i int) int32 { return int32(binary.LittleEndian.Uint32(b[4*i:])) }
func word(b []byte, i int) int16  { return int16(binary.LittleEndian.Uint16(b[2*i:])) }

func putDword(b []byte, i int, v int32) { binary.LittleEndian.PutUint32(b[4*i:], uint32(v)) }
func putWord(b []byte, i int, v int16)  { binary.LittleEndian.PutUint16(b[2*i:], uint16(v)) }

func saturate(v, low, high int32) int32 { return max(low, min(v, high)) }

// stepVector carries out an instruction on vectors. Operands are in Go's order, so b
// is the first source of the manual and a the second.
func (p *processor) stepVector(i *instruction, last string) error {
	switch i.name {
	case "VMOVDQU", "VMOVDQU32", "VMOVDQA":
		return p.move(i.operands[0], last)
	case "VMOVQ":
		to, err := p.memory(last, 8)
		copy(to, p.vector[number(i.operands[0])][:])
		return err
	case "VMOVD":
		v := p.vector[number(i.operands[0])][:4]
		if strings.Contains(last, "(") {
			to, err := p.memory(last, 4)
			copy(to, v)
			return err
		}
		p.general[last] = uint64(uint32(dword(v, 0)))
		return nil
	case "KMOVQ":
		p.mask[last] = p.general[i.operands[0]]
		return nil
	case "VPCMPEQD", "VPCMPEQW":
		return p.equal(i, last)
	}
	n := width(last)
	out := make([]byte, n)
	if name := i.name; strings.HasPrefix(name, "VPBROADCAST") || strings.HasPrefix(name, "VEXTRACT") || name == "VINSERTI128" {
		if err := p.spread(i, out); err != nil {
			return err
		}
		p.set(last, out)
		return nil
	}
	immediate, sources := uint64(0), i.operands[:len(i.operands)-1]
	if strings.HasPrefix(sources[0], "$") {
		immediate, _ = p.value(sources[0], 8)
		sources = sources[1:]
	}
	mask, size := ^uint64(0), 4
	if at := slices.IndexFunc(sources, isMask); at >= 0 {
		mask = p.mask[sources[at]]
		sources = slices.Delete(slices.Clone(sources), at, at+1)
		if i.name == "VPSHUFB" {
			size = 1
		}
	}
	name, a := i.name, []byte(nil)
	var err error
	if rest, ok := strings.CutSuffix(name, ".BCST"); ok {
		var four []byte
		four, err = p.source(sources[0], 4)
		name, a = rest, slices.Repeat(four, n/4)
	} else {
		a, err = p.source(sources[0], n)
	}
	if err != nil {
		return err
	}
	b := a
	if len(sources) > 1 {
		if b, err = p.source(sources[1], n); err != nil {
			return err
		}
	}
	copy(out, p.vector[number(last)][:n])
	old := slices.Clone(out)
	if !byLane(name, immediate, a, b, out) && !withinLanes(name, immediate, a, b, out) {
		return fmt.Errorf("unknown")
	}
	for lane := range n / size {
		if mask>>lane&1 == 0 {
			copy(out[size*lane:size*(lane+1)], old[size*lane:])
		}
	}
	p.set(last, out)
	return nil
}

// set writes a register; what is above the width becomes 0.
func (p *processor) set(register string, b []byte) {
	to := &p.vector[number(register)]
	clear(to[:])
	copy(to[:], b)
}

func (p *processor) move(from, to string) error {
	if isVector(to) {
		b, err := p.source(from, width(to))
		p.set(to, b)
		return err
	}
	b, err := p.memory(to, width(from))
	copy(b, p.vector[number(from)][:])
	return err
}

func (p *processor) equal(i *instruction, last string) error {
	a, b := p.vector[number(i.operands[0])], p.vector[number(i.operands[1])]
	size := 4
	if i.name == "VPCMPEQW" {
		size = 2
	}
	mask, bits := uint64(0), make([]byte, width(i.operands[0]))
	for at := 0; at < len(bits); at += size {
		if bytes.Equal(a[at:at+size], b[at:at+size]) {
			mask |= 1 << (at / size)
			copy(bits[at:at+size], "\xff\xff\xff\xff")
		}
	}
	if isMask(last) {
		p.mask[last] = mask
	} else {
		p.set(last, bits)
	}
	return nil
}

func (p *processor) spread(i *instruction, out []byte) error {
	if size, ok := map[string]int{"VPBROADCASTW": 2, "VPBROADCASTD": 4, "VPBROADCASTQ": 8}[i.name]; ok {
		part, err := p.source(i.operands[0], size)
		copy(out, slices.Repeat(part, len(out)/size))
		return err
	}
	part, err := p.value(i.operands[0], 8)
	if i.name == "VINSERTI128" {
		copy(out, p.vector[number(i.operands[2])][:])
		copy(out[16*part:], p.vector[number(i.operands[1])][:16])
		return err
	}
	copy(out, p.vector[number(i.operands[1])][int(part)*len(out):])
	return err
}

// byLane are instructions whose lanes do not meet; VPERMD aside, whose do.
func byLane(name string, immediate uint64, a, b, out []byte) bool {
	for lane := range len(out) / 4 {
		x, y, z := dword(a, lane), dword(b, lane), dword(out, lane)
		switch name {
		case "VPDPBUSD":
			for k := 4 * lane; k < 4*lane+4; k++ {
				z += int32(int8(a[k])) * int32(b[k])
			}
		case "VPADDD":
			z = x + y
		case "VPSUBD":
			z = y - x
		case "VPMAXSD":
			z = max(x, y)
		case "VPCMPGTD":
			z = 0
			if y > x {
				z = -1
			}
		case "VPBLENDD":
			z = y
			if immediate>>lane&1 == 1 {
				z = x
			}
		case "VPXORD", "VPXOR":
			z = x ^ y
		case "VPORD", "VPOR":
			z = x | y
		case "VPSLLD":
			z = x << immediate
		case "VPSRLD":
			z = int32(uint32(x) >> immediate)
		case "VPTERNLOGD":
			if immediate != 255 {
				return false
			}
			z = -1
		case "VPERMD":
			z = dword(a, int(y)&(len(out)/4-1))
		case "VPMADDWD":
			z = int32(word(a, 2*lane))*int32(word(b, 2*lane)) + int32(word(a, 2*lane+1))*int32(word(b, 2*lane+1))
		default:
			return byWord(name, immediate, a, b, out)
		}
		putDword(out, lane, z)
	}
	return true
}

func byWord(name string, immediate uint64, a, b, out []byte) bool {
	for lane := range len(out) / 2 {
		x, y := word(a, lane), word(b, lane)
		switch name {
		case "VPSRAW":
			x >>= immediate
		case "VPSRLW":
			x = int16(uint16(x) >> immediate)
		case "VPADDW":
			x += y
		case "VPADDSW":
			x = int16(saturate(int32(x)+int32(y), -32768, 32767))
		case "VPMAXSW":
			x = max(x, y)
		case "VPMADDUBSW":
			sum := int32(int8(a[2*lane]))*int32(b[2*lane]) + int32(int8(a[2*lane+1]))*int32(b[2*lane+1])
			x = int16(saturate(sum, -32768, 32767))
		default:
			return false
		}
		putWord(out, lane, x)
	}
	return true
}

// withinLanes are instructions that move things about within each 128 bits.
func withinLanes(name string, immediate uint64, a, b, out []byte) bool {
	for from := 0; from < len(out); from += 16 {
		x, y, z := a[from:from+16], b[from:from+16], out[from:from+16]
		switch name {
		case "VPACKSSDW":
			for k := range 4 {
				putWord(z, k, int16(saturate(dword(y, k), -32768, 32767)))
				putWord(z, k+4, int16(saturate(dword(x, k), -32768, 32767)))
			}
		case "VPACKUSWB":
			for k := range 8 {
				z[k] = byte(saturate(int32(word(y, k)), 0, 255))
				z[k+8] = byte(saturate(int32(word(x, k)), 0, 255))
			}
		case "VPSHUFB":
			for k := range 16 {
				z[k] = y[x[k]&15]
			}
		case "VPMAXSB":
			for k := range 16 {
				z[k] = byte(max(int8(x[k]), int8(y[k])))
			}
		case "VPSHUFD":
			for k := range 4 {
				putDword(z, k, dword(x, int(immediate>>(2*k)&3)))
			}
		case "VPUNPCKLWD", "VPUNPCKHWD":
			half := 0
			if name == "VPUNPCKHWD" {
				half = 4
			}
			for k := range 4 {
				putWord(z, 2*k, word(y, half+k))
				putWord(z, 2*k+1, word(x, half+k))
			}
		case "VPUNPCKLDQ", "VPUNPCKHDQ":
			half := 0
			if name == "VPUNPCKHDQ" {
				half = 2
			}
			for k := range 2 {
				putDword(z, 2*k, dword(y, half+k))
				putDword(z, 2*k+1, dword(x, half+k))
			}
		case "VPUNPCKLQDQ":
			copy(z, y[:8])
			copy(z[8:], x[:8])
		case "VPUNPCKHQDQ":
			copy(z, y[8:])
			copy(z[8:], x[8:])
		default:
			return false
		}
	}
	return true
}
