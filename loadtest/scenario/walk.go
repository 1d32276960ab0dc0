package scenario

import (
	"math"
	"time"
)

// resting people shift from foot to foot: metres per second.
const restingSpeed = 0.05

// chooseGoal lets somebody take a new point to walk to.
//
// Points are drawn from the cluster's distribution; on straight ways between
// them people are nearer to the centre than at their ends (the random waypoint
// model), so that a crowd that walks for long is a little denser than L.
func (c *Crowd) chooseGoal(who int32, p *person, at time.Duration) {
	w := &c.scenario.Walk
	if w.Roam > 0 && c.random.Float64() < w.Roam {
		c.goElsewhere(p)
	}
	h := &c.layout.homes[p.home]
	k := &c.layout.kinds[h.kind]
	number, _ := c.number(int(who))
	from := draw(c.random.Uint64())
	east, north := k.point(k.habit(newDraw(c.options.Seed, ofPerson, uint64(number))), &from)
	driftEast, driftNorth := k.drift(h, at.Seconds())
	p.goalEast, p.goalNorth = float32(east+driftEast), float32(north+driftNorth)
	p.speed = float32(min(w.Fastest, w.Speed*math.Exp(w.Variation*c.random.NormFloat64())))
	if w.RestShare > 0 && c.random.Float64() < w.RestShare {
		p.rests = at + time.Duration(c.random.ExpFloat64()*float64(w.Rest))
	}
}

// goElsewhere makes another cluster of the town somebody's own.
func (c *Crowd) goElsewhere(p *person) {
	was := &c.layout.homes[p.home]
	from := draw(c.random.Uint64())
	home := c.layout.someHome(int(was.kind), &from)
	lat, lng := was.position(p.east, p.north)
	p.home = home
	p.east, p.north = c.layout.homes[home].relative(lat, lng)
}

// walk moves somebody on since the last move.
func (c *Crowd) walk(who int32, p *person, a *Action) {
	speed := p.speed
	if a.Due < p.rests {
		speed = min(speed, restingSpeed)
	}
	metres := min(float64(speed)*(a.Due-p.moved).Seconds(), c.scenario.Walk.Stride)
	p.moved = a.Due
	east, north := float64(p.goalEast-p.east), float64(p.goalNorth-p.north)
	left := math.Hypot(east, north)
	if left > 0 {
		a.Pose.VelocityEast, a.Pose.VelocityNorth = float32(float64(speed)*east/left), float32(float64(speed)*north/left)
	}
	if left <= metres {
		p.east, p.north = p.goalEast, p.goalNorth
		c.chooseGoal(who, p, a.Due)
	} else {
		p.east += float32(east / left * metres)
		p.north += float32(north / left * metres)
	}
	h := &c.layout.homes[p.home]
	lat, lng := h.position(p.east, p.north)
	site, err := c.locate(h.place, lat, lng, p.ahead)
	if err != nil || site == p.ahead {
		return
	}
	a.from, a.site = p.ahead, site
	c.crossings.add(crossing{at: a.Due, participant: who, from: p.ahead, to: site}, &c.sites)
	p.ahead = site
}
