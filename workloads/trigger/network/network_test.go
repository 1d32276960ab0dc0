package network_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/starling-vr/starling/workloads/trigger/network"
	"pgregory.net/rapid"
)

var jet = network.Shape{Size: 16, Pool: 1, Units: []int{64, 32, 32, 5}}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func TestTheJetNetworkTakes8512Operations(t *testing.T) {
	if got := jet.Operations(); got != 8512 {
		t.Errorf("%d operations", got)
	}
	if got := jet.String(); got != "16->64->32->32->5" {
		t.Error(got)
	}
}

// The paper's ranges, 5 K to 1000 K operations and 2 KB to 1 MB, are covered
// wherever the network can look at each byte.
func TestTheFamilyCoversThePapersRanges(t *testing.T) {
	for _, c := range []struct{ ops, size int }{
		{8_000, 2048}, {16_384, 2048}, {132_000, 2048}, {1_000_000, 2048},
		{132_000, 16384}, {1_000_000, 65536}, {300_000, 262144}, {1_000_000, 1 << 20},
	} {
		shape, err := network.Family(c.ops, c.size)
		if err != nil {
			t.Errorf("%d operations, %d bytes: %v", c.ops, c.size, err)
			continue
		}
		if got := shape.Operations(); got > c.ops*11/10 || got < c.ops*9/10 {
			t.Errorf("%s takes %d operations for %d", &shape, got, c.ops)
		}
		t.Logf("%d operations over %d bytes: %s, %d", c.ops, c.size, &shape, shape.Operations())
	}
	var away *network.OperationsError
	if _, err := network.Family(5_000, 1<<20); !errors.As(err, &away) || away.Nearest < 1<<20 {
		t.Error(err)
	}
	var shape *network.ShapeError
	if _, err := network.Family(5_000, 7); !errors.As(err, &shape) {
		t.Error(err)
	}
}

func shapes(t *rapid.T) network.Shape {
	s := network.Shape{Pool: 1, Size: 4 * rapid.IntRange(1, 16).Draw(t, "dwords")}
	if rapid.Bool().Draw(t, "large") {
		s.Size = 64 * rapid.IntRange(1, 64).Draw(t, "lines")
	}
	for range rapid.IntRange(0, 3).Draw(t, "hidden layers") {
		s.Units = append(s.Units, 4*rapid.IntRange(1, 12).Draw(t, "units"))
	}
	s.Units = append(s.Units, rapid.IntRange(2, network.MostLogits).Draw(t, "classes"))
	return s
}

func TestWeightsFilesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := network.Random(shapes(t), random(rapid.Uint64().Draw(t, "seed")))
		file, err := n.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := network.Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(n, back) {
			t.Fatalf("%+v came back as %+v", n, back)
		}
	})
}

// A corrupted file must be told apart wherever the damage is: a network with one
// wrong weight would go on deciding.
func TestADamagedFileIsRefused(t *testing.T) {
	file, err := network.Random(jet, random(1)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range file {
		damaged := append([]byte(nil), file...)
		damaged[i] ^= 0x10
		var wrong *network.FileError
		if _, err := network.Decode(damaged); !errors.As(err, &wrong) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	for n := range file {
		if _, err := network.Decode(file[:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken", n, len(file))
		}
	}
}

func TestWhatKernelsCannotRunIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*network.Network){
		"first weight":     func(n *network.Network) { n.Layers[0].Weights[3] = network.FirstLimit + 1 },
		"hidden weight":    func(n *network.Network) { n.Layers[1].Weights[3] = -network.HiddenLimit - 1 },
		"bias":             func(n *network.Network) { n.Layers[3].Bias[0] = 1 << 29 },
		"shift":            func(n *network.Network) { n.Layers[1].Shift = 17 },
		"shift of logits":  func(n *network.Network) { n.Layers[3].Shift = 1 },
		"missing layer":    func(n *network.Network) { n.Layers = n.Layers[:3] },
		"missing weights":  func(n *network.Network) { n.Layers[2].Weights = n.Layers[2].Weights[1:] },
		"units":            func(n *network.Network) { n.Shape.Units[0] = 60 },
		"threshold":        func(n *network.Network) { n.Threshold = 1 << 30 },
		"record of 18":     func(n *network.Network) { n.Shape.Size = 18 },
		"one class":        func(n *network.Network) { n.Shape.Units[3] = 1 },
		"pooled by 2":      func(n *network.Network) { n.Shape.Pool = 2 },
		"units beyond all": func(n *network.Network) { n.Shape.Units[0] = 4096 },
	} {
		n := network.Random(network.Shape{Size: 16, Pool: 1, Units: []int{64, 32, 32, 5}}, random(2))
		spoil(n)
		var shape *network.ShapeError
		var wrong *network.Error
		if err := n.Check(); !errors.As(err, &shape) && !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := n.Encode(); err == nil {
			t.Errorf("%s: was encoded", name)
		}
	}
}

func TestActivationSaturates(t *testing.T) {
	for _, c := range []struct {
		y     int32
		shift int
		want  byte
	}{{0, 0, 0}, {255, 0, 0}, {256, 0, 1}, {-1, 0, 0}, {32767, 0, 127}, {32768, 0, 127}, {1 << 29, 0, 127}, {-1 << 29, 3, 0}, {4096, 3, 2}} {
		if got := network.Activation(c.y, c.shift); got != c.want {
			t.Errorf("%d >> %d: %d, want %d", c.y, c.shift, got, c.want)
		}
	}
}

// Worked by hand: 2 inputs pass through, pooled or not.
func TestLogitsOfASmallNetwork(t *testing.T) {
	n := &network.Network{
		Shape: network.Shape{Size: 4, Pool: 1, Units: []int{4, 2}},
		Layers: []network.Layer{
			{Inputs: 4, Units: 4, Weights: []int8{32, 0, 0, 0, 0, 32, 0, 0, -32, 0, 0, 0, 0, 0, 0, 1}, Bias: []int32{0, 256, 0, 512}},
			{Inputs: 4, Units: 2, Weights: []int8{1, 2, 3, 4, -1, -2, -3, 64}, Bias: []int32{10, -10}},
		},
	}
	if err := n.Check(); err != nil {
		t.Fatal(err)
	}
	// hidden: 32*80/256 = 10; (32*16+256)/256 = 3; negative = 0; (512+9)/256 = 2
	got := n.Logits([]byte{80, 16, 7, 9})
	if want := []int32{10 + 10 + 6 + 8, -10 - 10 - 6 + 128}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if network.Score(got) != 102-34 || network.Class(got) != 1 {
		t.Error(network.Score(got), network.Class(got))
	}
}

func FuzzDecode(f *testing.F) {
	file, err := network.Random(network.Shape{Size: 8, Pool: 1, Units: []int{4, 2}}, random(3)).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add(file[:20])
	f.Add([]byte("STARLTNN\x01\x00\x01\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, file []byte) {
		n, err := network.Decode(file)
		if err != nil {
			var wrong *network.FileError
			if !errors.As(err, &wrong) {
				t.Fatal(err)
			}
			return
		}
		if err := n.Check(); err != nil {
			t.Fatal(err)
		}
	})
}
