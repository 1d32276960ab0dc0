package scenario

import (
	"errors"
	"fmt"
	"math"
)

const (
	maxRate   = 1000 // actions per second of one participant
	maxSpeed  = 10   // metres per second: the server's default limit is 12 for long
	maxStride = 25   // metres: it allows 30 at once
	maxSpread = 10
)

// problems gathers what is wrong.
type problems []error

func (p *problems) unless(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

func (p *problems) within(v, least, most float64, what string) {
	p.unless(v >= least && v <= most, "%s is %v: want %v..%v", what, v, least, most)
}

// Validate says what makes no sense, all of it.
func (s *Scenario) Validate() error {
	var p problems
	p.unless(s.Participants >= 0, "participants is %d", s.Participants)
	p.within(float64(s.Ring), 0, 3, "ring")
	s.Arrivals.check(&p)
	s.Mix.check(&p)
	s.Walk.check(&p)
	p.unless(s.Work.Base >= 0 && s.Work.PerNeighbour >= 0, "work: times are not negative")
	s.checkWhere(&p)
	p.unless(s.Churn.Stay >= 0 && s.Churn.Gap >= 0, "churn: times are not negative")
	for i, storm := range s.Storms {
		p.within(storm.Share, 0, 1, fmt.Sprintf("storms[%d].share", i))
		p.unless(storm.At >= 0 && storm.Over >= 0, "storms[%d]: times are not negative", i)
	}
	return errors.Join(p...)
}

func (a *Arrivals) check(p *problems) {
	ranged := a.RateFrom != 0 || a.RateTo != 0
	if ranged {
		p.unless(a.Rate == 0, "arrivals: give rate, or rate_from and rate_to")
		p.within(a.RateFrom, 1e-6, maxRate, "arrivals.rate_from")
		p.within(a.RateTo, a.RateFrom, maxRate, "arrivals.rate_to")
	} else {
		p.within(a.Rate, 1e-6, maxRate, "arrivals.rate")
	}
	p.unless(a.Draw == "" || ranged && (a.Draw == "uniform" || a.Draw == "log-uniform"),
		`arrivals.draw is %q: want "uniform" or "log-uniform", beside rate_from and rate_to`, a.Draw)
	p.unless(a.On >= 0 && a.Off >= 0 && (a.On > 0 || a.Off == 0), "arrivals: on and off are both given, or neither")
	end := Duration(0)
	for i, f := range a.Flash {
		p.within(f.Factor, 1, 1000, fmt.Sprintf("arrivals.flash[%d].factor", i))
		p.unless(f.At >= end && f.Rise >= 0 && f.Hold >= 0 && f.Fall >= 0,
			"arrivals.flash[%d]: they come one after another, and times are not negative", i)
		end = f.At + f.Rise + f.Hold + f.Fall
	}
}

func (m *Mix) check(p *problems) {
	for _, share := range []float64{m.Move, m.Speak, m.Touch, m.Grab, m.Work} {
		p.within(share, 0, 1, "a share of mix")
	}
	p.within(m.Things, 0, 1, "mix.things")
	p.unless(m.Grab <= m.Things, "mix: things is %v, less than grab: those who have a thing grab for all", m.Things)
	if sum := m.Move + m.Speak + m.Touch + m.Grab + m.Work; math.Abs(sum-1) > 1e-6 {
		*p = append(*p, fmt.Errorf("mix: the shares add up to %g, not 1", sum))
	}
}

func (w *Walk) check(p *problems) {
	p.within(w.Fastest, 0, maxSpeed, "walk.fastest")
	p.unless(w.Speed >= 0 && w.Speed <= w.Fastest, "walk.speed is %v: want 0 to walk.fastest, which is %v", w.Speed, w.Fastest)
	p.within(w.Variation, 0, 3, "walk.variation")
	p.within(w.Stride, 0.01, maxStride, "walk.stride")
	p.within(w.RestShare, 0, 1, "walk.rest_share")
	p.within(w.Roam, 0, 1, "walk.roam")
	p.unless(w.Rest >= 0, "walk.rest is negative")
}

func (s *Scenario) checkWhere(p *problems) {
	given := 0
	if g := s.Groups; g != nil {
		given++
		p.within(float64(g.Size), 1, 10_000, "groups.size")
		checkSpread(p, "groups", g.MeanDistance, g.Spread)
		g.Centre.check(p, "groups.centre")
		p.within(float64(g.PerShard), 0, GroupsInShard, "groups.per_shard")
	}
	if m := s.Matches; m != nil {
		given++
		p.within(float64(m.Size), 1, 20_000, "matches.size")
		p.within(m.Extent, 1, 5000, "matches.extent")
		checkSpread(p, "matches", m.MeanDistance, m.Spread)
		m.Centre.check(p, "matches.centre")
	}
	if len(s.Clusters) > 0 {
		given++
	}
	p.unless(given == 1, "give one of [groups], [matches] and [[clusters]], not %d of them", given)
	p.unless(s.Walk.Roam == 0 || len(s.Clusters) > 0, "walk.roam is for [[clusters]] only")
	for i := range s.Clusters {
		s.Clusters[i].check(p, fmt.Sprintf("clusters[%d] (%s)", i, s.Clusters[i].Name))
	}
}

func (c *Cluster) check(p *problems, name string) {
	p.unless(c.Share > 0, "%s: share is %v", name, c.Share)
	c.Centre.check(p, name+".centre")
	p.unless(c.Count >= 0 && c.People >= 0 && (c.Count == 0 || c.People == 0), "%s: give count or people", name)
	p.within(c.Scatter, 0, 500_000, name+".scatter")
	checkSpread(p, name, c.MeanDistance, c.Spread)
	p.within(c.DriftSpeed, 0, maxSpeed, name+".drift_speed")
	p.unless((c.DriftRadius > 0) == (c.DriftSpeed > 0) && c.DriftRadius >= 0, "%s: drift_radius and drift_speed go together", name)
}

func checkSpread(p *problems, name string, mean, spread float64) {
	p.within(mean, 0, 100_000, name+".mean_distance")
	p.within(spread, 0, maxSpread, name+".spread")
}

func (at Point) check(p *problems, name string) {
	p.within(at.Lat, -85, 85, name+".lat")
	p.within(at.Lng, -180, 180, name+".lng")
}
