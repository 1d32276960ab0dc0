package hub

import (
	"math"
	"slices"
	"time"
)

// Budget bounds what a participant is told of cells, per second. 0 is no bound.
type Budget struct {
	Entities float64 // updates and events
	Bytes    float64
}

// AtMost is the smaller of two budgets.
func (b Budget) AtMost(o Budget) Budget {
	return Budget{smaller(b.Entities, o.Entities), smaller(b.Bytes, o.Bytes)}
}

func smaller(a, b float64) float64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// exceeded says whether so much is more than a share of the budget.
func (b Budget) exceeded(entities, bytes, share float64) bool {
	return b.Entities > 0 && entities > share*b.Entities || b.Bytes > 0 && bytes > share*b.Bytes
}

// rate is how much happens in a cell, smoothed over about half a second.
type rate struct {
	steps, bytes   int // since the last tick
	entities       float64
	bytesPerSecond float64
}

func (r *rate) tick(elapsed time.Duration) {
	r.entities += (float64(r.steps)/elapsed.Seconds() - r.entities) / 2
	r.bytesPerSecond += (float64(r.bytes)/elapsed.Seconds() - r.bytesPerSecond) / 2
	r.steps, r.bytes = 0, 0
}

// each is the size of one step.
func (r *rate) each() float64 {
	if r.entities < 1 {
		return 1
	}
	return r.bytesPerSecond / r.entities
}

// deliveries is what a client is told, held against its budget.
type deliveries struct {
	budget   Budget
	over     bool
	calm     int     // reviews in a row below it
	above    int64   // since when it is exceeded, nanoseconds since 1970; 0: it is not
	reviewed uint64  // number of the last review
	viewers  int     // watches that are viewers of a crowd, or become ones
	placing  bool    // the avatar moved in this turn
	reach    float64 // metres within which what is near in the avatar's own cell is
	filled   bool    // these are as many as wanted
}

const (
	// A client is over its budget once that was exceeded for aboveTime, or byFar times:
	// a group that comes together exceeds it for a moment. It is until there was less
	// than calmShare of it in calmReviews reviews.
	aboveTime   = time.Second
	byFar       = 2
	calmShare   = 0.8
	calmReviews = 8
	// fullShare of the budget is for cells that are not thinned.
	fullShare = 0.5
	// quietRate is that of cells not worth thinning, and quietParts what part of
	// the budget that is at most.
	quietRate  = 5
	quietParts = 20
	// stayQuiet of that is enough for a cell that is thinned already.
	stayQuiet = 0.25
	// mostCells is how many a client watches at most: three rings.
	mostCells = 37
	// leastEntities and leastBytes are the smallest budgets granted.
	leastEntities = 25
	leastBytes    = 4096
)

// Granted is what is granted to a client that asks for at most so much.
func (s *Hubs) Granted(asked Budget) Budget {
	if asked.Entities > 0 {
		asked.Entities = max(asked.Entities, leastEntities)
	}
	if asked.Bytes > 0 {
		asked.Bytes = max(asked.Bytes, leastBytes)
	}
	return s.config.Budget.AtMost(asked)
}

// review holds all that is delivered against the budgets.
func (h *Hub) review(now time.Time) {
	elapsed := now.Sub(h.reviewedAt)
	h.reviewedAt = now
	if elapsed <= 0 || elapsed > time.Hour { // the first
		return
	}
	for _, c := range h.cells {
		c.rate.tick(elapsed)
	}
	if s := &h.squeeze; !s.bounded() && s.pressed(h.pace.busy) {
		s.told = demand{}
		h.eachClient(Budget{Entities: leastEntities}, h.look)
	}
	h.squeeze.judge(h.pace.busy)
	h.squeeze.told = demand{}
	h.eachClient(h.squeeze.least(h.leastBudget), func(c *Client) { h.reviewClient(c, now) })
}

// eachClient calls f for those who may be told more than a budget, and for the
// viewers of crowds.
func (h *Hub) eachClient(least Budget, f func(*Client)) {
	h.reviews++
	for _, c := range h.cells {
		if c.crowd == nil && (least == Budget{} || !least.exceeded(c.rate.entities, c.rate.bytesPerSecond, 1./mostCells)) {
			continue
		}
		for _, w := range c.watchers {
			if w.client.reviewed != h.reviews {
				w.client.reviewed = h.reviews
				f(w.client)
			}
		}
	}
}

// look notes what a client is told.
func (h *Hub) look(c *Client) {
	if c.budget == (Budget{}) {
		return
	}
	var entities float64
	for _, w := range c.watches {
		entities += w.cell.rate.entities
	}
	h.squeeze.see(smaller(entities, c.budget.Entities), h.floor(c))
}

// crowdTimes as many as are near must be in view before less is told of them.
const crowdTimes = 5

