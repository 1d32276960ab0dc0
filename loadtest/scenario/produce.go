package scenario

import (
	"math"
	"time"

	"github.com/starling-vr/starling/world"
)

// reach is within how many metres people touch and grab. The server allows 20
// by default; the rest is for walking meanwhile.
const reach = 17

var sayings = [...]string{
	"hello!", "which way to the night market?", "over here", "nice view from up there", "wait for me",
	"did you catch it?", "一起走吧", "it went left", "see you at the fountain", "haha",
}

// produce makes the next action.
func (c *Crowd) produce() {
	end := c.options.Duration
	if end == 0 {
		end = math.MaxInt64
	}
	for {
		at, ok := c.arrivals.next(end)
		if !ok {
			c.produced = true
			return
		}
		who := c.lives.present(int32(c.random.IntN(c.slots())), at)
		if who < 0 {
			continue
		}
		p := &c.people[who]
		a := &c.scenario.Arrivals
		if a.RateTo > 0 {
			number, _ := c.number(int(who))
			if c.random.Float64() >= a.share(c.options.Seed, uint64(number)) {
				continue
			}
		}
		if !c.active(p, at) {
			continue
		}
		c.push(c.act(who, p, at))
		return
	}
}

// act decides what somebody does.
func (c *Crowd) act(who int32, p *person, at time.Duration) Action {
	h := &c.layout.homes[p.home]
	a := Action{Due: at, Participant: who, Target: -1, Place: h.place, from: -1, site: p.ahead}
	c.choosesFunction(who, p, &a)
	h = &c.layout.homes[p.home]
	a.Cell = c.sites.all[a.site].cell
	a.Pose.Lat, a.Pose.Lng = h.position(p.east, p.north)
	if h.place >= 0 {
		a.Pose.East, a.Pose.North = p.east, p.north
	}
	return a
}

// choosesFunction draws from the mix. Those who have a thing of their own grab
// for all, so that the shares hold over the whole crowd.
func (c *Crowd) choosesFunction(who int32, p *person, a *Action) {
	mix, u := &c.scenario.Mix, c.random.Float64()
	if _, has := c.things[who]; has {
		grab := mix.Grab / mix.Things
		if u < grab {
			if !c.handle(who, p, a) && !c.touch(who, p, a) {
				c.speak(a)
			}
			return
		}
		u = (u - grab) / (1 - grab)
	}
	switch u *= 1 - mix.Grab; {
	case u < mix.Move:
		c.walk(who, p, a)
	case u < mix.Move+mix.Work:
		a.Function = Work
	case u >= mix.Move+mix.Work+mix.Touch || !c.touch(who, p, a):
		c.speak(a)
	}
}

func (c *Crowd) speak(a *Action) {
	a.Function, a.Text = Speak, sayings[c.random.IntN(len(sayings))]
}

// handle takes one's own thing, or drops it; false if it lies too far away.
func (c *Crowd) handle(who int32, p *person, a *Action) bool {
	t := c.things[who]
	lat, lng := c.layout.homes[p.home].position(p.east, p.north)
	a.Target = who
	if p.holding {
		p.holding = false
		c.things[who] = thing{lat: lat, lng: lng, site: p.ahead}
		a.Function = Release
		return true
	}
	if t.site != p.ahead || world.Metres(world.Geo{Lat: lat, Lng: lng}, world.Geo{Lat: t.lat, Lng: t.lng}) > reach {
		a.Target = -1
		return false
	}
	p.holding = true
	a.Function = Grab
	return true
}

// touch picks somebody near, in the same cell.
func (c *Crowd) touch(who int32, p *person, a *Action) bool {
	site := &c.sites.all[p.ahead]
	if site.count == 0 {
		return false
	}
	const tries, furthest = 4, 16
	target := site.first
	for range tries {
		for range c.random.IntN(min(int(site.count), furthest)) + 1 {
			if target = c.people[target].next; target < 0 {
				target = site.first
			}
		}
		q := &c.people[target]
		if target == who || q.site != p.ahead || q.ahead != p.ahead || c.leaves(int(target)) <= a.Due+c.options.Window || c.joins(int(target))+c.options.Window > a.Due && c.joins(int(target)) > 0 {
			continue
		}
		if c.apart(p, q) <= reach {
			a.Function, a.Target = Touch, target
			return true
		}
	}
	return false
}

// apart is the distance of two people in one cell, metres.
func (c *Crowd) apart(p, q *person) float64 {
	if p.home == q.home {
		return math.Hypot(float64(p.east-q.east), float64(p.north-q.north))
	}
	aLat, aLng := c.layout.homes[p.home].position(p.east, p.north)
	bLat, bLng := c.layout.homes[q.home].position(q.east, q.north)
	return world.Metres(world.Geo{Lat: aLat, Lng: aLng}, world.Geo{Lat: bLat, Lng: bLng})
}
