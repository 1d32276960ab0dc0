package scenario

import "math"

// The paper gives the standard deviation of a cluster as 0.1 to 10 times "the
// mean". A mean coordinate has no meaning, so it is read of distances from the
// cluster's centre: their standard deviation over their mean.
//
// Distances of a plain 2-D Gaussian have a Rayleigh distribution, in which that
// is 0.523. Less of it is a ring: each participant has a point of its own at a
// fixed distance from the centre and is Gaussian around that, so that distances
// have a Rice distribution. More of it has people far out: each participant's
// Gaussian is scaled by a log-normal factor of its own.

// rayleighSpread is the standard deviation over the mean of a Rayleigh distribution.
var rayleighSpread = math.Sqrt(4/math.Pi - 1)

// distances says where people are around a centre.
type distances struct {
	ring     float64 // metres from the centre to each one's own point
	sigma    float64 // metres along each axis, around that
	scaling  float64 // standard deviation of the logarithm of each one's factor
	furthest float64 // metres from the centre
}

// newDistances finds the parameters for a mean distance in metres and a spread.
func newDistances(mean, spread, furthest float64) distances {
	d := distances{sigma: mean / math.Sqrt(math.Pi/2), furthest: furthest}
	switch {
	case spread > rayleighSpread:
		// Of a product of independent factors 1+cv^2 multiplies, and a log-normal
		// factor has exp(s^2).
		d.scaling = math.Sqrt(math.Log((1 + spread*spread) / (4 / math.Pi)))
	case spread < rayleighSpread:
		x := ricePoint(spread)
		if math.IsInf(x, 1) {
			return distances{ring: mean, furthest: furthest}
		}
		d.sigma = mean / riceMean(x)
		d.ring = x * d.sigma
	}
	return d
}

// ricePoint gives nu/sigma of the Rice distribution with this spread.
func ricePoint(spread float64) float64 {
	if spread < 0.01 {
		return 1 / spread // the limit: normal around nu
	}
	low, high := 0.0, 2/spread
	for range 60 {
		x := (low + high) / 2
		m := riceMean(x)
		if math.Sqrt(max(0, (2+x*x)/(m*m)-1)) > spread {
			low = x
		} else {
			high = x
		}
	}
	return low
}

// riceMean is the mean of a Rice distribution with sigma 1 and nu x: Rice,
// "Mathematical Analysis of Random Noise", 1945.
func riceMean(x float64) float64 {
	h := x * x / 2
	i0, i1 := scaledBessel(h / 2)
	return math.Sqrt(math.Pi/2) * ((1+h)*i0 + h*i1)
}

// scaledBessel gives exp(-z) times the modified Bessel functions I0 and I1, by
// the trapezoidal rule on Bessel's integral, which converges geometrically.
func scaledBessel(z float64) (i0, i1 float64) {
	const n = 1024
	for k := range n {
		cos := math.Cos(math.Pi * (float64(k) + 0.5) / n)
		e := math.Exp(z * (cos - 1))
		i0 += e
		i1 += e * cos
	}
	return i0 / n, i1 / n
}

// habit is where one participant likes to be, relative to the centre.
type habit struct{ east, north, sigma float64 }

func (d *distances) habit(who draw) habit {
	h := habit{sigma: d.sigma}
	if d.scaling > 0 {
		z, _ := who.gauss()
		h.sigma *= math.Exp(d.scaling*z - d.scaling*d.scaling/2)
	}
	if d.ring > 0 {
		sin, cos := math.Sincos(2 * math.Pi * who.float())
		h.east, h.north = d.ring*cos, d.ring*sin
	}
	return h
}

// point draws a place to be at.
func (d *distances) point(h habit, from *draw) (east, north float64) {
	for range 16 {
		a, b := from.gauss()
		east, north = h.east+h.sigma*a, h.north+h.sigma*b
		if east*east+north*north <= d.furthest*d.furthest {
			return east, north
		}
	}
	r := d.furthest / math.Hypot(east, north)
	return east * r, north * r
}
