package detector

import (
	"math"
	"math/rand/v2"
)

// Jets tells jets of quarks and gluons (qcd, the background) from those of boosted W,
// Z and Higgs bosons and top quarks. Transverse momenta fall as pT^-4 from 400 to 1500 GeV
// for all of them, so that only the jet's inside tells. A record is 16 features, one
// byte each.
type Jets struct{ conditions Conditions }

// NewJets makes the detector.
func NewJets(conditions Conditions) *Jets { return &Jets{conditions.withDefaults()} }

// The classes of Jets.
const (
	qcd = iota
	wBoson
	zBoson
	top
	higgs
)

const (
	wMass, zMass, topMass, higgsMass = 80.4, 91.2, 172.8, 125.1
	jetRadius                        = 0.8
	zToB                             = 0.15 // of Z -> quarks
)

// Size implements Detector.
func (*Jets) Size() int { return len(features) }

// Classes implements Detector.
func (*Jets) Classes() []string { return []string{"qcd", "w", "z", "top", "higgs"} }

// Event implements Detector.
func (d *Jets) Event(random *rand.Rand, class int, record []byte) {
	pt := fallingSpectrum(random, 400, 1500, 4)
	var space [128]particle
	particles := space[:0]
	for _, p := range partons(random, class, pt) {
		particles = p.shower(random, 0.4, particles)
	}
	particles = pileUp(random, d.conditions.PileUp, jetRadius, particles)
	particles = measure(random, d.conditions, particles)
	values := describe(particles)
	for i := range features {
		record[i] = features[i].byte(values[i])
	}
}

// partons gives what a class decays into, for a jet along the x axis.
func partons(random *rand.Rand, class int, pt float64) []parton {
	at := func(m float64) vector { return vector{x: pt, e: math.Hypot(pt, m)} }
	switch class {
	case wBoson, zBoson:
		mass, b := wMass, false
		if class == zBoson {
			mass, b = zMass, random.Float64() < zToB
		}
		q1, q2 := at(mass).decay(random, mass, 0)
		return []parton{q1.parton(b), q2.parton(b)}
	case higgs:
		b1, b2 := at(higgsMass).decay(random, higgsMass, 0)
		return []parton{b1.parton(true), b2.parton(true)}
	case top:
		w, b := at(topMass).decay(random, topMass, wMass)
		q1, q2 := w.decay(random, wMass, 0)
		return []parton{b.parton(true), q1.parton(false), q2.parton(false)}
	}
	return []parton{{pt: pt, gluon: random.Float64() < 0.6, b: random.Float64() < 0.05}}
}

// features are the bytes of a record, in their order.
var features = [16]scale{
	{"mass", 50, 210, true},
	{"pt", 350, 1800, true},
	{"particles", 0, 60, false},
	{"girth", 0, 0.4, false},
	{"pt dispersion", 0.2, 0.9, false},
	{"tau2/tau1", 0, 1, false},
	{"tau3/tau2", 0, 1, false},
	{"leading fraction", 0, 1, false},
	{"mass of three subjets", 40, 240, true},
	{"mass of two subjets", 25, 200, true},
	{"distance of subjets", 0, 1, false},
	{"share of second subjet", 0, 0.5, false},
	{"energy correlation C2", 0, 0.6, false},
	{"second largest impact", 0.5, 50, true},
	{"displaced tracks", 0, 8, false},
	{"Les Houches angularity", 0, 0.8, false},
}

// FeatureNames names the bytes of a record of Jets.
func FeatureNames() []string {
	names := make([]string, len(features))
	for i := range features {
		names[i] = features[i].name
	}
	return names
}

const ptFeature = 1

// Energy implements Detector: the jet's transverse momentum.
func (*Jets) Energy(record []byte) float64 { return features[ptFeature].value(record[ptFeature]) }
