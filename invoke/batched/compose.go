package batched

import (
	"math"

	"github.com/starling-vr/starling/invoke"
)

// plan is a batch that could be launched.
type plan struct {
	items      []*Invocation
	guaranteed int            // of these
	earliest   invoke.Instant // deadline among those that can be met
	room       int            // up to how many items start reckons with
	start      invoke.Instant // when to launch at the latest
	ready      bool           // nothing to wait for
	sacrificed bool
}

// presses says whether an arrival changes when a plan is to be launched.
func (p *plan) presses(f *Function, inv *Invocation) bool {
	n := f.waiting()
	return len(p.items) == 0 || n > p.room || n >= f.limit() || inv.Deadline != 0 && inv.Deadline < p.earliest
}

// Next fills batch with what a free device should run now. If there is nothing to
// run yet it says when to ask again, the largest instant for: when something comes.
func (p *Policy) Next(now invoke.Instant, batch *Batch) (launched bool, again invoke.Instant) {
	now = p.advance(now)
	batch.reset()
	p.expire(now, batch)
	ready := false
	again = math.MaxInt64
	var first *Function
	for _, f := range p.functions {
		if f.compose(now); len(f.planned.items) == 0 {
			continue
		}
		ready = ready || f.planned.ready
		again = min(again, f.planned.start)
		if first == nil || f.planned.before(&first.planned) {
			first = f
		}
	}
	if !ready {
		return false, again
	}
	p.launch(now, first, batch)
	return true, 0
}

// before says which of two plans goes first: what holds guaranteed work, then what
// has to start earlier.
func (p *plan) before(q *plan) bool {
	if (p.guaranteed > 0) != (q.guaranteed > 0) {
		return p.guaranteed > 0
	}
	return p.start < q.start
}

func (p *Policy) launch(now invoke.Instant, f *Function, batch *Batch) {
	plan := &f.planned
	n := len(plan.items)
	batch.Function, batch.Started, batch.Sacrificed = f, now, plan.sacrificed
	batch.Predicted = now.Add(f.predict(n))
	for _, inv := range plan.items {
		inv.seq = 0 // marks it
		f.senders.Add(inv.Sender, -1)
		batch.Items = append(batch.Items, f.item(inv))
	}
	launched := func(inv *Invocation) bool { return inv.seq == 0 }
	nothing := func(*Invocation) {}
	for _, q := range []*queue{&f.guaranteed, &f.rest} {
		last := 0
		for i, left := 0, n; i < q.len() && left > 0; i++ {
			if launched(q.all()[i]) {
				last, left = i+1, left-1
			}
		}
		q.take(last, launched, nothing)
	}
	clear(plan.items)
	plan.items = plan.items[:0]
	f.running = n
	p.running = batch
}

// compose plans the batch that f would launch now.
func (f *Function) compose(now invoke.Instant) {
	p := &f.planned
	*p = plan{items: p.items[:0], earliest: math.MaxInt64}
	if f.waiting() == 0 {
		return
	}
	limit := f.limit()
	cut := f.fill(now, &f.guaranteed, limit)
	p.guaranteed = len(p.items)
	if !cut {
		cut = f.fill(now, &f.rest, limit)
	}
	n := len(p.items)
	if n == 0 {
		return
	}
	p.room = min(2*n, limit)
	p.start = f.latestLaunch(p)
	p.ready = cut || f.policy.draining || n >= limit || now >= p.start
	if !p.ready {
		if wait := f.arrivals.expectedBy(now, p.start); wait > now {
			p.start = wait
		} else {
			p.ready = true
		}
	}
}

