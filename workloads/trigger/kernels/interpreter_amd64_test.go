package kernels

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// processor carries out the kernels' assembly, instruction by instruction as Intel's
// manual describes them, so that kernels can be held against Go on machines that lack
// their instructions. Memory is in segments: what lies outside of them cannot be
// touched.
type processor struct {
	program   []instruction
	general   map[string]uint64
	vector    [32][64]byte
	mask      map[string]uint64 // K1, K2
	zero      bool
	segments  map[uint64][]byte // by the upper half of the address
	arguments map[string]uint64
}

type instruction struct {
	label    string
	name     string
	operands []string
}

// readKernel finds a function in an assembly file.
func readKernel(file, name string) ([]instruction, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	_, body, ok := strings.Cut(string(text), "TEXT ·"+name+"(SB)")
	if !ok {
		return nil, fmt.Errorf("%s has no %s", file, name)
	}
	var program []instruction
	for _, line := range strings.Split(body, "\n")[1:] {
		line, _, _ = strings.Cut(line, "//")
		line = strings.TrimSpace(line)
		if label, ok := strings.CutSuffix(line, ":"); ok {
			program = append(program, instruction{label: label})
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "" || name == "TEXT" {
			break
		}
		i := instruction{name: name}
		if rest = strings.TrimSpace(rest); rest != "" {
			i.operands = strings.Split(rest, ", ")
		}
		program = append(program, i)
	}
	return program, nil
}

const stackAt = 9 << 32

// run calls a kernel: arguments are memory, or integers.
func (p *processor) run(names []string, arguments []any) error {
	p.general, p.arguments, p.mask = map[string]uint64{"SP": stackAt}, map[string]uint64{}, map[string]uint64{}
	p.segments = map[uint64][]byte{stackAt >> 32: make([]byte, 1<<12)}
	for i, a := range arguments {
		switch a := a.(type) {
		case int:
			p.arguments[names[i]] = uint64(a)
		case []byte:
			at := uint64(i+1) << 32
			p.segments[at>>32] = a
			p.arguments[names[i]] = at
		}
	}
	for at, steps := 0, 0; at < len(p.program); at, steps = at+1, steps+1 {
		i := &p.program[at]
		if i.name == "RET" {
			return nil
		}
		if i.name == "PREFETCHT1" { // brings closer what is not to be read yet, or is not there
			continue
		}
		if i.name == "JNZ" && !p.zero || i.name == "JZ" && p.zero {
			for at = 0; p.program[at].label != i.operands[0]; at++ {
			}
			continue
		}
		if i.label == "" && i.name != "JNZ" && i.name != "JZ" && i.name != "VZEROUPPER" {
			if err := p.step(i); err != nil {
				return fmt.Errorf("%s %s: %w", i.name, strings.Join(i.operands, ", "), err)
			}
		}
	}
	return fmt.Errorf("it does not return")
}

// address is that of an operand such as 8(SI) or (R9)(AX*1).
func (p *processor) address(operand string) uint64 {
	displacement, rest, _ := strings.Cut(operand, "(")
	d, _ := strconv.ParseInt(displacement, 0, 64)
	base, index, _ := strings.Cut(rest, ")")
	address := p.general[base] + uint64(d)
	if index = strings.TrimPrefix(index, "("); index != "" {
		address += p.general[strings.TrimSuffix(index, "*1)")]
	}
	return address
}

// memory is what an operand refers to.
func (p *processor) memory(operand string, n int) ([]byte, error) {
	address := p.address(operand)
	segment := p.segments[address>>32]
	from := address & (1<<32 - 1)
	if from+uint64(n) > uint64(len(segment)) {
		return nil, fmt.Errorf("%d bytes at %#x are outside of memory", n, address)
	}
	return segment[from : from+uint64(n)], nil
}

func isVector(operand string) bool {
	return len(operand) > 1 && strings.IndexByte("XYZ", operand[0]) >= 0 && operand[1] >= '0' && operand[1] <= '9'
}

func isMask(operand string) bool { return operand == "K1" || operand == "K2" }

func width(operand string) int {
	return map[byte]int{'X': 16, 'Y': 32, 'Z': 64}[operand[0]]
}

func number(operand string) int {
	n, _ := strconv.Atoi(operand[1:])
	return n
}

// source gives n bytes of a vector register or of memory.
func (p *processor) source(operand string, n int) ([]byte, error) {
	if isVector(operand) {
		return append([]byte(nil), p.vector[number(operand)][:n]...), nil
	}
	b, err := p.memory(operand, n)
	return append([]byte(nil), b...), err
}

// value is an integer operand of n bytes.
func (p *processor) value(operand string, n int) (uint64, error) {
	switch {
	case strings.HasPrefix(operand, "$"):
		if v, err := strconv.ParseUint(operand[1:], 0, 64); err == nil {
			return v, nil
		}
		v, err := strconv.ParseInt(operand[1:], 0, 64)
		return uint64(v), err
	case strings.HasSuffix(operand, "(FP)"):
		name, _, _ := strings.Cut(operand, "+")
		v, ok := p.arguments[name]
		if !ok {
			return 0, fmt.Errorf("no argument %s", name)
		}
		return v, nil
	case strings.Contains(operand, "("):
		b, err := p.memory(operand, n)
		var wide [8]byte
		copy(wide[:], b)
		return binary.LittleEndian.Uint64(wide[:]), err
	case isVector(operand):
		return binary.LittleEndian.Uint64(p.vector[number(operand)][:8]) & (1<<(8*n) - 1), nil
	}
	return p.general[operand], nil
}

// step carries out one instruction.
func (p *processor) step(i *instruction) error {
	last := i.operands[len(i.operands)-1]
	if i.name[0] == 'V' || i.name[0] == 'K' {
		return p.stepVector(i, last)
	}
	n := 8
	if strings.HasSuffix(i.name, "L") {
		n = 4
	}
	if i.name == "LEAQ" {
		p.general[last] = p.address(i.operands[0])
		return nil
	}
	if i.name == "MOVBLZX" {
		n = 1
	}
	a, err := p.value(i.operands[0], n)
	if err != nil {
		return err
	}
	b := p.general[last]
	switch i.name {
	case "MOVQ", "MOVL", "MOVBLZX":
		b = a
	case "ADDQ":
		b += a
	case "ANDQ", "ANDL":
		b &= a
	case "ORL":
		b |= a
	case "XORQ":
		b ^= a
	case "SUBL":
		b -= a
	case "SHLL", "SHLQ":
		b <<= a
	case "SHRQ":
		b >>= a
	case "INCL":
		b++
	case "DECQ":
		b--
	default:
		return fmt.Errorf("unknown")
	}
	if n == 4 {
		b &= 1<<32 - 1
	}
	p.zero = b == 0
	if strings.Contains(last, "(") {
		to, err := p.memory(last, n)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(to, uint32(b))
		return nil
	}
	p.general[last] = b
	return nil
}
