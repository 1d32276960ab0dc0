// Package crowd moves synthetic participants through a world over the public
// protocol: people who stand in clusters, walk, speak, touch and grab.
package crowd

import (
	"math"
	"math/rand/v2"

	"github.com/starling-vr/starling/world"
)

// metresPerDegree of latitude on the mean sphere (radius 6,371,008.8 m).
const metresPerDegree = 111195.08

// Area is where a crowd is: clusters of people, each a 2-D Gaussian around its
// centre (the paper's L; the standard deviation is of the distances along each
// axis).
type Area struct {
	Centre   world.Geo
	Clusters int     // at least 1
	Spread   float64 // metres from Centre to a cluster's centre, at most
	Sigma    float64 // metres, standard deviation of a cluster along each axis
	Stay     bool    // nobody goes over to another cluster
}

// Taipei is the square around Taipei 101: the crowd of `starling dev`.
func Taipei() Area {
	return Area{Centre: world.Geo{Lat: 25.0339, Lng: 121.5645}, Clusters: 7, Spread: 500, Sigma: 70}
}

// Offset gives the position so many metres east and north of g.
func Offset(g world.Geo, east, north float64) world.Geo {
	g.Lat += north / metresPerDegree
	g.Lng += east / (metresPerDegree * math.Cos(g.Lat*math.Pi/180))
	return g
}

// centres places the clusters on a sunflower, so that they keep apart.
func (a Area) centres() []world.Geo {
	const golden = 2.399963229728653 // radians
	out := make([]world.Geo, max(a.Clusters, 1))
	for i := range out {
		r := a.Spread * math.Sqrt(float64(i)/float64(len(out)))
		out[i] = Offset(a.Centre, r*math.Cos(golden*float64(i)), r*math.Sin(golden*float64(i)))
	}
	return out
}

// Walker is one person on foot: strolls between points of its cluster, rests,
// and now and then goes over to another cluster.
type Walker struct {
	At       world.Geo
	East     float64 // velocity, metres per second
	North    float64
	area     Area
	centres  []world.Geo
	home     int
	goal     world.Geo
	speed    float64
	restLeft float64 // seconds
	random   *rand.Rand
}

// NewWalker puts somebody into the area.
func NewWalker(area Area, random *rand.Rand) *Walker {
	w := &Walker{area: area, centres: area.centres(), random: random}
	w.home = random.IntN(len(w.centres))
	w.At = w.point()
	w.choose()
	return w
}

func (w *Walker) point() world.Geo {
	return Offset(w.centres[w.home], w.random.NormFloat64()*w.area.Sigma, w.random.NormFloat64()*w.area.Sigma)
}

// choose takes a new goal: mostly near, sometimes another cluster.
func (w *Walker) choose() {
	if !w.area.Stay && w.random.Float64() < 0.08 {
		w.home = w.random.IntN(len(w.centres))
	}
	w.goal = w.point()
	w.speed = 1.4 * math.Exp(w.random.NormFloat64()*0.2)
	if w.random.Float64() < 0.3 {
		w.restLeft = w.random.ExpFloat64() * 4
	}
}

// Step moves the walker on by so many seconds.
func (w *Walker) Step(seconds float64) {
	if w.restLeft > 0 {
		w.restLeft -= seconds
		w.East, w.North = 0, 0
		return
	}
	north := (w.goal.Lat - w.At.Lat) * metresPerDegree
	east := (w.goal.Lng - w.At.Lng) * metresPerDegree * math.Cos(w.At.Lat*math.Pi/180)
	left := math.Hypot(east, north)
	if left <= w.speed*seconds || left < 0.01 {
		w.At = w.goal
		w.choose()
		return
	}
	w.East, w.North = w.speed*east/left, w.speed*north/left
	w.At = Offset(w.At, w.East*seconds, w.North*seconds)
}
