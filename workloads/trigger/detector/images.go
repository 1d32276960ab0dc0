package detector

import (
	"math"
	"math/rand/v2"
)

// Images tells pictures of a calorimeter apart: pile-up with soft jets (soft, the
// background), an isolated electron or photon, one hard jet, and the two cores of a
// boosted W boson. A record is a window of Rows x Columns cells of 0.1 in eta and phi around
// the cell with the most energy, a byte for each cell in half GeV, row by row.
type Images struct{ conditions Conditions }

// NewImages makes the detector.
func NewImages(conditions Conditions) *Images { return &Images{conditions.withDefaults()} }

// The window of Images.
const (
	Rows    = 32 // eta
	Columns = 64 // phi

	cellSize    = 0.1
	energyUnit  = 0.5
	brightest   = 254
	calorimeter = 2 * Rows // rows and columns of what is simulated around the axis
)

// The classes of Images.
const (
	soft = iota
	electron
	hardJet
	boosted
)

// Size implements Detector.
func (*Images) Size() int { return Rows * Columns }

// Classes implements Detector.
func (*Images) Classes() []string { return []string{"soft", "electron", "jet", "boosted"} }

// Event implements Detector.
func (d *Images) Event(random *rand.Rand, class int, record []byte) {
	var space [192]particle
	particles := space[:0]
	switch class {
	case soft:
		for range 1 + poisson(random, 1) {
			p := parton{pt: fallingSpectrum(random, 12, 200, 5), eta: random.NormFloat64(), phi: 1.5 * random.NormFloat64(), gluon: random.Float64() < 0.7}
			particles = p.shower(random, 0.5, particles)
		}
	case electron:
		particles = append(particles, particle{pt: fallingSpectrum(random, 20, 200, 3)})
	case hardJet:
		p := parton{pt: fallingSpectrum(random, 60, 400, 4), gluon: random.Float64() < 0.5}
		particles = p.shower(random, 0.5, particles)
	case boosted:
		for _, p := range partons(random, wBoson, fallingSpectrum(random, 180, 600, 4)) {
			particles = p.shower(random, 0.4, particles)
		}
	}
	particles = d.overlay(random, particles)
	var cells [calorimeter][2 * calorimeter]float64
	for _, p := range measure(random, d.conditions, particles) {
		deposit(random, &cells, p, class == electron)
	}
	d.window(&cells, record)
}

// overlay adds pile-up over the whole window, as dense as it is in a jet, thinned by
// ten: most of it lies below the threshold of a cell.
func (d *Images) overlay(random *rand.Rand, particles []particle) []particle {
	area := Rows * Columns * cellSize * cellSize / (math.Pi * jetRadius * jetRadius)
	for range poisson(random, d.conditions.PileUp*area/10) {
		particles = append(particles, particle{
			pt:  1 + random.ExpFloat64(),
			eta: (random.Float64() - 0.5) * Rows * cellSize,
			phi: (random.Float64() - 0.5) * Columns * cellSize,
		})
	}
	return particles
}

// deposit spreads a particle's energy over the cells: ten parts, each off by a
// Gaussian of 0.03 for electrons and photons, 0.08 for hadrons.
func deposit(random *rand.Rand, cells *[calorimeter][2 * calorimeter]float64, p particle, electromagnetic bool) {
	const parts = 10
	width := 0.08
	if electromagnetic {
		width = 0.03
	}
	for range parts {
		row := int(math.Floor((p.eta+width*random.NormFloat64())/cellSize)) + calorimeter/2
		column := int(math.Floor((p.phi+width*random.NormFloat64())/cellSize)) + calorimeter
		if row >= 0 && row < calorimeter && column >= 0 && column < 2*calorimeter {
			cells[row][column] += p.pt / parts
		}
	}
}

// window cuts out what lies around the brightest cell.
func (d *Images) window(cells *[calorimeter][2 * calorimeter]float64, record []byte) {
	row, column := calorimeter/2, calorimeter
	for r := range cells {
		for c := range cells[r] {
			if cells[r][c] > cells[row][column] {
				row, column = r, c
			}
		}
	}
	for r := range Rows {
		for c := range Columns {
			value := 0.0
			if y, x := row-Rows/2+r, column-Columns/2+c; y >= 0 && y < calorimeter && x >= 0 && x < 2*calorimeter {
				value = cells[y][x]
			}
			record[r*Columns+c] = byte(min(value/energyUnit, brightest))
		}
	}
}

// Energy implements Detector: the sum over the window.
func (*Images) Energy(record []byte) float64 {
	sum := 0
	for _, b := range record {
		sum += int(b)
	}
	return energyUnit * float64(sum)
}
