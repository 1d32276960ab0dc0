package invoke

import (
	"math"
	"time"
)

// Run is what a worker was given: invocations of one key, or unary ones, to be
// carried out in order. It may be used again after Finished.
type Run struct {
	// Key is the key that the run holds, nil for unary invocations.
	Key *Key
	// Items is what to do, in order.
	Items []Item
	// AfterRun is how long the key's AfterRun took; the shell fills it in.
	AfterRun time.Duration

	long       bool
	retryAfter time.Duration
}

// Item is one invocation of a run.
type Item struct {
	Invocation *Invocation
	// Refusal is why to call Refused instead of Run; nil to run.
	Refusal *Refusal
	// Started and Ended are filled in by the shell for what it ran.
	Started, Ended Instant

	// What is needed once the invocation is its caller's again.
	fn                  *Function
	submitted, deadline Instant
	expires             Instant
	guaranteed, tooLate bool
}

// Function returns the function that was invoked.
func (i *Item) Function() *Function { return i.fn }

func (r *Run) reset() {
	r.Key, r.Items, r.AfterRun, r.long, r.retryAfter = nil, r.Items[:0], 0, false, 0
}

func (r *Run) add(inv *Invocation, refusal *Refusal) {
	r.Items = append(r.Items, Item{
		Invocation: inv, Refusal: refusal, fn: inv.fn,
		submitted: inv.submitted, deadline: inv.Deadline, expires: inv.expires,
		guaranteed: inv.guaranteed, tooLate: inv.tooLate,
	})
}

// Recheck refuses item i if it expired, or its key was closed, since the run was
// taken. The shell calls it before each item, without the policy's lock.
func (r *Run) Recheck(now Instant, i int) {
	item := &r.Items[i]
	var reason Reason
	switch {
	case item.Refusal != nil:
		return
	case r.Key != nil && r.Key.closed.Load():
		reason = KeyClosed
	case now <= item.expires:
		return
	case item.tooLate:
		reason = TooLate
	default:
		reason = OverAge
	}
	item.Refusal = &Refusal{
		Reason: reason, Retryable: true, RetryAfter: r.retryAfter,
		Waited: now.Sub(item.submitted), function: item.fn.spec.Name,
	}
}

// Take fills run with what a free worker should do now, and says whether there is
// anything. With Config.LongWorkers it takes short runs only.
func (p *Policy) Take(now Instant, run *Run) bool {
	return p.take(now, run, true, p.config.LongWorkers == 0)
}

// TakeLong does the same for one of Config.LongWorkers.
func (p *Policy) TakeLong(now Instant, run *Run) bool { return p.take(now, run, false, true) }

func (p *Policy) take(now Instant, run *Run, short, long bool) bool {
	now = p.advance(now)
	run.reset()
	heap := p.ready.first(short, long && p.longRunning < p.longWorkers())
	if heap == nil {
		return false
	}
	first := (*heap)[0].place
	run.long = first.band.long()
	if first.key != nil {
		p.takeKey(now, run, first.key)
	} else {
		p.takeUnary(now, run, heap)
	}
	if run.long {
		p.longRunning++
	}
	if len(run.Items) > 1 {
		run.retryAfter = p.retryAfter()
	}
	return true
}

// takeKey takes what fits into one run from the head of the key. What needs a
// worker for long runs is not mixed with what does not, and what exceeds its
// guarantee does not ride along while guaranteed work waits elsewhere.
func (p *Policy) takeKey(now Instant, run *Run, key *Key) {
	privileged := key.place.band.privileged()
	p.ready.remove(&key.place)
	key.running, run.Key = true, key
	budget := runBudget{count: key.keys.options.MaxRun, time: p.config.Slice}
	for key.head != nil && len(run.Items) < maxItems {
		inv := key.head
		reason := p.refused(now, inv)
		if reason == 0 && len(run.Items) > 0 {
			if inv.fn.long != run.long || privileged && !inv.privileged && p.ready.privileged() {
				return
			}
		}
		if reason == 0 && !budget.allows(inv.fn) {
			return
		}
		p.takeItem(now, run, key.pop(), reason)
	}
}

