package invoke

import (
	"math"
	"math/rand/v2"
	"time"
)

// maxItems bounds a run, refusals included.
const maxItems = 256

// Policy decides what runs next and what is refused. It is a state machine
// without a clock, goroutines or locks: a shell (Scheduler, a test, a planner)
// tells it what happens and when, and asks it what to do.
//
//	Submit    an invocation arrived      -> taken, or a Refusal
//	Take      a worker is free           -> a Run for it
//	Finished  the worker is done         -> (ask again)
//	Expire    time passed, none is free  -> a Run of refusals only
//
// A Run must be carried out in order, each invocation by Run or Refused, and then
// handed to Finished; until then its key runs nowhere else. Instants handed in
// should not decrease; one that does counts as the latest.
type Policy struct {
	config       Config
	random       *rand.Rand
	now          Instant
	functions    []*Function
	reservations []*Reservation // of functions that run elsewhere
	keys         []*Keys
	learned      map[string]time.Duration // p99 by name, of functions undeployed
	retired      [classes]ClassAccount

	ready       readySet
	seq         uint64
	waiting     int
	longRunning int
	nextExpiry  Instant // nothing that waits expires before
	aborted     bool
}

// NewPolicy makes a policy at instant now. Config's Clock is not used.
func NewPolicy(config Config, now Instant) *Policy {
	config = config.withDefaults()
	p := &Policy{
		config:     config,
		random:     rand.New(config.Random),
		now:        now,
		learned:    map[string]time.Duration{},
		nextExpiry: math.MaxInt64,
	}
	return p
}

// Keys makes a set of keys for keyed functions to share.
func (p *Policy) Keys(name string, options KeyOptions) *Keys {
	if options.MaxRun == 0 {
		options.MaxRun = 64
	}
	options.MaxRun = min(max(options.MaxRun, 1), maxItems)
	keys := &Keys{name: name, options: options, policy: p}
	p.keys = append(p.keys, keys)
	return keys
}

// Workers returns how many invocations may run at once.
func (p *Policy) Workers() int { return p.config.Workers }

func (p *Policy) advance(now Instant) Instant {
	p.now = max(p.now, now)
	return p.now
}

// Waiting returns how many invocations wait, those of running keys included.
func (p *Policy) Waiting() int { return p.waiting }

// Ready returns how many unary invocations and keys wait for a worker.
func (p *Policy) Ready() int {
	n := 0
	for _, heap := range p.ready {
		n += len(heap)
	}
	return n
}

// Runnable returns how many workers could find something to do by Take.
func (p *Policy) Runnable() int {
	if p.config.LongWorkers > 0 {
		return p.shortReady()
	}
	return p.shortReady() + p.RunnableLong()
}

func (p *Policy) shortReady() int { return len(p.ready[shortGuaranteed]) + len(p.ready[shortRest]) }

// RunnableLong returns how many long runs could begin.
func (p *Policy) RunnableLong() int {
	long := len(p.ready[longGuaranteed]) + len(p.ready[longRest])
	return min(long, p.longWorkers()-p.longRunning)
}

func (p *Policy) longWorkers() int {
	if p.config.LongWorkers > 0 {
		return p.config.LongWorkers
	}
	return p.config.Workers - p.config.ShortWorkers
}

// Submit takes an invocation of f, or says why not. It fills in Arrived and
// Deadline where they are 0.
func (p *Policy) Submit(now Instant, f *Function, inv *Invocation) *Refusal {
	now = p.advance(now)
	if inv.Arrived == 0 {
		inv.Arrived = now
	}
	if inv.Deadline == 0 && f.spec.Contract.Deadline > 0 {
		inv.Deadline = inv.Arrived.Add(f.spec.Contract.Deadline)
	}
	f.tally.submitted++
	guaranteed, reason := p.admit(now, f, inv)
	if reason != 0 {
		f.tally.refusals[reason]++
		return p.refusal(f, reason, 0)
	}
	if guaranteed {
		f.bucket.Take()
		f.tally.guaranteed++
	}
	p.seq++
	inv.fn, inv.submitted, inv.guaranteed = f, now, guaranteed
	inv.privileged = guaranteed && p.privilege(inv.Key)
	inv.expires, inv.tooLate = now.Add(f.spec.Queue.Age), false
	if latest := f.latestStart(inv); latest < inv.expires {
		inv.expires, inv.tooLate = latest, true
	}
	inv.place.due, inv.place.seq, inv.place.inv = inv.Deadline, p.seq, inv
	if inv.Deadline == 0 {
		inv.place.due = now.Add(f.spec.Queue.Age)
	}
	p.enqueue(inv)
	return nil
}

// admit checks one arrival against everything that can refuse it.
func (p *Policy) admit(now Instant, f *Function, inv *Invocation) (guaranteed bool, reason Reason) {
	key := inv.Key
	switch {
	case p.aborted:
		return false, SchedulerClosed
	case f.undeployed:
		return false, FunctionClosed
	case key == nil && f.spec.Keys != nil, key != nil && key.keys != f.spec.Keys:
		return false, Invalid
	case key != nil && key.closed.Load():
		return false, KeyClosed
	case now > f.latestStart(inv):
		return false, TooLate
	}
	guaranteed = f.bucket.Conforms(now)
	free := f.spec.Queue.Count - f.waiting
	if !guaranteed {
		free -= f.reserve
	}
	switch {
	case free <= 0, !guaranteed && key != nil && p.excessive(f, key):
		return guaranteed, QueueFull
	case inv.Sender != 0 && f.senders.Held(inv.Sender) >= free:
		// Dynamic threshold (Choudhury and Hahne, 1998): a sender may hold as many
		// as there are places free, so n greedy senders hold 1/(n+1) of the queue
		// each and the next sender still finds room.
		return guaranteed, SenderOverShare
	}
	return guaranteed, 0
}

