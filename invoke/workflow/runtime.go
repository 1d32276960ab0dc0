package workflow

import (
	"time"

	"github.com/starling-vr/starling/invoke"
)

const (
	assumedRunTime = 20 * time.Microsecond
	learnEvery     = 256
	learnWindow    = 4096
	// longestSample bounds what one run may teach, as a multiple of what was expected:
	// a run that was interrupted says little of the next.
	longestSample = 8
)

// line predicts a function's run time from the size of the document: fixed + slope x
// size, by least squares over recent runs. All weights are halved every 4096 runs.
// Source: any text on simple linear regression; the sums are kept about the
// reference size, so that nothing large is subtracted from something large.
type line struct {
	reference            float64 // size
	n, x, t, xx, xt      float64 // sums; x about reference, t in ns
	seen                 uint64
	fixed, slope         float64 // ns, ns per unit of size
	recent, before       *invoke.Histogram
	p99                  time.Duration
	reached, ran         float64 // of the runs that got there, how many ran
	declared, expectedAt time.Duration
}

func newLine(reference int, declared time.Duration) line {
	l := line{reference: float64(reference), declared: declared, recent: new(invoke.Histogram)}
	l.expectedAt = declared
	if declared == 0 {
		l.expectedAt = assumedRunTime
	}
	l.slope = float64(l.expectedAt) / l.reference
	return l
}

// at is the expected run time, in ns, for a size.
func (l *line) at(size int) float64 { return l.fixed + l.slope*float64(size) }

// chance is how likely a step is to run, given that it is not shed.
func (l *line) chance() float64 {
	if l.reached < 16 {
		return 1
	}
	return l.ran / l.reached
}

// record learns from a run, and says whether the line was drawn anew.
func (l *line) record(size int, took time.Duration) bool {
	l.recent.Record(took)
	t := float64(took)
	if l.seen > 64 {
		t = min(t, longestSample*(l.at(size)+1000))
	}
	x := float64(size) - l.reference
	l.n, l.x, l.t, l.xx, l.xt = l.n+1, l.x+x, l.t+t, l.xx+x*x, l.xt+x*t
	l.seen++
	if l.seen%learnEvery != 0 && (l.seen > learnEvery || l.seen&(l.seen-1) != 0) {
		return false
	}
	l.fit()
	return true
}

func (l *line) fit() {
	if l.seen >= believed || l.declared == 0 {
		l.draw()
	}
	l.p99 = l.recent.Quantile(0.99)
	if l.before != nil {
		l.p99 = max(l.p99, l.before.Quantile(0.99))
	}
	if l.recent.Count() < learnWindow {
		return
	}
	if l.before == nil {
		l.before = new(invoke.Histogram)
	}
	l.recent, l.before = l.before, l.recent
	*l.recent = invoke.Histogram{}
	for _, sum := range []*float64{&l.n, &l.x, &l.t, &l.xx, &l.xt, &l.reached, &l.ran} {
		*sum /= 2
	}
}

// believed is how many runs outweigh what was declared, and tell a line from noise.
const believed = 32

func (l *line) draw() {
	mean, size := l.t/l.n, l.x/l.n+l.reference
	l.fixed, l.slope = 0, mean/size // in proportion to the size
	spread := l.xx - l.x*l.x/l.n
	if l.seen < believed || spread < l.n {
		return
	}
	slope := (l.xt - l.x*l.t/l.n) / spread
	if fixed := mean - slope*size; slope >= 0 && fixed >= 0 {
		l.fixed, l.slope = fixed, slope
	}
}

// pass counts a document that got to the step, whether it ran there or not.
func (l *line) pass(ran bool) {
	l.reached++
	if ran {
		l.ran++
	}
}

// typical is the 99th percentile that admission reckons with.
func (l *line) typical() time.Duration {
	switch {
	case l.declared > 0:
		return l.declared
	case l.p99 > 0:
		return l.p99
	}
	return assumedRunTime
}