// takeUnary takes this worker's part of the unary invocations that wait in the
// heap, in its order.
func (p *Policy) takeUnary(now Instant, run *Run, heap *readyHeap) {
	part := (len(*heap) + p.config.Workers - 1) / p.config.Workers
	budget := runBudget{count: min(part, 64), time: p.config.Slice}
	for len(*heap) > 0 && len(run.Items) < maxItems {
		first := (*heap)[0].place
		if first.key != nil {
			return
		}
		inv := first.inv
		reason := p.refused(now, inv)
		if reason == 0 && !budget.allows(inv.fn) {
			return
		}
		heap.remove(first)
		p.takeItem(now, run, inv, reason)
	}
}

func (p *Policy) takeItem(now Instant, run *Run, inv *Invocation, reason Reason) {
	p.count(inv, -1)
	inv.fn.running++
	var refusal *Refusal
	if reason != 0 {
		refusal = p.refusal(inv.fn, reason, now.Sub(inv.submitted))
	}
	run.add(inv, refusal)
}

// runBudget bounds a run in count and expected time. It always allows one.
type runBudget struct {
	count int
	time  time.Duration
	taken int
	alone bool // what was allowed stays alone
}

func (b *runBudget) allows(f *Function) bool {
	expected := f.expected()
	if b.taken > 0 && (b.alone || f.spec.Alone || b.taken >= b.count || b.time < expected) {
		return false
	}
	b.alone = f.spec.Alone
	b.taken++
	b.time -= expected
	return true
}

// Expire fills run with invocations that are to be refused now, for a caller
// that is no worker: it lets what waits be answered in time while every worker is
// busy. Of a key, only what stands at its head is taken, so that its order holds.
func (p *Policy) Expire(now Instant, run *Run) bool {
	now = p.advance(now)
	run.reset()
	if now <= p.nextExpiry {
		return false
	}
	next := Instant(math.MaxInt64)
	for b := range p.ready {
		heap := &p.ready[b]
		for i := 0; i < len(*heap) && len(run.Items) < maxItems; {
			inv := (*heap)[i].place.inv
			if key := (*heap)[i].place.key; key != nil {
				inv = key.head
			}
			if p.refused(now, inv) == 0 {
				next = min(next, inv.expires)
				i++
				continue
			}
			if inv.Key == nil {
				heap.remove(&inv.place)
				p.takeItem(now, run, inv, p.refused(now, inv))
			} else if len(run.Items) == 0 {
				p.expireKey(now, run, inv.Key)
				return true
			} else {
				return true // the key's turn comes with the next call
			}
		}
	}
	if len(run.Items) > 0 {
		return true
	}
	p.nextExpiry = next
	return false
}

func (p *Policy) expireKey(now Instant, run *Run, key *Key) {
	p.ready.remove(&key.place)
	key.running, run.Key = true, key
	for key.head != nil && len(run.Items) < maxItems {
		reason := p.refused(now, key.head)
		if reason == 0 {
			return
		}
		p.takeItem(now, run, key.pop(), reason)
	}
}

// Finished takes a run back after its first done items were carried out; the rest
// waits again, in its old order.
func (p *Policy) Finished(now Instant, run *Run, done int) {
	p.advance(now)
	for i := len(run.Items) - 1; i >= done; i-- {
		p.putBack(run.Items[i].Invocation)
	}
	for i := range run.Items[:done] {
		p.account(&run.Items[i])
	}
	if run.long {
		p.longRunning--
	}
	if key := run.Key; key != nil {
		key.running = false
		key.keys.tally.runs++
		key.keys.tally.afterRun += run.AfterRun
		p.offer(key)
	}
	clear(run.Items) // what they pointed to may be reused or collected
	run.reset()
}

func (p *Policy) putBack(inv *Invocation) {
	inv.fn.running--
	p.count(inv, 1)
	p.nextExpiry = min(p.nextExpiry, inv.expires)
	if inv.Key != nil {
		inv.Key.putBack(inv)
		return
	}
	p.ready.push(&inv.place, bandOf(inv.privileged, inv.fn.long))
}