// floor is how much a client is to be told per second at least, however much
// there is to write: all that is near, and as much of the rest.
func (h *Hub) floor(c *Client) float64 {
	one, inView := 0.0, 0
	for _, w := range c.watches {
		inView += len(w.cell.image.entities)
		if len(w.cell.image.entities) > h.hubs.config.Near {
			one = max(one, w.cell.rateOfOne())
		}
	}
	// Things that lie about do nothing, so that one in a mean does less than a
	// person: groups with their things are not yet a crowd.
	if one == 0 || inView < crowdTimes*h.hubs.config.Near {
		return math.Inf(1)
	}
	return max(leastEntities, floorTimes*float64(h.hubs.config.Near)*one)
}

// reviewClient decides which of a client's cells are thinned, and how much.
func (h *Hub) reviewClient(c *Client, now time.Time) {
	var entities, bytes float64
	for _, w := range c.watches {
		entities += w.cell.rate.entities
		bytes += w.cell.rate.bytesPerSecond
	}
	budget := c.budget
	if h.squeeze.bounded() && c.budget != (Budget{}) {
		floor := h.floor(c)
		h.squeeze.see(smaller(entities, c.budget.Entities), floor)
		budget = h.squeeze.apply(budget, floor)
	}
	was := c.over
	if budget.exceeded(entities, bytes, 1) {
		if c.above == 0 {
			c.above = now.UnixNano()
		}
		c.calm = 0
		c.over = c.over || now.UnixNano()-c.above >= int64(aboveTime) || budget != c.budget || budget.exceeded(entities, bytes, byFar)
	} else {
		c.above = 0
		if budget.exceeded(entities, bytes, calmShare) {
			c.calm = 0
		} else if c.calm++; c.calm >= calmReviews {
			c.over = false
		}
	}
	if c.over != was {
		if c.over {
			h.metrics.OverBudget.Inc()
		} else {
			h.metrics.OverBudget.Dec()
		}
	}
	if c.over {
		h.divide(c, budget, entities, bytes, now)
	} else if c.viewers > 0 {
		for _, w := range c.watches {
			w.thin(h, -1, 0, now)
		}
	}
}

// divide thins the cells in which most happens, and divides among them what is
// left of the budget.
func (h *Hub) divide(c *Client, budget Budget, entities, bytes float64, now time.Time) {
	h.byRate = append(h.byRate[:0], c.watches...)
	slices.SortFunc(h.byRate, func(a, b *watch) int {
		switch ra, rb := a.cell.rate.entities, b.cell.rate.entities; {
		case ra > rb:
			return -1
		case ra < rb:
			return 1
		}
		return 0
	})
	thinned, quiet := 0, float64(quietRate)
	if budget.Entities > 0 {
		quiet = min(quiet, budget.Entities/quietParts)
	}
	var crowds, nearEntities, nearBytes float64
	for _, w := range h.byRate {
		r := &w.cell.rate
		low := quiet
		if w.viewer != nil {
			low *= stayQuiet
		}
		if !w.cell.live || r.entities < low || w.viewer == nil && !budget.exceeded(entities, bytes, fullShare) {
			break
		}
		thinned++
		entities -= r.entities
		bytes -= r.bytesPerSecond
		crowds += r.entities
		if v := w.viewer; v != nil {
			near := float64(v.held) * w.cell.rateOfOne()
			nearEntities += near
			nearBytes += near * r.each()
		}
	}
	for i, w := range h.byRate {
		if i >= thinned {
			w.thin(h, -1, 0, now)
			continue
		}
		r := &w.cell.rate
		left := classRate(rateClasses - 1)
		if budget.Entities > 0 {
			left = min(left, budget.Entities-entities-nearEntities)
		}
		if budget.Bytes > 0 {
			left = min(left, (budget.Bytes-bytes-nearBytes)/(r.each()+stateOverhead))
		}
		w.thin(h, classOf(left*r.entities/crowds), h.wanted(budget, w.cell), now)
	}
	clear(h.byRate)
}

// stateOverhead is what a state of its own age costs beyond the step: bytes.
const stateOverhead = 8

// rateOfOne is how often the mean entity of a cell changes, per second.
func (c *cell) rateOfOne() float64 {
	return c.rate.entities / float64(max(1, len(c.image.entities)))
}

// wanted is how many entities are to be near: half of the budget is theirs. A
// hub that has too much to write keeps to the very nearest.
func (h *Hub) wanted(budget Budget, c *cell) int {
	near := float64(h.hubs.config.Near) * h.squeeze.near
	one := max(0.01, c.rateOfOne())
	if budget.Entities > 0 {
		near = min(near, budget.Entities/2/one)
	}
	if budget.Bytes > 0 {
		near = min(near, budget.Bytes/2/one/c.rate.each())
	}
	return max(4, int(near))
}
