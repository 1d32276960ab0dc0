package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-vr/starling/workloads/trigger/network"
)

// emulated gathers calls of kernels with what Go says that they give, for an emulated
// processor: emulate/start.s runs them, scripts/emulate-avx512.sh both.
type emulated struct {
	t         *testing.T
	symbols   map[string]elf.Symbol
	text      *elf.Section
	blob      []byte
	functions map[string]uint64
	cases     []call
	random    *rand.Rand
}

// call is a case as start.s reads it.
type call struct {
	Function, Instructions uint64
	Arguments              [8]uint64
	Out, Want, Length      uint64
	name                   string
}

const (
	blobAt    = 0x200000
	mostCalls = 4096
	callSize  = 13 * 8
)

// put lays bytes down at an address that leaves offset when divided by 64.
func (e *emulated) put(b []byte, offset int) (address uint64) {
	for len(e.blob)%64 != offset {
		e.blob = append(e.blob, 0)
	}
	e.blob = append(e.blob, b...)
	return blobAt + uint64(len(e.blob)-len(b))
}

func (e *emulated) code(name string) uint64 {
	if at, ok := e.functions[name]; ok {
		return at
	}
	const path = "github.com/starling-vr/starling/workloads/trigger/kernels."
	s, ok := e.symbols[path+name+".abi0"]
	if !ok {
		s, ok = e.symbols[path+name]
	}
	if !ok {
		e.t.Fatalf("this program has no symbol of %s: go test -c leaves them", name)
	}
	code := make([]byte, s.Size)
	if _, err := e.text.ReadAt(code, int64(s.Value-e.text.Addr)); err != nil {
		e.t.Fatal(err)
	}
	e.functions[name] = e.put(code, 0)
	return e.functions[name]
}

// add adds a call. Arguments are integers, bytes to read, and one want, which stands
// where the kernel writes. What lies behind it must stay as it is.
func (e *emulated) add(name string, arguments ...any) {
	c := call{Function: e.code(name), name: name}
	for i, a := range arguments {
		switch a := a.(type) {
		case int:
			c.Arguments[i] = uint64(a)
		case weights:
			c.Arguments[i] = e.put(a, 0)
		case []byte:
			c.Arguments[i] = e.put(a, e.random.IntN(64))
		case want:
			behind := bytes.Repeat([]byte{0xA5}, 128)
			c.Want = e.put(append(bytes.Clone(a), behind...), 0)
			c.Out = e.put(append(bytes.Repeat([]byte{0x5A}, len(a)), behind...), 4*e.random.IntN(16))
			c.Length = uint64(len(a) + len(behind))
			c.Arguments[i] = c.Out
		}
	}
	e.cases = append(e.cases, c)
}

type (
	weights []byte
	want    []byte
)

