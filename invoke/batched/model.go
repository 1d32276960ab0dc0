package batched

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// Model predicts how long a batch takes by its size: Launch + PerItem x size.
type Model struct {
	// Launch is what a batch costs whatever its size.
	Launch time.Duration
	// PerItem is what each item adds.
	PerItem time.Duration
}

// runTimes learns how long batches of each size take. Sizes that are close share a
// class; each keeps its recent runs, as they would have been at the usual speed.
type runTimes struct {
	prior   Model // zero: nothing declared
	first   time.Duration
	classes []sizeClass
	center  []float64 // by size, seconds; from 1
	runs    int
	last    ring // the last runs of sizes that are known, for the device's present speed
	speed   float64
	excess  residuals
	scale   float64 // what center is multiplied by to predict
}

const (
	refitEvery    = 16
	lastRuns      = 7
	knownRuns     = 8 // of a class, before its runs say something of others
	unknownMargin = 0.5
)

// newRunTimes starts with the declared model, or else with one in which an item
// takes first and batching saves nothing.
func newRunTimes(prior Model, first time.Duration, largest int, percentile float64) *runTimes {
	m := &runTimes{
		prior: prior, first: first, speed: 1, last: ring{size: lastRuns},
		classes: make([]sizeClass, classOf(largest)+1), center: make([]float64, largest+1),
	}
	m.excess.percentile = percentile
	for i := range m.classes {
		m.classes[i].size = classRuns
	}
	m.refit()
	return m
}

// predict gives the percentile of the run time of a batch of n items.
func (m *runTimes) predict(n int) time.Duration {
	return roundUp(m.center[n] * m.scale)
}

func roundUp(seconds float64) time.Duration {
	return max(time.Duration(math.Ceil(seconds*float64(time.Second)-1e-3)), 1)
}

// usual gives the median.
func (m *runTimes) usual(n int) time.Duration {
	return roundUp(m.center[n] * m.speed)
}

// largestWithin gives the largest size predicted to take at most d, 0 if none is.
func (m *runTimes) largestWithin(d time.Duration) int {
	n, _ := slices.BinarySearchFunc(m.center[1:], d, func(center float64, d time.Duration) int {
		if roundUp(center*m.scale) <= d {
			return -1
		}
		return 1
	})
	return n
}

// record learns from a run of n items.
func (m *runTimes) record(n int, ran time.Duration) {
	r := sample{n, max(ran, 1).Seconds()}
	class := &m.classes[classOf(n)]
	if len(class.samples) >= knownRuns {
		m.last.add(r)
	}
	class.add(sample{n, r.seconds / m.speed})
	m.runs++
	m.rescale()
	if len(class.samples) > knownRuns && len(m.last.samples) == lastRuns {
		// The run in the middle of the last ones: those before and after it tell whether it
		// was slow for itself, or the device was.
		middle := m.last.samples[(m.last.next+lastRuns/2)%lastRuns]
		m.excess.record(middle.seconds / (m.center[middle.n] * m.speed))
	}
	if m.runs%refitEvery == 0 || m.runs < refitEvery && bits.OnesCount(uint(m.runs)) == 1 {
		m.refit()
	}
}

// rescale reads the present speed: the median of the last runs against what is
// usual. One outlier moves it not at all, a throttled device within four runs.
func (m *runTimes) rescale() {
	m.speed = 1
	if len(m.last.samples) == lastRuns {
		var ratios [lastRuns]float64
		for i, r := range m.last.samples {
			ratios[i] = r.seconds / m.center[r.n]
		}
		slices.Sort(ratios[:])
		if median := ratios[lastRuns/2]; median > 1.1 || median < 0.9 {
			m.speed = median
		}
	}
	m.scale = m.speed * m.excess.factor()
	if m.prior == (Model{}) {
		m.scale *= 1 + unknownMargin/(1+float64(m.runs)/8)
	}
}

// refit reads the centre of each size anew.
func (m *runTimes) refit() {
	points := m.points()
	line := m.line(points)
	for i := range points {
		p := &points[i] // few runs say little against the line
		p.seconds = (p.weight*p.seconds + 4*line.at(p.size)) / (p.weight + 4)
	}
	monotone(points)
	interpolate(m.center, points, line)
	m.rescale()
}

// point is what the runs of one class say.
type point struct{ size, seconds, weight float64 }

func (m *runTimes) points() []point {
	var points []point
	for i := range m.classes {
		if c := &m.classes[i]; len(c.samples) > 0 {
			points = append(points, c.point())
		}
	}
	return points
}

// line is fixed + each x size, in seconds.
type line struct{ fixed, each float64 }

