package training

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"pgregory.net/rapid"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 5)) }

var small = network.Shape{Size: 16, Pool: 1, Units: []int{16, 8, 5}}

// A small network learns, and loses little as int8.
func TestTrainingTellsJetsApart(t *testing.T) {
	recipe := Recipe{
		Name: "small", Shape: small, Detector: jets, Events: 3000, Select: 0.02,
		Options: Options{Epochs: 6}, Tune: Options{Epochs: 2, Rate: 0.001, Tune: true},
	}
	told := 0
	trained, err := recipe.Train(1, func(string) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	q := trained.Quality
	t.Log(q.String())
	if q.AUC < 0.95 || q.FloatAUC-q.AUC > 0.01 || q.DecisionAgreement < 0.9 || told != 9 {
		t.Errorf("%s, told %d times", q.String(), told)
	}
	again, err := recipe.Train(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(trained, again) {
		t.Error("the same seed gave other weights")
	}
}

func TestAPooledNetworkTrains(t *testing.T) {
	shape := network.Shape{Size: 64 * 64, Pool: network.PoolLine, Units: []int{8, 2}}
	random := seeded(3)
	samples := make([]Sample, 400)
	for i := range samples {
		samples[i] = Sample{make([]byte, shape.Size), i % 2}
		for j := range samples[i].Record {
			samples[i].Record[j] = byte(random.IntN(100) + 40*(i%2)*(j/2048))
		}
	}
	model, err := NewModel(shape, samples, random)
	if err != nil {
		t.Fatal(err)
	}
	NewTrainer(model, samples, Options{Epochs: 20, Batch: 20}, random).Train(nil)
	n, err := model.Quantise(samples)
	if err != nil {
		t.Fatal(err)
	}
	if auc := AUC(n, samples); auc < 0.99 {
		t.Errorf("AUC %v", auc)
	}
}

// An int8 network turned into floats and back decides almost the same: retraining
// begins where the model in use stands.
func TestFromNetworkComesBack(t *testing.T) {
	random := seeded(4)
	samples := Simulate(detector.NewJets(detector.Conditions{}), 1500, 0.5, random)
	model, err := NewModel(small, samples, random)
	if err != nil {
		t.Fatal(err)
	}
	NewTrainer(model, samples, Options{Epochs: 3}, random).Train(nil)
	n, err := model.Quantise(samples)
	if err != nil {
		t.Fatal(err)
	}
	floats, err := FromNetwork(n, samples)
	if err != nil {
		t.Fatal(err)
	}
	agreement := func(m *Model) float64 {
		same := 0.0
		for _, s := range samples {
			same += equal(network.Class(n.Logits(s.Record)), classOf(m.Logits(s.Record)))
		}
		return same / float64(len(samples))
	}
	// Rounding stands between both and the network.
	if before, after := agreement(model), agreement(floats); after < before-0.02 {
		t.Errorf("%.3f of the classes are the same, %.3f before", after, before)
	}
	back, err := floats.Quantise(samples)
	if err != nil {
		t.Fatal(err)
	}
	if before, after := AUC(n, samples), AUC(back, samples); after < before-0.01 {
		t.Errorf("AUC %.4f, %.4f before", after, before)
	}
}

// The gradient is what a small change of a weight does to the loss.
func TestGradients(t *testing.T) {
	random := seeded(5)
	samples := Simulate(detector.NewJets(detector.Conditions{}), 4, 0.5, random)
	model, err := NewModel(small, samples, random)
	if err != nil {
		t.Fatal(err)
	}
	trainer := NewTrainer(model, samples, Options{}, random)
	loss := func() float64 {
		sum := 0.0
		for _, s := range samples {
			y := model.Logits(s.Record)
			sum += softmax(y, s.Class, make([]float32, len(y)))
		}
		return sum
	}
	for i := range samples {
		trainer.backward(&samples[i])
	}
	for l := range model.layers {
		for _, at := range []int{0, 7, len(model.layers[l].weights) - 1} {
			w := &model.layers[l].weights[at]
			const step = 1e-2
			*w += step
			up := loss()
			*w -= 2 * step
			down := loss()
			*w += step
			want, got := (up-down)/(2*step), float64(trainer.gradient[l].weights[at])
			if math.Abs(got-want) > 0.05*math.Abs(want)+0.02 {
				t.Errorf("layer %d, weight %d: gradient %.4f, want %.4f", l, at, got, want)
			}
		}
	}
}

func TestAreaUnderTheCurve(t *testing.T) {
	for _, c := range []struct {
		all  []scored
		want float64
	}{
		{[]scored{{1, false}, {2, true}}, 1},
		{[]scored{{2, false}, {1, true}}, 0},
		{[]scored{{1, false}, {1, true}, {1, false}}, 0.5},
		{[]scored{{1, false}, {3, false}, {2, true}, {4, true}}, 0.75},
	} {
		if got := auc(c.all); got != c.want {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
	if !math.IsNaN(auc([]scored{{1, true}})) {
		t.Error("an area without background")
	}
}

// Whatever a model's weights are, what becomes of them can be run.
func TestQuantisedNetworksAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := seeded(rapid.Uint64().Draw(t, "seed"))
		samples := Simulate(detector.NewJets(detector.Conditions{}), 20, 0.5, random)
		model, err := NewModel(small, samples, random)
		if err != nil {
			t.Fatal(err)
		}
		scale := float32(math.Pow(10, rapid.Float64Range(-6, 6).Draw(t, "magnitude")))
		for l := range model.layers {
			for i := range model.layers[l].weights {
				model.layers[l].weights[i] *= scale
			}
			for o := range model.layers[l].bias {
				model.layers[l].bias[o] = scale * float32(random.NormFloat64())
			}
		}
		if _, err := model.Quantise(samples); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBalance(t *testing.T) {
	var samples []Sample
	for i := range 100 {
		class := 0
		if i >= 90 {
			class = 1 + i%2*2 // classes 1 and 3
		}
		samples = append(samples, Sample{Class: class})
	}
	counts := make([]int, 4)
	for _, s := range Balance(samples, seeded(1)) {
		counts[s.Class]++
	}
	if !reflect.DeepEqual(counts, []int{50, 25, 0, 25}) {
		t.Error(counts)
	}
}

func TestUnknownRecipesAndShapes(t *testing.T) {
	var unknown *RecipeError
	if _, err := RecipeFor("muon"); !errors.As(err, &unknown) {
		t.Error(err)
	}
	var shape *network.ShapeError
	if _, err := NewModel(network.Shape{Size: 3}, nil, seeded(1)); !errors.As(err, &shape) {
		t.Error(err)
	}
	if _, err := FromNetwork(&network.Network{}, nil); !errors.As(err, &shape) {
		t.Error(err)
	}
}

// Where no background passed, there was too little of it to say how much is kept out.
func TestRejectionsThatFewEventsDoNotTell(t *testing.T) {
	for want, r := range map[string]Rejection{
		"unknown (no background)":                                 {},
		"above 1 (none of 1 passed: too few to tell more)":        {0, 1},
		"above 3339 (none of 10000 passed: too few to tell more)": {0, 10_000},
		"5000 (2 of 10000 passed)":                                {2, 10_000},
		"1 (3 of 3 passed)":                                       {3, 3},
	} {
		if got := r.String(); got != want {
			t.Errorf("%+v is %q, want %q", r, got, want)
		}
	}
	signal, other := scored{2, true}, scored{1, false}
	if r := rejection([]scored{signal, other, {3, false}}); r != (Rejection{1, 2}) {
		t.Errorf("%+v", r)
	}
}
