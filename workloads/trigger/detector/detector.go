// Package detector simulates what a trigger decides about: particles, and the event
// summaries that a detector's front end makes of them. It is a toy, meant to be hard
// in the way the real thing is hard, cheap, and reproducible from a seed; every
// formula is stated. There are two: Jets, whose summary is 16 measured features, and
// Images, whose summary is a picture of energy deposits.
//
// Units: energies, masses and transverse momenta (pT) in GeV with c = 1; angles as
// pseudorapidity (eta) and azimuth (phi, radians), distance R = sqrt(eta^2 + phi^2).
package detector

import (
	"math"
	"math/rand/v2"
)

// Detector makes events.
type Detector interface {
	// Size is the bytes of a record.
	Size() int
	// Classes names the classes; the first is the background.
	Classes() []string
	// Event simulates an event of a class and writes its record. No byte of it is 255:
	// the front end marks a damaged record by that in its first byte.
	Event(random *rand.Rand, class int, record []byte)
	// Energy gives what the record says of the event's energy in GeV.
	Energy(record []byte) float64
}

// Conditions are what changes while a detector runs, and what a model drifts by.
type Conditions struct {
	// PileUp is the mean number of soft particles from other collisions in a jet.
	// Default 10.
	PileUp float64
	// EnergyScale multiplies every measured energy. Default 1.
	EnergyScale float64
}

func (c Conditions) withDefaults() Conditions {
	if c.PileUp == 0 {
		c.PileUp = 10
	}
	if c.EnergyScale == 0 {
		c.EnergyScale = 1
	}
	return c
}

// Mix draws classes: background, or with probability signal one of the others.
func Mix(random *rand.Rand, d Detector, signal float64) int {
	if random.Float64() >= signal {
		return 0
	}
	return 1 + random.IntN(len(d.Classes())-1)
}

// scale maps a measured value to a byte, 0 to 254.
type scale struct {
	name      string
	low, high float64
	log       bool // the logarithm is mapped
}

func (s *scale) byte(v float64) byte {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log(max(v, low)), math.Log(low), math.Log(high)
	}
	return byte(254*min(max((v-low)/(high-low), 0), 1) + 0.5)
}

func (s *scale) value(b byte) float64 {
	x := float64(b) / 254
	if s.log {
		return s.low * math.Pow(s.high/s.low, x)
	}
	return s.low + x*(s.high-s.low)
}

// fallingSpectrum draws from dN/dx proportional to x^-power between low and high.
func fallingSpectrum(random *rand.Rand, low, high, power float64) float64 {
	a, b := math.Pow(low, 1-power), math.Pow(high, 1-power)
	return math.Pow(a+random.Float64()*(b-a), 1/(1-power))
}

// poisson draws by counting exponential gaps; meant for small means.
func poisson(random *rand.Rand, mean float64) int {
	n := 0
	for sum := random.ExpFloat64(); sum < mean; sum += random.ExpFloat64() {
		n++
	}
	return n
}
