package detector

import (
	"math"
	"math/rand/v2"
)

// parton is a quark or gluon that becomes a spray of particles.
type parton struct {
	pt, eta, phi float64
	gluon, b     bool
}

// particle is what the detector sees.
type particle struct {
	pt, eta, phi float64
	// impact is the distance of its track from the collision in standard deviations
	// of the measurement.
	impact float64
}

// Emissions of a parton are uniform in the Lund plane, ln(1/angle) x ln(1/z), with
// density 2 alpha C / pi, where C is 4/3 for quarks and 3 for gluons, above a
// transverse momentum of 1 GeV relative to the parton (Dreyer, Salam, Soyez, The Lund
// jet plane, 2018). alpha is taken as constant.
const (
	alpha       = 0.22
	quarkColour = 4.0 / 3
	gluonColour = 3.0
	lowestKT    = 1.0 // GeV
	leastAngle  = 0.005
)

// shower appends the particles of a parton within a cone of radius around it.
func (p *parton) shower(random *rand.Rand, radius float64, out []particle) []particle {
	colour := quarkColour
	if p.gluon {
		colour = gluonColour
	}
	wide, deep := math.Log(radius/leastAngle), math.Log(p.pt*radius/lowestKT)
	rest := p.pt
	if deep > 0 {
		for range poisson(random, 2*alpha*colour/math.Pi*wide*deep) {
			angle := radius * math.Exp(-random.Float64()*wide)
			z := math.Exp(-random.Float64() * deep)
			pt := z * p.pt
			if pt*angle < lowestKT || pt > rest/2 {
				continue
			}
			rest -= pt
			turn := 2 * math.Pi * random.Float64()
			emitted := parton{pt, p.eta + angle*math.Cos(turn), p.phi + angle*math.Sin(turn), true, false}
			out = emitted.hadrons(random, 1+poisson(random, 1), out)
		}
	}
	core := *p
	core.pt = rest
	return core.hadrons(random, 2+poisson(random, 2), out)
}

// lifetime is the mean impact of the tracks of a b hadron.
const lifetime = 6.0

// hadrons shares a momentum among n particles, a stick broken at random, each 0.3 GeV
// off the axis.
func (p *parton) hadrons(random *rand.Rand, n int, out []particle) []particle {
	rest := p.pt
	for i := range n {
		pt := rest
		if i < n-1 {
			pt *= random.Float64()
		}
		rest -= pt
		spread := 0.3 / max(pt, 0.5)
		one := particle{pt, p.eta + spread*random.NormFloat64(), p.phi + spread*random.NormFloat64(), math.Abs(random.NormFloat64())}
		if p.b && i < 4 {
			one.impact += lifetime * random.ExpFloat64()
		}
		out = append(out, one)
	}
	return out
}

// pileUp adds soft particles, uniform over a disc.
func pileUp(random *rand.Rand, mean, radius float64, out []particle) []particle {
	for range poisson(random, mean) {
		r, turn := radius*math.Sqrt(random.Float64()), 2*math.Pi*random.Float64()
		out = append(out, particle{1 + random.ExpFloat64(), r * math.Cos(turn), r * math.Sin(turn), math.Abs(random.NormFloat64())})
	}
	return out
}

// measure smears and keeps what the detector sees: energy with a resolution of 30 %
// / sqrt(pT) and 3 %, angles in steps of 0.02, nothing below 1 GeV.
func measure(random *rand.Rand, conditions Conditions, particles []particle) []particle {
	const step = 0.02
	kept := particles[:0]
	for _, p := range particles {
		p.pt *= conditions.EnergyScale * (1 + math.Hypot(0.3/math.Sqrt(max(p.pt, 0.1)), 0.03)*random.NormFloat64())
		if p.pt < 1 {
			continue
		}
		p.eta, p.phi = step*math.Round(p.eta/step), step*math.Round(p.phi/step)
		kept = append(kept, p)
	}
	return kept
}

// vector is a momentum and its energy.
type vector struct{ x, y, z, e float64 }

func massless(pt, eta, phi float64) vector {
	return vector{pt * math.Cos(phi), pt * math.Sin(phi), pt * math.Sinh(eta), pt * math.Cosh(eta)}
}

func (v vector) add(w vector) vector { return vector{v.x + w.x, v.y + w.y, v.z + w.z, v.e + w.e} }

func (v vector) mass() float64 {
	return math.Sqrt(max(v.e*v.e-v.x*v.x-v.y*v.y-v.z*v.z, 0))
}

func (v vector) parton(b bool) parton {
	pt := math.Hypot(v.x, v.y)
	return parton{pt: pt, eta: math.Asinh(v.z / pt), phi: math.Atan2(v.y, v.x), b: b}
}

// decay splits v of mass m into two of masses m1 and 0, isotropic where v rests.
func (v vector) decay(random *rand.Rand, m, m1 float64) (heavy, light vector) {
	p := (m*m - m1*m1) / (2 * m)
	cos, turn := 2*random.Float64()-1, 2*math.Pi*random.Float64()
	sin := math.Sqrt(1 - cos*cos)
	x, y, z := p*sin*math.Cos(turn), p*sin*math.Sin(turn), p*cos
	return vector{x, y, z, math.Hypot(p, m1)}.boost(v, m), vector{-x, -y, -z, p}.boost(v, m)
}

// boost takes w from where v, of mass m, rests to where it moves as v.
func (w vector) boost(v vector, m float64) vector {
	along := (w.x*v.x + w.y*v.y + w.z*v.z) / m
	k := along/(v.e+m) + w.e/m
	return vector{w.x + k*v.x, w.y + k*v.y, w.z + k*v.z, w.e*v.e/m + along}
}
