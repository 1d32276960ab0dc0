package detector

import (
	"cmp"
	"math"
	"slices"
)

const subjetRadius = 0.2

// describe computes the features of a jet (Larkoski, Moult, Nachman, Jet substructure
// at the Large Hadron Collider, 2017, has the definitions). Without particles all are 0.
func describe(jet []particle) (f [16]float64) {
	if len(jet) == 0 {
		return f
	}
	slices.SortFunc(jet, func(a, b particle) int { return cmp.Compare(b.pt, a.pt) })
	var sum vector
	var pt, square, girth, angularity float64
	for i := range jet {
		p := &jet[i]
		sum = sum.add(massless(p.pt, p.eta, p.phi))
		pt += p.pt
	}
	axis := sum.parton(false)
	for i := range jet {
		p := &jet[i]
		r := distance(p.eta-axis.eta, p.phi-axis.phi)
		square += p.pt * p.pt
		girth += p.pt * r / pt
		angularity += p.pt / pt * math.Sqrt(r)
	}
	f[0], f[1], f[2], f[3] = sum.mass(), axis.pt, float64(len(jet)), girth
	f[4], f[7], f[15] = math.Sqrt(square)/pt, jet[0].pt/pt, angularity
	axes := subjetAxes(jet)
	tau := [4]float64{}
	for n := 1; n <= 3; n++ {
		tau[n] = subjettiness(jet, axes[:min(n, len(axes))], pt)
	}
	f[5], f[6] = ratio(tau[2], tau[1]), ratio(tau[3], tau[2])
	describeSubjets(jet, axes, &f)
	f[12] = correlation(jet[:min(len(jet), 16)], pt)
	f[13], f[14] = impacts(jet)
	return f
}

func distance(eta, phi float64) float64 { return math.Hypot(eta, phi) }

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// subjetAxes takes the hardest particle, then the hardest that is at least a subjet's
// radius away from all axes before, up to three.
func subjetAxes(jet []particle) (axes []particle) {
	for _, p := range jet {
		if len(axes) == 3 {
			return axes
		}
		far := true
		for _, a := range axes {
			far = far && distance(p.eta-a.eta, p.phi-a.phi) > subjetRadius
		}
		if far {
			axes = append(axes, p)
		}
	}
	return axes
}

func nearest(p *particle, axes []particle) (int, float64) {
	best, at := math.Inf(1), 0
	for i := range axes {
		if r := distance(p.eta-axes[i].eta, p.phi-axes[i].phi); r < best {
			best, at = r, i
		}
	}
	return at, best
}

// subjettiness is tau_N with beta = 1: the mean distance to the nearest axis, by pT.
func subjettiness(jet []particle, axes []particle, pt float64) float64 {
	sum := 0.0
	for i := range jet {
		_, r := nearest(&jet[i], axes)
		sum += jet[i].pt * r
	}
	return sum / (pt * jetRadius)
}

// describeSubjets sums what lies within a subjet's radius of each axis.
func describeSubjets(jet, axes []particle, f *[16]float64) {
	var subjets [3]vector
	for i := range jet {
		if at, r := nearest(&jet[i], axes); r < subjetRadius {
			subjets[at] = subjets[at].add(massless(jet[i].pt, jet[i].eta, jet[i].phi))
		}
	}
	slices.SortFunc(subjets[:], func(a, b vector) int { return cmp.Compare(b.e, a.e) })
	f[8] = subjets[0].add(subjets[1]).add(subjets[2]).mass()
	f[9] = subjets[0].add(subjets[1]).mass()
	if subjets[1].e > 0 {
		a, b := subjets[0].parton(false), subjets[1].parton(false)
		f[10] = distance(a.eta-b.eta, a.phi-b.phi)
		f[11] = b.pt / (a.pt + b.pt)
	}
}

// correlation is C2 with beta = 1: e3 / e2^2, sums over pairs and triples of pT
// shares and distances (Larkoski, Salam, Thaler, 2013).
func correlation(jet []particle, pt float64) float64 {
	var e2, e3 float64
	var r [16][16]float64
	for i := range jet {
		for j := range i {
			r[i][j] = distance(jet[i].eta-jet[j].eta, jet[i].phi-jet[j].phi)
			e2 += jet[i].pt * jet[j].pt * r[i][j]
			for k := range j {
				e3 += jet[i].pt * jet[j].pt * jet[k].pt * r[i][j] * r[i][k] * r[j][k]
			}
		}
	}
	return ratio(e3*pt, e2*e2)
}

// impacts gives the second largest impact and how many are above 3, of particles
// above 2 GeV.
func impacts(jet []particle) (second, displaced float64) {
	first := 0.0
	for i := range jet {
		if jet[i].pt < 2 {
			continue
		}
		switch d := jet[i].impact; {
		case d > first:
			first, second = d, first
		case d > second:
			second = d
		}
		if jet[i].impact > 3 {
			displaced++
		}
	}
	return second, displaced
}
