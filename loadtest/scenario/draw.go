package scenario

import "math"

// draw is a stream of random numbers that starts anywhere without a set-up, so
// that each participant's entry can be computed by itself: splitmix64 (Steele,
// Lea and Flood, 2014).
type draw uint64

// What a stream is for, so that streams of the same number differ.
const (
	ofEntry = iota + 1
	ofPerson
	ofHome
	ofStay
)

func newDraw(seed uint64, what, number uint64) draw {
	return draw(mix(seed ^ mix(what<<48^number)))
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (d *draw) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	return mix(uint64(*d))
}

// float is in [0, 1).
func (d *draw) float() float64 { return float64(d.next()>>11) / (1 << 53) }

// exponential has mean 1.
func (d *draw) exponential() float64 { return -math.Log(1 - d.float()) }

// gauss gives two independent numbers of a standard normal distribution: Box
// and Muller, 1958.
func (d *draw) gauss() (a, b float64) {
	r := math.Sqrt(2 * d.exponential())
	sin, cos := math.Sincos(2 * math.Pi * d.float())
	return r * cos, r * sin
}