func dwords[T ~int32 | ~uint32](values []T) want {
	var b want
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// record draws bytes with room to read behind them, as arenas have it.
func (e *emulated) record(size, count int) []byte {
	b := make([]byte, size*count+1024)
	for i := range count {
		drawRecord(b[i*size:][:size], e.random)
	}
	return b
}

func (e *emulated) jet(n *network.Network) {
	few, many := packJetVNNI(n)
	for _, k := range []struct {
		name   string
		w      []byte
		events int
	}{
		{"jetVNNIx1", few.b, 1}, {"jetVNNIx2", few.b, 2}, {"jetVNNIx4", few.b, 4}, {"jetVNNIx16", many.b, 16},
		{"jetAVX2x1", packJetAVX2(n).b, 1}, {"jetAVX2x8", packJetAVX2(n).b, 8},
	} {
		for times := 1; times <= 3; times++ {
			records := e.record(16, k.events*times)
			var out []uint32
			for i := range k.events * times {
				r := records[16*i : 16*i+16]
				out = append(out, uint32(decision(network.Score(n.Logits(r)), n.Threshold, r[0])))
			}
			e.add(k.name, records, dwords(out), weights(k.w), times)
		}
	}
}

func (e *emulated) wide(lines, units int) {
	size := 64 * lines
	layer := &network.Random(network.Shape{Size: max(size, 128), Pool: 1, Units: []int{units, 4}}, e.random).Layers[0]
	layer.Inputs = size
	layer.Weights = layer.Weights[:units*size]
	p := newPacking((units+3)/4*(32+4*size) + 64)
	p.lines(layer)
	blocks := (units + 3) / 4
	for _, events := range []int{1, 4} {
		records := e.record(size, events)
		sums := make([]int32, 0, 4*blocks*events)
		for i := range events {
			sums = append(sums, sumsOf(layer, records[i*size:][:size])...)
		}
		e.add(fmt.Sprintf("wideVNNIx%d", events), records, size, dwords(sums), weights(p.b), lines, blocks)
	}
}

func (e *emulated) narrow(inputs, units int) {
	layer := &network.Random(network.Shape{Size: inputs, Pool: 1, Units: []int{units, 4}}, e.random).Layers[0]
	pairs, blocks := (inputs+7)/8, padded(units)/32
	p := newPacking(blocks * (128 + 256*pairs))
	p.pairs(layer, asRead, pairs, 4, 0)
	x := e.record(inputs, 1)
	sums := append(sumsOf(layer, x[:inputs]), make([]int32, 32*blocks-units)...)
	for _, set := range []string{"VNNI", "AVX2"} {
		e.add("narrow"+set, x, dwords(sums), weights(p.b), pairs, blocks)
	}
}

// TestWriteEmulatedCases writes what scripts/emulate-avx512.sh runs, to the folder that
// KERNELS_EMULATED names; without it there is nothing to write.
func TestWriteEmulatedCases(t *testing.T) {
	folder := os.Getenv("KERNELS_EMULATED")
	if folder == "" {
		return
	}
	program, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	all, err := program.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	e := &emulated{t: t, symbols: map[string]elf.Symbol{}, text: program.Section(".text"), functions: map[string]uint64{}, random: rand.New(rand.NewPCG(7, 4)), blob: make([]byte, 8+mostCalls*callSize)}
	for _, s := range all {
		e.symbols[s.Name] = s
	}
	for i := range 48 {
		n := network.Random(network.Shape{Size: 16, Pool: 1, Units: []int{64, 32, 32, 5}}, e.random)
		for l := range n.Layers {
			if i < 4 { // weights at their bounds, of one sign in each layer
				sign := int8(1 - 2*(i>>(l%2)&1))
				for k := range n.Layers[l].Weights {
					limit := int8(network.HiddenLimit)
					if l == 0 {
						limit = network.FirstLimit
					}
					n.Layers[l].Weights[k] = sign * limit
				}
			}
			n.Layers[l].Shift = 0
		}
		e.jet(n)
	}
	for lines := 1; lines <= 12; lines++ {
		for units := 4; units <= 40; units += 12 {
			e.wide(lines, units)
		}
	}
	e.wide(32, 4)
	e.wide(32, 32)
	for inputs := 4; inputs <= 64; inputs += 4 {
		for units := 4; units <= 100; units += 32 {
			e.narrow(inputs, units)
		}
	}
	if len(e.cases) > mostCalls {
		t.Fatalf("%d calls", len(e.cases))
	}
	var head bytes.Buffer
	var names strings.Builder
	binary.Write(&head, binary.LittleEndian, uint64(len(e.cases)))
	for _, c := range e.cases {
		for _, part := range []any{c.Function, c.Instructions, c.Arguments, c.Out, c.Want, c.Length} {
			binary.Write(&head, binary.LittleEndian, part)
		}
		fmt.Fprintln(&names, c.name)
	}
	copy(e.blob, head.Bytes())
	for name, content := range map[string][]byte{"cases.bin": e.blob, "names": []byte(names.String())} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