func (l line) at(size float64) float64 { return l.fixed + l.each*size }

// line fits one to the points; with fewer than two, in the shape that was declared.
func (m *runTimes) line(points []point) line {
	declared := line{m.prior.Launch.Seconds(), m.prior.PerItem.Seconds()}
	if m.prior == (Model{}) {
		declared = line{0, m.first.Seconds()}
	}
	switch len(points) {
	case 0:
		return declared
	case 1:
		p := points[0]
		factor := p.seconds / max(declared.at(p.size), 1e-9)
		return line{declared.fixed * factor, declared.each * factor}
	}
	return theilSen(points)
}

// theilSen is the line whose slope is the weighted median of the slopes between all
// pairs of points (Sen, 1968): a third of them may be wrong.
func theilSen(points []point) line {
	slopes := make([]weighted, 0, len(points)*(len(points)-1)/2)
	for i, p := range points {
		for _, q := range points[i+1:] {
			apart := q.size - p.size
			slopes = append(slopes, weighted{(q.seconds - p.seconds) / apart, apart * min(p.weight, q.weight)})
		}
	}
	l := line{each: max(weightedMedian(slopes), 0)}
	rest := make([]weighted, len(points))
	for i, p := range points {
		rest[i] = weighted{p.seconds - l.each*p.size, p.weight}
	}
	l.fixed = weightedMedian(rest)
	if l.fixed < 0 {
		for i, p := range points {
			rest[i] = weighted{p.seconds / p.size, p.weight}
		}
		l = line{0, weightedMedian(rest)}
	}
	return l
}

type weighted struct{ value, weight float64 }

func weightedMedian(all []weighted) float64 {
	slices.SortFunc(all, func(a, b weighted) int { return cmpFloat(a.value, b.value) })
	half := 0.0
	for _, w := range all {
		half += w.weight / 2
	}
	for _, w := range all {
		if half -= w.weight; half <= 0 {
			return w.value
		}
	}
	return all[len(all)-1].value
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// monotone makes the seconds not decrease with size, by pooling what does (the pool
// adjacent violators algorithm; Ayer and others, 1955).
func monotone(points []point) {
	type pool struct {
		sum, weight float64
		count       int
	}
	var pools []pool
	for _, p := range points {
		pools = append(pools, pool{p.seconds * p.weight, p.weight, 1})
		for len(pools) > 1 {
			a, b := &pools[len(pools)-2], pools[len(pools)-1]
			if a.sum/a.weight <= b.sum/b.weight {
				break
			}
			*a = pool{a.sum + b.sum, a.weight + b.weight, a.count + b.count}
			pools = pools[:len(pools)-1]
		}
	}
	i := 0
	for _, pool := range pools {
		for range pool.count {
			points[i].seconds = pool.sum / pool.weight
			i++
		}
	}
}

// interpolate fills center between the points, and by the line's slope beyond them.
func interpolate(center []float64, points []point, l line) {
	next := 0
	for n := 1; n < len(center); n++ {
		size := float64(n)
		for next < len(points) && points[next].size < size {
			next++
		}
		switch {
		case len(points) == 0:
			center[n] = l.at(size)
		case next == 0:
			first := points[0]
			center[n] = max(first.seconds-l.each*(first.size-size), min(l.at(size), first.seconds))
		case next == len(points):
			last := points[next-1]
			center[n] = last.seconds + l.each*(size-last.size)
		default:
			a, b := points[next-1], points[next]
			center[n] = a.seconds + (b.seconds-a.seconds)*(size-a.size)/(b.size-a.size)
		}
		center[n] = max(center[n], center[n-1], 1e-9)
	}
}

// residuals counts what runs took, over what was expected, in steps of 1 %. Old
// ones count half after every 512.
type residuals struct {
	percentile float64
	counts     [residualSteps]float64
	total      float64
}

const (
	residualSteps = 512
	residualStep  = 0.01 // of the natural logarithm
	residualKept  = 512
)

func (r *residuals) record(ratio float64) {
	i := int(math.Ceil(math.Log(max(ratio, 1))/residualStep - 1e-6))
	r.counts[min(i, residualSteps-1)]++
	if r.total++; r.total >= residualKept {
		r.total = 0
		for i := range r.counts {
			r.counts[i] /= 2
			r.total += r.counts[i]
		}
	}
}

// factor is the percentile, at least 1.
func (r *residuals) factor() float64 {
	above := (1 - r.percentile) * r.total
	for i := residualSteps - 1; i > 0; i-- {
		if above -= r.counts[i]; above < 0 {
			return math.Exp(float64(i) * residualStep)
		}
	}
	return 1
}