// latestLaunch is until when a batch may wait for company.
func (f *Function) latestLaunch(p *plan) invoke.Instant {
	start := invoke.Instant(math.MaxInt64)
	if p.earliest != math.MaxInt64 {
		start = p.earliest - invoke.Instant(f.predict(p.room)+f.policy.config.Slack)
	}
	for _, inv := range p.items {
		oldest := inv.expires
		if !inv.tooLate { // not until it is over age
			oldest = inv.submitted + (inv.expires-inv.submitted)/2
		}
		start = min(start, oldest)
		if f.spec.Company != 0 {
			start = min(start, inv.submitted.Add(max(f.spec.Company, 0)))
		}
	}
	return start
}

// fill adds what it can of a queue: those that can be met, in order, then those that
// run late in any case, if they are soft. It says whether it had to stop for the sake of
// a deadline. What is hard and too late is left to expire.
func (f *Function) fill(now invoke.Instant, q *queue, limit int) (cut bool) {
	p := &f.planned
	base := len(p.items)
	if base >= limit || q.len() == 0 {
		return false
	}
	alone := now.Add(f.predict(base + 1))
	if f.add(now, q, limit, func(inv *Invocation) bool { return inv.meets(alone) }) {
		return base > 0 || !f.sacrifice(now, q, limit)
	}
	if !f.spec.Contract.Hard {
		return f.add(now, q, limit, func(inv *Invocation) bool { return !inv.meets(alone) })
	}
	if len(p.items) == 0 { // all hard and perhaps too late: try the first
		p.items = append(p.items, q.all()[0])
	}
	return false
}

// add adds those that are wanted up to the limit, or until one more would make a
// deadline be missed: then it was cut.
func (f *Function) add(now invoke.Instant, q *queue, limit int, wanted func(*Invocation) bool) (cut bool) {
	p := &f.planned
	alone := now.Add(f.predict(min(len(p.items)+1, limit)))
	for _, inv := range q.all() {
		if len(p.items) >= limit {
			return false
		}
		if !wanted(inv) {
			continue
		}
		earliest := p.earliest
		if inv.Deadline != 0 && inv.meets(alone) {
			earliest = min(earliest, inv.Deadline)
		}
		if now.Add(f.predict(len(p.items)+1)) > earliest {
			return true
		}
		p.earliest = earliest
		p.items = append(p.items, inv)
	}
	return false
}

// sacrifice replaces a plan that was cut by a larger one, if more of the queue is
// predicted to be in time then (as the early drop of Nexus; Shen and others, 2019).
func (f *Function) sacrifice(now invoke.Instant, q *queue, limit int) bool {
	p := &f.planned
	waiting := q.all()
	cut := len(p.items)
	cutEnd := now.Add(f.predict(cut))
	most, best := 0, 0
	for n := min(limit, len(waiting)); n > cut; n /= 2 {
		most = max(most, cut+f.metAfter(cutEnd, waiting[cut:], n))
	}
	for n := min(limit, len(waiting)); n > cut; n /= 2 {
		if met := f.metAfter(now, waiting, n); met > most {
			most, best = met, n
		}
	}
	if best == 0 {
		return false
	}
	end := now.Add(f.predict(best))
	p.items, p.sacrificed, p.earliest = p.items[:0], true, math.MaxInt64
	for _, inv := range waiting {
		if len(p.items) < best && inv.meets(end) {
			p.items = append(p.items, inv)
			if inv.Deadline != 0 {
				p.earliest = min(p.earliest, inv.Deadline)
			}
		}
	}
	return len(p.items) > 0
}

// foresight is how many batches ahead a sacrifice is weighed.
const foresight = 16

// metAfter predicts how many of what waits are in time if batches of size run from t on.
func (f *Function) metAfter(t invoke.Instant, waiting []*Invocation, size int) int {
	met, took := 0, invoke.Instant(f.predict(size))
	for range foresight {
		n, passed := 0, 0
		for _, inv := range waiting {
			if n == size {
				break
			}
			passed++
			if inv.meets(t + took) {
				n++
			}
		}
		if n == 0 {
			return met
		}
		met += n
		t += took
		waiting = waiting[passed:]
	}
	return met
}