// privilege says whether guaranteed work goes before what exceeds guarantees. A key
// cannot overtake itself: what stands behind excess in it is held up by that, and
// would later come, with an old deadline and out of turn, at the cost of other
// keys and functions. So it shares the fate of what it stands behind, and a flood
// in a key costs nobody outside of it.
func (p *Policy) privilege(key *Key) bool { return key == nil || key.unprivileged == 0 }

// excessive says whether more work beyond the guarantee would keep work within it
// waiting too long in the same keys, which it cannot overtake.
func (p *Policy) excessive(f *Function, key *Key) bool {
	n := f.excessBound()
	return n > 0 && (key.excess >= n || f.excess >= n*p.config.Workers)
}

// excessBound is how much may exceed f's guarantee in a key, 0 for no bound: a
// quarter of the shortest deadline that is promised to any function of the same
// keys. Fast functions may send a few together in any case, as long as that takes
// no more than half of it, and one may always wait. It reckons with the median: a
// run that was interrupted for long says nothing of the next ones.
func (f *Function) excessBound() int {
	tightest := f.spec.Keys.tightest
	if tightest == 0 {
		return 0
	}
	if f.spec.Queue.Excess > 0 {
		return f.spec.Queue.Excess
	}
	run := f.estimate.median
	if f.estimate.seen < 4 {
		run = f.runTime()
	}
	fit := int(tightest / 4 / max(run, 1))
	return max(fit, min(2*fit, fewExcess), 1)
}

// fewExcess is how much counts as a few.
const fewExcess = 64

func (p *Policy) enqueue(inv *Invocation) {
	p.count(inv, 1)
	p.nextExpiry = min(p.nextExpiry, inv.expires)
	if key := inv.Key; key != nil {
		key.push(inv)
		p.offer(key)
		return
	}
	p.ready.push(&inv.place, bandOf(inv.privileged, inv.fn.long))
}

// count adds n to every count of what waits that inv is part of.
func (p *Policy) count(inv *Invocation, n int) {
	f := inv.fn
	p.waiting += n
	f.waiting += n
	f.senders.Add(inv.Sender, int32(n))
	if inv.Key != nil && !inv.privileged {
		inv.Key.unprivileged += n
	}
	if inv.Key != nil && !inv.guaranteed {
		f.excess += n
		inv.Key.excess += n
	}
}

// offer puts the key where it belongs among what is ready.
func (p *Policy) offer(key *Key) {
	if key.running || key.head == nil {
		return
	}
	b, due, seq := key.rank()
	p.ready.update(&key.place, b, due, seq)
}

// reclassified moves what waits for f to the heaps where it belongs since f's runs
// count as long, or no longer do.
func (p *Policy) reclassified(f *Function) {
	var moved []*place
	for b := range p.ready {
		for _, slot := range p.ready[b] {
			if key := slot.place.key; key != nil && key.head.fn == f || key == nil && slot.place.inv.fn == f {
				moved = append(moved, slot.place)
			}
		}
	}
	for _, place := range moved {
		if place.key != nil {
			p.offer(place.key)
		} else {
			p.ready.update(place, bandOf(place.inv.privileged, f.long), place.due, place.seq)
		}
	}
}

// CloseKey closes the key, as Key.Close does.
func (p *Policy) CloseKey(key *Key) {
	if key.closed.Swap(true) {
		return
	}
	key.keys.tally.closed++
	if key.head != nil {
		p.nextExpiry = math.MinInt64
	}
}

// Abort refuses everything that waits, and what is submitted from now on, with
// SchedulerClosed. The refusals come out of Take and Expire.
func (p *Policy) Abort() {
	p.aborted = true
	p.nextExpiry = math.MinInt64
}

// refused says why inv must not run now, 0 if it may.
func (p *Policy) refused(now Instant, inv *Invocation) Reason {
	switch {
	case p.aborted:
		return SchedulerClosed
	case inv.fn.undeployed:
		return FunctionClosed
	case inv.Key != nil && inv.Key.closed.Load():
		return KeyClosed
	case now <= inv.expires:
		return 0
	case inv.tooLate:
		return TooLate
	}
	return OverAge
}

func (p *Policy) refusal(f *Function, reason Reason, waited time.Duration) *Refusal {
	return NewRefusal(f.spec.Name, reason, waited, p.retryAfter())
}

// retryAfter estimates when what waits now will have been worked off, with a
// quarter of jitter so that those refused together do not return together.
func (p *Policy) retryAfter() time.Duration {
	var work time.Duration
	for _, f := range p.functions {
		work += time.Duration(f.waiting) * f.expected()
	}
	wait := min(max(work/time.Duration(p.config.Workers), minRetryAfter), maxRetryAfter)
	return time.Duration(float64(wait) * (0.75 + p.random.Float64()/2))
}

const (
	minRetryAfter = 5 * time.Millisecond
	maxRetryAfter = 2 * time.Second
)

// refuseClosed books an arrival at a closed scheduler.
func (p *Policy) refuseClosed(f *Function) *Refusal {
	f.tally.submitted++
	f.tally.refusals[SchedulerClosed]++
	return p.refusal(f, SchedulerClosed, 0)
}
