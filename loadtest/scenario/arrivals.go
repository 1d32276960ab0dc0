package scenario

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// mean is the mean lambda.
func (a *Arrivals) mean() float64 {
	switch {
	case a.Rate > 0:
		return a.Rate
	case a.Draw == "log-uniform" && a.RateTo > a.RateFrom:
		return (a.RateTo - a.RateFrom) / math.Log(a.RateTo/a.RateFrom)
	}
	return (a.RateFrom + a.RateTo) / 2
}

// lambda of a participant over the greatest that any may have.
func (a *Arrivals) share(seed, number uint64) float64 {
	if a.Rate > 0 {
		return 1
	}
	from := newDraw(seed, ofStay, number<<1)
	u := from.float()
	if a.Draw == "log-uniform" {
		return math.Pow(a.RateFrom/a.RateTo, 1-u)
	}
	return (a.RateFrom + u*(a.RateTo-a.RateFrom)) / a.RateTo
}

func (a *Arrivals) greatest() float64 { return max(a.Rate, a.RateTo) }

// arrivals gives instants of a Poisson process at least as fast as all
// participants together can act. One of them is drawn for each, and thinning
// gives each its own rate: Lewis and Shedler, "Simulation of nonhomogeneous
// Poisson processes by thinning", 1979.
type arrivals struct {
	random   *rand.Rand
	now      time.Duration
	base     float64 // per second, without flashes
	segments []segment
	current  int
}

// segment is a time in which the factor of flashes is linear.
type segment struct {
	begin, end time.Duration
	from, to   float64
}

func newArrivals(s *Scenario, o *Options, slots int) arrivals {
	a := &s.Arrivals
	rate := a.greatest()
	if o.Rate > 0 {
		rate *= o.Rate / a.mean()
	}
	if a.Off > 0 {
		rate *= float64(a.On+a.Off) / float64(a.On)
	}
	return arrivals{
		random: rand.New(rand.NewPCG(o.Seed, 0xa771_7a15)),
		base:   rate * float64(slots), segments: segmentsOf(a.Flash),
	}
}

func segmentsOf(flashes []Flash) (out []segment) {
	at := time.Duration(0)
	add := func(d Duration, from, to float64) {
		if d > 0 {
			out = append(out, segment{at, at + time.Duration(d), from, to})
			at += time.Duration(d)
		}
	}
	for _, f := range flashes {
		add(f.At-Duration(at), 1, 1)
		add(f.Rise, 1, f.Factor)
		add(f.Hold, f.Factor, f.Factor)
		add(f.Fall, f.Factor, 1)
	}
	return append(out, segment{at, math.MaxInt64, 1, 1})
}

func (s *segment) peak() float64 { return max(s.from, s.to) }

func (s *segment) at(now time.Duration) float64 {
	if s.from == s.to {
		return s.from
	}
	return s.from + (s.to-s.from)*float64(now-s.begin)/float64(s.end-s.begin)
}

// next gives the next instant before the end, ever later.
func (a *arrivals) next(end time.Duration) (time.Duration, bool) {
	for {
		s := &a.segments[a.current]
		wait := a.random.ExpFloat64() / (a.base * s.peak()) * 1e9
		if !(wait < float64(min(s.end, end)-a.now)) {
			if a.now = s.end; s.end >= end {
				a.now = end
				return 0, false
			}
			a.current++
			continue
		}
		a.now += time.Duration(wait)
		if s.from == s.to || a.random.Float64()*s.peak() < s.at(a.now) {
			return a.now, true
		}
	}
}

// Factor is by how much flashes multiply everyone's rate at an instant.
func (a *Arrivals) Factor(at time.Duration) float64 {
	segments := segmentsOf(a.Flash)
	i, _ := slices.BinarySearchFunc(segments, at, func(s segment, at time.Duration) int {
		if s.end <= at {
			return -1
		}
		return 1
	})
	return segments[i].at(at)
}

// active says whether an instant of the process is one at which a participant
// acts who alternates between on and off: a Markov chain in continuous time,
// looked at there.
func (c *Crowd) active(p *person, at time.Duration) bool {
	a := &c.scenario.Arrivals
	if a.Off == 0 {
		return true
	}
	long := a.On.Seconds() / (a.On.Seconds() + a.Off.Seconds()) // share of time on
	kept := math.Exp(-(at - p.toggled).Seconds() * (1/a.On.Seconds() + 1/a.Off.Seconds()))
	if p.toggled == 0 {
		kept = 0 // nothing is known yet
	}
	was := 0.0
	if p.on {
		was = 1
	}
	p.on = c.random.Float64() < long+(was-long)*kept
	p.toggled = at
	return p.on
}
