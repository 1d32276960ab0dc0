package detector

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 3)) }

var detectors = map[string]Detector{"jets": NewJets(Conditions{}), "images": NewImages(Conditions{})}

func TestEventsComeFromTheSeed(t *testing.T) {
	for name, d := range detectors {
		a, b := make([]byte, d.Size()), make([]byte, d.Size())
		for class := range d.Classes() {
			d.Event(random(1), class, a)
			d.Event(random(1), class, b)
			if !bytes.Equal(a, b) {
				t.Errorf("%s, class %d: two events of one seed differ", name, class)
			}
			d.Event(random(2), class, b)
			if bytes.Equal(a, b) {
				t.Errorf("%s, class %d: events of two seeds are equal", name, class)
			}
		}
	}
}

// 255 in the first byte marks a damaged record, so no measurement may say it.
func TestNoMeasurementLooksDamaged(t *testing.T) {
	loud := Conditions{PileUp: 200, EnergyScale: 40}
	for name, d := range map[string]Detector{"jets": NewJets(loud), "images": NewImages(loud)} {
		record, source := make([]byte, d.Size()), random(5)
		for i := range 200 {
			d.Event(source, i%len(d.Classes()), record)
			if bytes.IndexByte(record, 255) >= 0 {
				t.Fatalf("%s: %v", name, record)
			}
		}
	}
}

// In a two-body decay energy and momentum are conserved, and the masses hold.
func TestDecaysConserveMomentum(t *testing.T) {
	source := random(2)
	for range 100 {
		v := vector{x: 700, e: math.Hypot(700, topMass)}
		w, b := v.decay(source, topMass, wMass)
		sum := w.add(b)
		if math.Abs(sum.x-v.x) > 1e-6 || math.Abs(sum.e-v.e) > 1e-6 || math.Abs(sum.y) > 1e-6 {
			t.Fatal(sum, v)
		}
		if math.Abs(w.mass()-wMass) > 1e-3 || b.mass() > 1e-3 {
			t.Fatal(w.mass(), b.mass())
		}
	}
}

// The measured mass of a jet peaks near the particle's, or the simulation is none.
func TestMassesAreSeen(t *testing.T) {
	d := NewJets(Conditions{PileUp: 0.001})
	record, source := make([]byte, 16), random(3)
	for class, want := range map[int]float64{wBoson: wMass, zBoson: zMass, top: topMass, higgs: higgsMass} {
		near := 0
		for range 400 {
			d.Event(source, class, record)
			if m := features[0].value(record[0]); m > 0.8*want && m < 1.25*want {
				near++
			}
		}
		if near < 200 {
			t.Errorf("%s: only %d of 400 within a quarter of %g GeV", d.Classes()[class], near, want)
		}
	}
}

func TestScalesComeBack(t *testing.T) {
	for i := range features {
		s := &features[i]
		for b := range 255 {
			if got := s.byte(s.value(byte(b))); got != byte(b) {
				t.Errorf("%s: %d came back as %d", s.name, b, got)
			}
		}
	}
}

// Drift in the scale of energies is what a model must notice; so it must show.
func TestEnergyFollowsTheScale(t *testing.T) {
	const louder = 1.2
	for _, pair := range [][2]Detector{
		{NewJets(Conditions{}), NewJets(Conditions{EnergyScale: louder})},
		{NewImages(Conditions{}), NewImages(Conditions{EnergyScale: louder})},
	} {
		var mean [2]float64
		for i, d := range pair {
			source, record := random(4), make([]byte, d.Size())
			for range 300 {
				d.Event(source, 2, record)
				mean[i] += d.Energy(record) / 300
			}
		}
		if r := mean[1] / mean[0]; r < 1.1 || r > 1.35 {
			t.Errorf("%T: %.0f GeV becomes %.0f", pair[0], mean[0], mean[1])
		}
	}
}

func TestMixKeepsItsShare(t *testing.T) {
	d, source, signals := detectors["jets"], random(8), 0
	for range 10000 {
		if Mix(source, d, 0.1) > 0 {
			signals++
		}
	}
	if signals < 800 || signals > 1200 {
		t.Error(signals)
	}
}

func TestAnEmptyJetHasNoFeatures(t *testing.T) {
	if f := describe(nil); f != [16]float64{} {
		t.Error(f)
	}
}

func BenchmarkEvents(b *testing.B) {
	for name, d := range detectors {
		b.Run(name, func(b *testing.B) {
			record, source := make([]byte, d.Size()), random(1)
			for i := range b.N {
				d.Event(source, i%len(d.Classes()), record)
			}
		})
	}
}
