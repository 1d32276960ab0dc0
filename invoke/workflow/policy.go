package workflow

import (
	"container/heap"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// maxLevels is how many levels of shedding there are: none, and each rank.
const maxLevels = MaxShed + 1

// policy decides which documents are taken and what is shed. It is a state machine
// without a clock, goroutines or locks:
//
//	arrive   a document came     -> taken, or a Refusal
//	start    a worker begins it  -> it may still be refused
//	level    what to shed now
//	finish   it is through, or was refused elsewhere
//
// Instants should not decrease.
type policy struct {
	margin  float64 // share of a deadline that predictions keep free
	early   float64 // the same of shedding
	flows   []*flow
	levels  int       // of shedding, over all flows
	waiting []*demand // by level: what waits if that much is shed
	kept    *demand   // what waits within guarantees, with everything shed
	running []int64   // predicted ends of what runs, by slot; 0 is free
	pace    float64   // how much longer waits take than predicted
	workers float64
	waits   int // documents that wait
}

// flow is a workflow as the policy sees it.
type flow struct {
	name     string
	deadline time.Duration
	hard     bool
	bucket   invoke.TokenBucket
	levels   int
	cost     [maxLevels]cost // of a document, by level
	// parallel is the part of a document that is not sped up by splitting it, and the
	// part that is; for documents above splitAbove.
	splitAbove    int
	whole, mapped cost
	guarantee     float64 // workers kept busy by the guarantee
	workers       float64 // that may run it
	displaces     bool    // larger documents make room for smaller ones
	displaceable  displaceable
	leastReserve  time.Duration // of all documents that came
}

// cost is a line: ns for a document, and ns per unit of its size.
type cost struct{ fixed, slope float64 }

func (c cost) at(size int) int64 { return int64(c.fixed + c.slope*float64(size)) }

func (c *cost) add(fixed, slope float64) { c.fixed, c.slope = c.fixed+fixed, c.slope+slope }

// ticket is a document as the policy sees it, from arrive to finish.
type ticket struct {
	flow       *flow
	due        invoke.Instant
	grace      time.Duration // behind due in which it may still end, once it was taken
	size       int
	reserve    time.Duration // before the deadline, for what follows
	guaranteed bool
	waits      bool
	farAll     bool
	farKept    bool
	work       [maxLevels]int64 // wall time with all workers, by level
	arrived    invoke.Instant
	submitted  invoke.Instant
	predicted  time.Duration // of waiting, in the undisturbed case
	expected   time.Duration // from start to end
	slot       int
	index      int  // in displaceable, from 1; 0: not there
	displaced  bool // it is to be refused
	run        any  // the *Run
}

// latest is when a document that was taken has to end: what is kept of its time for what
// follows, such as the way of its answer, is a high quantile, and most need less.
func (t *ticket) latest() invoke.Instant { return t.due.Add(t.grace) }

func newPolicy(now invoke.Instant, workers int, margin, early float64) *policy {
	p := &policy{margin: margin, early: early, kept: newDemand(now), running: make([]int64, 4*workers), pace: 1, workers: float64(workers)}
	p.grow(now, 1)
	return p
}

// grow makes room for so many levels. What waits keeps to those it knew.
func (p *policy) grow(now invoke.Instant, levels int) {
	for ; p.levels < levels; p.levels++ {
		d := newDemand(now)
		if p.levels > 0 {
			*d = *p.waiting[p.levels-1]
		}
		p.waiting = append(p.waiting, d)
	}
}

// perWall turns nanoseconds of work into wall time with all workers that may do it.
func (p *policy) perWall(work int64, workers float64) int64 {
	return int64(float64(work) * p.pace / workers)
}

// busy is the wall time until all workers are done with what runs.
func (p *policy) busy(now invoke.Instant) time.Duration {
	var sum int64
	for _, end := range p.running {
		if left := end - int64(now); end != 0 && left > 0 {
			sum += left
		}
	}
	return time.Duration(p.perWall(sum, p.workers))
}

func (f *flow) levelCost(level int) cost { return f.cost[min(level, f.levels-1)] }

// alone is how long a document takes with nothing else to do.
func (p *policy) alone(f *flow, size int) time.Duration { return f.reckoning(size).took() }

func (f *flow) reckoning(size int) reckoning {
	if f.splitAbove > 0 && size > f.splitAbove {
		return reckoning{f.whole, f.mapped, f.workers, size}
	}
	return reckoning{whole: f.levelCost(maxLevels), size: size}
}

func (f *flow) margin(share float64) time.Duration {
	return time.Duration(share * float64(f.deadline))
}

// idleKept is what of the deadline no document may use, not even on an idle machine: the
// margin and the least that was ever reserved for what follows, since more is reserved
// while there is much to do.
func (f *flow) idleKept(share float64) time.Duration {
	return f.margin(share) + f.leastReserve
}

// arrive takes a document, or says why not and how long it would have taken. If another
// one has to make room for it, that is displaced.
func (p *policy) arrive(now invoke.Instant, t *ticket) (reason Reason, took time.Duration, displaced *ticket) {
	f := t.flow
	t.slot, t.submitted = -1, now
	t.guaranteed = f.bucket.Conforms(now)
	alone := p.alone(f, t.size)
	f.leastReserve = min(f.leastReserve, t.reserve)
	if f.hard && alone > f.deadline-f.idleKept(p.margin) {
		return TooLarge, alone, nil
	}
	p.follow(now, t.due)
	for l := range maxLevels {
		t.work[l] = p.perWall(f.levelCost(l).at(t.size), f.workers)
	}
	took, taken := p.take(now, alone, t, 0)
	if !taken {
		displaced = p.displace(t, func(lenient time.Duration) bool {
			_, taken = p.take(now, alone, t, lenient)
			return taken
		})
	}
	if !taken {
		return TooLate, took, nil
	}
	if f.displaces && !t.guaranteed {
		heap.Push(&f.displaceable, t)
	}
	if t.guaranteed {
		f.bucket.Take()
	}
	return 0, took, displaced
}

// take lets a document wait if it and all others that wait will be in time, or late by
// no more than what is lenient, and says how long it is to take.
func (p *policy) take(now invoke.Instant, alone time.Duration, t *ticket, lenient time.Duration) (took time.Duration, taken bool) {
	f := t.flow
	last := p.levels - 1
	busy := p.busy(now)
	ahead := p.waiting[last].until(t.due)
	speed := 1.0
	if !t.guaranteed {
		speed = p.beyondGuarantees()
	} else if f.guarantee > 0 {
		ahead = p.kept.until(t.due)
	}
	wait := busy + time.Duration(float64(ahead)/speed)
	took = now.Sub(t.arrived) + wait + time.Duration(float64(alone)*p.pace)
	free := t.due.Sub(t.arrived) - f.margin(p.margin)
	if f.hard && took > free+lenient {
		return took, false
	}
	queue := busy + time.Duration(p.waiting[p.level(now)].until(t.due))
	before := p.worst(t.guaranteed, now)
	p.put(t)
	if after := p.worst(t.guaranteed, now); f.hard && after+busy > lenient && before+busy <= lenient {
		p.withdraw(t)
		return took, false
	}
	t.predicted = time.Duration(float64(queue) / p.pace)
	return took, true
}

// worst is by how much the hard deadline that fares worst would be missed if all
// that can be shed were.
func (p *policy) worst(guaranteed bool, now invoke.Instant) time.Duration {
	if guaranteed {
		return p.kept.late(now)
	}
	return p.waiting[p.levels-1].late(now)
}

// beyondGuarantees is the share of the workers that no guarantee speaks for. It is
// never less than a quarter: what is guaranteed need not come.
func (p *policy) beyondGuarantees() float64 {
	free := p.workers
	for _, f := range p.flows {
		free -= f.guarantee
	}
	return max(free/p.workers, 0.25)
}

func (p *policy) follow(now, due invoke.Instant) {
	for _, d := range p.waiting {
		d.follow(now, due)
	}
	p.kept.follow(now, due)
}

func (p *policy) put(t *ticket) {
	t.waits = true
	p.waits++
	for l, d := range p.waiting {
		t.farAll = d.add(t.due, t.work[l], t.flow.hard)
	}
	if t.guaranteed {
		t.farKept = p.kept.add(t.due, t.work[p.levels-1], t.flow.hard)
	}
}

// withdraw takes a document out of what waits.
func (p *policy) withdraw(t *ticket) {
	if !t.waits {
		return
	}
	t.waits = false
	p.waits--
	if t.index != 0 {
		heap.Remove(&t.flow.displaceable, t.index-1)
	}
	for l, d := range p.waiting {
		d.remove(t.due, t.work[l], t.flow.hard, t.farAll)
	}
	if t.guaranteed {
		p.kept.remove(t.due, t.work[p.levels-1], t.flow.hard, t.farKept)
	}
}

// start begins a document. Not 0: it can no longer meet its hard deadline.
func (p *policy) start(now invoke.Instant, t *ticket) Reason {
	if t.displaced {
		return TooLate
	}
	p.withdraw(t)
	p.learnPace(now.Sub(t.submitted), t.predicted, max(t.due.Sub(t.submitted), 1))
	if t.flow.hard && now.Add(p.alone(t.flow, t.size)) > t.latest() {
		return TooLate
	}
	p.resume(now, t, t.flow.levelCost(0))
	return 0
}

// resume notes that a worker is at the document, at such a cost.
func (p *policy) resume(now invoke.Instant, t *ticket, c cost) {
	p.withdraw(t)
	t.slot, t.expected = -1, time.Duration(c.at(t.size))
	for i := range p.running {
		if p.running[i] == 0 {
			p.running[i] = int64(now) + c.at(t.size)
			t.slot = i
			return
		}
	}
}

// join adds a part of a document that was taken to what waits.
func (p *policy) join(now invoke.Instant, t *ticket) {
	p.follow(now, t.due)
	work := p.perWall(t.flow.mapped.at(t.size), t.flow.workers)
	for l := range t.work {
		t.work[l] = work
	}
	p.put(t)
}

// learnPace follows how much longer documents wait than the work before them should
// take: other work on the machine, the collector, the price of the hand-over. A wait
// counts by its share of the time that there was for it: what is late by a constant says
// little of a short wait, and what pace decides about are long ones.
func (p *policy) learnPace(waited, predicted, had time.Duration) {
	const telling = 2 * time.Millisecond
	if predicted < telling {
		p.pace += (1 - p.pace) / 512
		return
	}
	seen := min(max(float64(waited)/float64(predicted), 1), maxPace)
	p.pace += (seen - p.pace) / 64 * min(float64(predicted)/float64(had), 1)
}

// maxPace bounds what a stall can teach.
const maxPace = 4

// level is the least shedding with which all that waits meets its hard deadlines and
// leaves free what shedding is to leave free.
func (p *policy) level(now invoke.Instant) int {
	if p.waits == 0 {
		return 0
	}
	ahead := p.busy(now) + p.shedMargin()
	for l, d := range p.waiting {
		if d.late(now)+ahead <= 0 {
			return l
		}
	}
	return p.levels - 1
}

// shedMargin is what shedding keeps free of the shortest hard deadline.
func (p *policy) shedMargin() time.Duration {
	var m time.Duration
	for _, f := range p.flows {
		if f.hard && (m == 0 || f.margin(p.early) < m) {
			m = f.margin(p.early)
		}
	}
	return m
}

// finish ends what start or resume began.
func (p *policy) finish(t *ticket) {
	p.withdraw(t)
	if t.slot >= 0 {
		p.running[t.slot] = 0
	}
	t.slot = -1
}

// retryAfter is when what waits will have been worked off.
func (p *policy) retryAfter(now invoke.Instant) time.Duration {
	d := p.waiting[p.levels-1]
	wait := time.Duration(d.tree[1].sum+d.far) + p.busy(now)
	return min(max(wait, minRetryAfter), maxRetryAfter)
}

const (
	minRetryAfter = 5 * time.Millisecond
	maxRetryAfter = 2 * time.Second
)
