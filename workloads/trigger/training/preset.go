package training

import (
	"fmt"
	"math/rand/v2"

	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/network"
)

// Recipe is how a network of the repository is trained.
type Recipe struct {
	Name     string
	Shape    network.Shape
	Detector func(detector.Conditions) detector.Detector
	// Events are simulated for training, half of them signals.
	Events  int
	Options Options
	// Tune are the options of the training that goes on in integers.
	Tune Options
	// Select is the share of the background that the threshold lets through.
	Select float64
}

func jets(c detector.Conditions) detector.Detector   { return detector.NewJets(c) }
func images(c detector.Conditions) detector.Detector { return detector.NewImages(c) }

// Recipes are those of the networks that come with the program. The share selected
// is that of the planned first level of the large detectors at the LHC, 750 kHz of
// 40 MHz.
func Recipes() []Recipe {
	const share = 0.75 / 40
	return []Recipe{
		{Name: "jet", Shape: network.Shape{Size: 16, Pool: 1, Units: []int{64, 32, 32, 5}}, Detector: jets, Events: 60000, Options: Options{Epochs: 16}, Tune: Options{Epochs: 6, Rate: 0.001, Tune: true}, Select: share},
		{Name: "image", Shape: network.Shape{Size: 2048, Pool: 1, Units: []int{4}}, Detector: images, Events: 24000, Options: Options{Epochs: 8, Decay: 0.02}, Tune: Options{Epochs: 2, Rate: 0.0005, Decay: 0.02, Tune: true}, Select: share},
		{Name: "image-deep", Shape: network.Shape{Size: 2048, Pool: 1, Units: []int{32, 16, 4}}, Detector: images, Events: 24000, Options: Options{Epochs: 6, Rate: 0.001, Decay: 0.05}, Tune: Options{Epochs: 2, Rate: 0.0003, Decay: 0.05, Tune: true}, Select: share},
	}
}

// RecipeError says that there is no recipe of a name.
type RecipeError struct{ Name string }

func (e *RecipeError) Error() string {
	names := ""
	for _, r := range Recipes() {
		names += " " + r.Name
	}
	return fmt.Sprintf("no network %q; there are:%s", e.Name, names)
}

// RecipeFor gives the recipe of a name, or a *RecipeError.
func RecipeFor(name string) (Recipe, error) {
	for _, r := range Recipes() {
		if r.Name == name {
			return r, nil
		}
	}
	return Recipe{}, &RecipeError{name}
}

// Trained is what came of a recipe.
type Trained struct {
	Network *network.Network
	Quality Quality
}

// Train follows the recipe: simulate, train, tune, quantise, set the threshold, and measure
// with as many new events as half of those trained with. The same seed gives the same
// weights on the same processor architecture.
func (r *Recipe) Train(seed uint64, progress func(string)) (*Trained, error) {
	random := rand.New(rand.NewPCG(seed, 0))
	d := r.Detector(detector.Conditions{})
	tell := func(format string, args ...any) {
		if progress != nil {
			progress(fmt.Sprintf(format, args...))
		}
	}
	tell("simulating %d events", r.Events*3/2)
	samples := Simulate(d, r.Events, 0.5, random)
	test := Simulate(d, r.Events/2, 0.5, random)
	model, err := NewModel(r.Shape, samples, random)
	if err != nil {
		return nil, err
	}
	NewTrainer(model, samples, r.Options, random).Train(func(epoch int, loss float64) {
		tell("epoch %d of %d: loss %.4f", epoch, r.Options.withDefaults().Epochs, loss)
	})
	exact := model.clone()
	NewTrainer(model, samples, r.Tune, random).Train(func(epoch int, loss float64) {
		tell("tuning for int8, epoch %d of %d: loss %.4f", epoch, r.Tune.withDefaults().Epochs, loss)
	})
	n, err := model.Quantise(samples)
	if err != nil {
		return nil, err
	}
	n.Threshold = r.threshold(n, seed)
	if err := n.Check(); err != nil {
		return nil, err
	}
	return &Trained{n, Measure(n, exact, test)}, nil
}

// threshold is set by background that no weight has seen.
func (r *Recipe) threshold(n *network.Network, seed uint64) int32 {
	background := Simulate(r.Detector(detector.Conditions{}), r.Events/2, 0, rand.New(rand.NewPCG(seed, 1)))
	return Threshold(n, background, r.Select)
}
