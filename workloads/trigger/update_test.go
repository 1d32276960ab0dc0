package trigger

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

// feed gives samples to updateModel, drawn at random, until the condition holds.
func (b *bench) feed(records [][]byte, done func(*UpdateStats) bool) {
	random := rand.New(rand.NewPCG(11, 11))
	for sequence := uint64(0); ; sequence++ {
		// Of no version: its score is computed anew.
		b.trigger.updater.receive(&stream.Sample{Record: records[random.IntN(len(records))], Sequence: sequence})
		if s := b.trigger.updater.snapshot(); done(&s) {
			return
		} else if s.Training {
			runtime.Gosched()
		}
	}
}

// truths tells the classes of records by their content.
type truths map[string]int

func (c truths) add(records [][]byte, classes []int) truths {
	for i, record := range records {
		c[string(record)] = classes[i]
	}
	return c
}

func (c truths) of(o *stream.Sample) (int, bool) {
	class, known := c[string(o.Record)]
	return class, known
}

func updating(s *Settings, known truths) {
	s.SampleRate = 1000
	s.Update = Update{
		Window: 400, Samples: 800, Significance: 1e-4, Tolerance: 0.05,
		Options: training.Options{Epochs: 1, Batch: 32, Rate: 0.0002},
		Truth:   known.of,
	}
}

// The detector's energies drift: updateModel notices, the model is retrained by slices
// and swapped while the stream runs, and then the new conditions are what is normal.
func TestADriftLeadsToANewModel(t *testing.T) {
	calm, classes := jets(5, 2048, detector.Conditions{}, 0.4)
	drifted, changed := jets(5, 2048, detector.Conditions{EnergyScale: 1.2, PileUp: 40}, 0.4)
	known := truths{}.add(calm, classes).add(drifted, changed)
	b := newBench(t, func(s *Settings) { updating(s, known) })
	b.feed(calm, func(s *UpdateStats) bool { return s.Windows >= 3 })
	if s := b.trigger.Stats(); s.Update.Drifts != 0 || s.Update.Version != 1 {
		t.Fatalf("drift without a reason: %+v", s.Update)
	}
	b.feed(drifted, func(s *UpdateStats) bool { return s.Swapped+s.Refused > 0 })
	s := b.trigger.Stats()
	if s.Update.Drifts == 0 || s.Update.Swapped != 1 || s.Update.Version != 2 || s.Inference.Version != 2 {
		t.Fatalf("%+v", s.Update)
	}
	t.Logf("AUC after drift %.4f, retrained %.4f", s.Update.QualityBefore, s.Update.LastQuality)
	if s.Update.Samples != s.Update.Labelled || s.Update.Samples == 0 {
		t.Errorf("%+v", s.Update)
	}
}

func TestRetrainWhenAsked(t *testing.T) {
	records, classes := jets(6, 2048, detector.Conditions{}, 0.4)
	b := newBench(t, func(s *Settings) { updating(s, truths{}.add(records, classes)) })
	b.trigger.Retrain()
	b.feed(records, func(s *UpdateStats) bool { return s.Retrainings > 0 })
	if s := b.trigger.Stats(); s.Update.Swapped != 1 || s.Update.Version != 2 {
		t.Errorf("%+v", s.Update)
	}
}

// Without signals there is nothing to learn from: that is said, and the model stays.
func TestTooFewSignals(t *testing.T) {
	records, classes := jets(7, 2048, detector.Conditions{}, 0)
	b := newBench(t, func(s *Settings) {
		updating(s, truths{}.add(records, classes))
		s.Update.Samples = 50
	})
	b.trigger.Retrain()
	b.feed(records, func(s *UpdateStats) bool { return s.Retrainings > 0 })
	s := b.trigger.Stats()
	var few *TooFewError
	if s.Update.Refused != 1 || s.Update.Version != 1 || !errors.As(s.Update.LastRefusal, &few) {
		t.Errorf("%+v", s.Update)
	}
}

// A Truth that panics, or gives classes that are none, costs its own samples.
func TestAWrongTruth(t *testing.T) {
	records, classes := jets(8, 1024, detector.Conditions{}, 0.4)
	b := newBench(t, func(s *Settings) {
		updating(s, truths{}.add(records, classes))
		truth := s.Update.Truth
		s.Update.Truth = func(o *stream.Sample) (int, bool) {
			switch o.Sequence % 3 {
			case 0:
				panic("no truth")
			case 1:
				return 99, true
			}
			return truth(o)
		}
	})
	b.feed(records, func(s *UpdateStats) bool { return s.Failed > 10 && s.Labelled > 10 })
	sawPanic, sawClass := false, false
	for _, err := range b.told() {
		caught, wrong := (*PanicError)(nil), (*TruthError)(nil)
		sawPanic = sawPanic || errors.As(err, &caught)
		sawClass = sawClass || errors.As(err, &wrong)
	}
	if !sawPanic || !sawClass {
		t.Error(b.told())
	}
}

// Every sample that leaves the stream is an invocation of updateModel.
func TestSamplesReachUpdateModel(t *testing.T) {
	b := newBench(t, func(s *Settings) { s.SampleRate, s.Update.Window = 1e5, 50 })
	records, _ := jets(10, 500, detector.Conditions{}, 0)
	pushed := uint64(0)
	for b.trigger.updater.snapshot().Windows == 0 {
		for _, record := range records {
			b.push(record)
		}
		pushed += uint64(len(records))
		b.settle(pushed) // else the test itself takes what updateModel needs
	}
	s := b.trigger.Stats()
	for s.Inference.Sampled > s.Inference.SamplesLost+s.Inference.SamplesRefused+s.Inference.SamplesDone {
		s = b.trigger.Stats()
	}
	if u := b.trigger.updater.snapshot(); u.Samples == 0 || u.Labelled != 0 || u.Samples != s.Inference.SamplesDone {
		t.Errorf("%+v of %d samples", u, s.Inference.SamplesDone)
	}
}

// Two windows of one distribution are hardly ever told apart, those of two are.
func TestTheDriftTest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	edges := edgesOf([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	window := func(shift int) *histogram {
		h := new(histogram)
		record := make([]byte, 16)
		for range 1000 {
			for i := range record {
				record[i] = byte(min(max(120+40*random.NormFloat64()+float64(shift), 0), 255))
			}
			h.add(record, int32(random.IntN(16)), &edges)
		}
		return h
	}
	reference, alarms := window(0), 0
	for range 100 {
		if compare(reference, window(0), 0.01).Drifted {
			alarms++
		}
	}
	if alarms > 12 {
		t.Errorf("%d false alarms of 100 at 1 %%", alarms)
	}
	if d := compare(reference, window(12), 1e-6); !d.Drifted || d.Quantity > 15 {
		t.Errorf("%+v", d)
	}
}

// From tables of the chi-square distribution.
func TestChiSquareTail(t *testing.T) {
	for _, c := range []struct {
		x       float64
		freedom int
		want    float64
	}{{3.841, 1, 0.05}, {5.991, 2, 0.05}, {7.815, 3, 0.05}, {24.996, 15, 0.05}, {37.697, 15, 0.001}, {0, 4, 1}} {
		if got := chiSquareTail(c.x, c.freedom); math.Abs(got-c.want) > c.want/100 {
			t.Errorf("%g with %d: %g, want %g", c.x, c.freedom, got, c.want)
		}
	}
}
