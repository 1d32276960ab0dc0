package trigger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger"
	"github.com/starling-vr/starling/workloads/trigger/archive"
	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/preset"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

// Networks are the names of those that come with Starling, the default first.
func Networks() (names []string) {
	for _, r := range training.Recipes() {
		names = append(names, r.Name)
	}
	return names
}

// workload is what is driven: a network, what it is fed with, and what takes what it
// selects.
type workload struct {
	name     string
	shape    network.Shape
	detector detector.Detector    // nil for the generated family, whose records are noise
	networks [2]*network.Network  // what runs first, and what is swapped in by turns
	samples  []training.Sample    // as the network was trained with
	classes  [][]uint8            // by arena and record
	energy   func([]byte) float64 // of a record
	archive  *archive.Archive
	folder   string
}

const (
	// signal is the share of records that are no background.
	signal = 1e-4
	// distinctBytes of records are made, and at most mostDistinct; the rest of a large
	// arena are copies.
	distinctBytes = 16 << 20
	mostDistinct  = 1 << 13
	// trainedOperations bounds the work of making the network that is swapped in.
	trainedOperations = 1 << 28
	mostSamples       = 2000
	fewestSamples     = 200
)

// open makes the workload that a spec asks for.
func open(spec *Spec) (*workload, error) {
	w := &workload{name: spec.Net, energy: func([]byte) float64 { return 0 }}
	random := rand.New(rand.NewPCG(spec.Seed, 1))
	if err := w.choose(spec, random); err != nil {
		return nil, err
	}
	if err := w.train(random); err != nil {
		return nil, err
	}
	var err error
	if w.folder, err = os.MkdirTemp("", "starling-trigger-"); err != nil {
		return nil, err
	}
	w.archive, err = archive.Open(w.folder, archive.Options{})
	return w, err
}

// choose takes a network that comes with Starling, or makes one of the family.
func (w *workload) choose(spec *Spec, random *rand.Rand) error {
	if spec.Net != "" {
		n, recipe, err := preset.Network(spec.Net)
		if err != nil {
			return err
		}
		w.detector = recipe.Detector(detector.Conditions{})
		w.shape, w.networks[0], w.energy = n.Shape, n, trigger.EnergyOf(w.detector)
		return nil
	}
	shape, err := network.Family(spec.Operations, spec.Size)
	if err != nil {
		return err
	}
	w.name, w.shape = shape.String(), shape
	w.networks[0] = network.Random(shape, random)
	return nil
}

// train makes the network that is swapped in, by an epoch more on new events; of the
// family, whose networks have learned nothing, another one.
func (w *workload) train(random *rand.Rand) error {
	count := min(max(trainedOperations/max(w.shape.Operations(), 1)/8, fewestSamples), mostSamples)
	for range count {
		s := training.Sample{Record: make([]byte, w.shape.Size)}
		if w.detector != nil {
			s.Class = detector.Mix(random, w.detector, 0.5)
		}
		w.event(random, s.Class, s.Record)
		w.samples = append(w.samples, s)
	}
	if w.detector == nil {
		w.networks[1] = network.Random(w.shape, random)
	} else {
		model, err := training.FromNetwork(w.networks[0], w.samples)
		if err != nil {
			return err
		}
		training.NewTrainer(model, w.samples, training.Options{Epochs: 1, Rate: 0.0001}, random).Train(nil)
		if w.networks[1], err = model.Quantise(w.samples); err != nil {
			return err
		}
	}
	return nil
}

// setThresholds lets both networks select a share of the records in the arenas, one
// of them at least if that is not 0.
func (w *workload) setThresholds(arenas []*stream.Arena, share float64) {
	for _, n := range w.networks {
		var scores []int32
		for _, arena := range arenas {
			for i := range min(arena.Len(), w.distinct()) {
				scores = append(scores, network.Score(n.Logits(arena.Record(i))))
			}
		}
		slices.Sort(scores)
		wanted := int(math.Ceil(share * float64(len(scores))))
		if n.Threshold = network.MostThreshold; wanted > 0 {
			n.Threshold = scores[len(scores)-wanted] - 1 // what is above is selected
		}
	}
}

func (w *workload) distinct() int {
	return min(max(distinctBytes/w.shape.Size, 1), mostDistinct)
}

func (w *workload) event(random *rand.Rand, class int, record []byte) {
	if w.detector != nil {
		w.detector.Event(random, class, record)
		return
	}
	for i := range record {
		record[i] = byte(random.IntN(255)) // 255 marks a damaged record
	}
}

// fill fills an arena with events and remembers their classes.
func (w *workload) fill(arena *stream.Arena, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	classes := make([]uint8, arena.Len())
	for i := range arena.Len() {
		if same := i % w.distinct(); same != i {
			copy(arena.Record(i), arena.Record(same))
			classes[i] = classes[same]
			continue
		}
		class := 0
		if w.detector != nil {
			class = detector.Mix(random, w.detector, signal)
		}
		w.event(random, class, arena.Record(i))
		classes[i] = uint8(class)
	}
	w.classes = append(w.classes, classes)
}

// truth is what reconstruction would find of a sampled record: its class.
func (w *workload) truth(s *stream.Sample) (int, bool) {
	classes := w.classes[s.Poller]
	return int(classes[s.Sequence%uint64(len(classes))]), w.detector != nil
}

// settings are those of the trigger, but for its sources and pollers.
func (w *workload) settings(spec *Spec) trigger.Settings {
	return trigger.Settings{
		Network: w.networks[0], Instructions: spec.Instructions, Limit: spec.Limit, Batch: spec.Batch, Nice: spec.Nice,
		Energy: w.energy, Archive: w.archive, SampleRate: spec.SampleRate,
		Update: trigger.Update{Truth: w.truth, Reference: w.samples, Seed: spec.Seed},
	}
}

// nothing decides nothing.
func nothing([]stream.Ref, []stream.Decision) {}

// emptyProgram is a ladder like the network's of kernels that do nothing.
func emptyProgram() *stream.Program {
	p := &stream.Program{}
	for size := 1; size <= stream.MostAtOnce; size *= 2 {
		p.Kernels = append(p.Kernels, stream.Kernel{Size: size, Run: nothing})
	}
	return p
}

// scheduler makes the one that all functions share. What is chained and sampled runs
// on one worker, in what the pollers leave.
func scheduler(pollers int) *invoke.Scheduler {
	return invoke.New(invoke.Config{Workers: 1, Cores: pollers, Reservable: 1})
}

func (w *workload) close() error {
	if w.archive == nil {
		return nil
	}
	err := w.archive.Close()
	if gone := os.RemoveAll(w.folder); err == nil {
		err = gone
	}
	if err != nil {
		return fmt.Errorf("the archive of selected events: %w", err)
	}
	return nil
}
