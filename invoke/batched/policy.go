package batched

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Policy decides which batch a device runs next, when, and what is refused. It is a
// state machine without a clock, goroutines or locks:
//
//	Submit    an invocation arrived     -> taken, or a Refusal
//	Next      the device is free        -> a Batch for it, or when to ask again
//	Finished  the batch ended           -> (ask again)
//	Expire    time passed, it is busy   -> a Batch of refusals only
//
// What is in Batch.Refused must be told so by whoever asked, whether a batch was
// launched or not. Instants handed in should not decrease; one that does counts as the latest.
type Policy struct {
	config     Config
	random     *rand.Rand
	now        invoke.Instant
	functions  []*Function
	learned    map[string]*runTimes // by name, of functions undeployed
	seq        uint64
	running    *Batch
	nextExpiry invoke.Instant // nothing that waits expires before
	draining   bool
	aborted    bool
}

// Batch is what a device was given. It may be used again after Finished.
type Batch struct {
	// Function is whose it is, nil if there are only refusals.
	Function *Function
	// Items run together.
	Items []Item
	// Refused are to be refused, each with its Refusal.
	Refused []Item
	// Started and Predicted are when it was launched and when its end is reckoned with.
	Started, Predicted invoke.Instant
	// Sacrificed says that it was not cut for an item that will be late for that.
	Sacrificed bool
	// Failed is filled in by the shell if the run failed.
	Failed bool
}

// Item is one invocation of a batch.
type Item struct {
	Invocation *Invocation
	Refusal    *invoke.Refusal // nil to run

	// What is needed once the invocation is its caller's again.
	fn                  *Function
	submitted, deadline invoke.Instant
	guaranteed          bool
}

// Function returns the function that was invoked.
func (i *Item) Function() *Function { return i.fn }

func (b *Batch) reset() {
	clear(b.Items)
	clear(b.Refused)
	*b = Batch{Items: b.Items[:0], Refused: b.Refused[:0]}
}

// NewPolicy makes a policy at instant now. Config's Clock and Scheduler are not used.
func NewPolicy(config Config, now invoke.Instant) *Policy {
	config = config.withDefaults()
	return &Policy{
		config: config, random: rand.New(config.Random), now: now,
		learned: map[string]*runTimes{}, nextExpiry: math.MaxInt64,
	}
}

func (p *Policy) advance(now invoke.Instant) invoke.Instant {
	p.now = max(p.now, now)
	return p.now
}

// Waiting returns how many invocations wait.
func (p *Policy) Waiting() int {
	n := 0
	for _, f := range p.functions {
		n += f.waiting()
	}
	return n
}

// tightest is the shortest deadline promised on the device, 0 if none is.
func (p *Policy) tightest() time.Duration {
	var tightest time.Duration
	for _, f := range p.functions {
		if c := &f.spec.Contract; c.Rate > 0 && (tightest == 0 || c.Deadline < tightest) {
			tightest = c.Deadline
		}
	}
	return tightest
}

// Submit takes an invocation of f, or says why not. It fills in Arrived and Deadline
// where they are 0. Pressing says that a device which waits must be asked for what
// is next before the time that Next gave.
func (p *Policy) Submit(now invoke.Instant, f *Function, inv *Invocation) (pressing bool, refusal *invoke.Refusal) {
	now = p.advance(now)
	if inv.Arrived == 0 {
		inv.Arrived = now
	}
	if inv.Deadline == 0 && f.spec.Contract.Deadline > 0 {
		inv.Deadline = inv.Arrived.Add(f.spec.Contract.Deadline)
	}
	f.tally.submitted++
	p.seq++
	inv.submitted, inv.expires, inv.tooLate, inv.seq = now, now.Add(f.spec.Queue.Age), false, p.seq
	if inv.due = inv.Deadline; inv.due == 0 {
		inv.due = inv.expires
	}
	guaranteed, reason := p.admit(now, f, inv)
	if reason != 0 {
		return false, p.refuse(f, reason, 0)
	}
	inv.guaranteed = guaranteed
	if guaranteed {
		f.bucket.Take()
		f.tally.guaranteed++
	}
	if latest := f.latestStart(inv); latest < inv.expires {
		inv.expires, inv.tooLate = latest, true
	}
	p.nextExpiry = min(p.nextExpiry, inv.expires)
	f.arrivals.record(now)
	f.senders.Add(inv.Sender, 1)
	f.queueOf(inv).push(inv)
	return f.planned.presses(f, inv), nil
}

// admit checks one arrival against everything that can refuse it.
func (p *Policy) admit(now invoke.Instant, f *Function, inv *Invocation) (guaranteed bool, reason invoke.Reason) {
	switch {
	case p.aborted:
		return false, invoke.SchedulerClosed
	case f.undeployed:
		return false, invoke.FunctionClosed
	case inv.Key != nil:
		return false, invoke.Invalid
	}
	guaranteed = f.bucket.Conforms(now)
	free := f.spec.Queue.Count - f.waiting()
	if !guaranteed {
		free -= f.reserve
	}
	switch {
	case p.hopeless(now, f, inv, guaranteed):
		return guaranteed, invoke.TooLate
	case free <= 0:
		return guaranteed, invoke.QueueFull
	case inv.Sender != 0 && f.senders.Held(inv.Sender) >= free: // as in package invoke
		return guaranteed, invoke.SenderOverShare
	}
	return guaranteed, 0
}

// hopeless says whether a hard invocation cannot be in time: the device is busy until
// too late; or, beyond the guarantee, so much goes before it.
func (p *Policy) hopeless(now invoke.Instant, f *Function, inv *Invocation, guaranteed bool) bool {
	latest := f.latestStart(inv)
	if latest == math.MaxInt64 {
		return false
	}
	start := now
	if b := p.running; b != nil {
		start = max(start, b.Started.Add(b.Function.times.usual(len(b.Items))))
	}
	if !guaranteed {
		before, limit := f.guaranteed.len()+f.rest.dueBefore(inv, f.rest.len()), f.limit()
		start = start.Add(time.Duration(before/limit) * f.times.usual(limit))
	}
	return start > latest
}

// refuse books a refusal.
func (p *Policy) refuse(f *Function, reason invoke.Reason, waited time.Duration) *invoke.Refusal {
	f.tally.refusals[reason]++
	return invoke.NewRefusal(f.spec.Name, reason, waited, p.jitter(p.backlog()))
}

const (
	minRetryAfter = 5 * time.Millisecond
	maxRetryAfter = 2 * time.Second
)

// backlog estimates when what waits will have been worked off.
func (p *Policy) backlog() time.Duration {
	var work time.Duration
	for _, f := range p.functions {
		limit := f.limit()
		work += time.Duration((f.waiting()+limit-1)/limit) * f.times.usual(limit)
	}
	return min(max(work, minRetryAfter), maxRetryAfter)
}

func (p *Policy) jitter(wait time.Duration) time.Duration {
	return time.Duration(float64(wait) * (0.75 + p.random.Float64()/2))
}

// expired says why inv must not run now, 0 if it may.
func (p *Policy) expired(now invoke.Instant, f *Function, inv *Invocation) invoke.Reason {
	switch {
	case p.aborted:
		return invoke.SchedulerClosed
	case f.undeployed:
		return invoke.FunctionClosed
	case now <= inv.expires:
		return 0
	case inv.tooLate:
		return invoke.TooLate
	}
	return invoke.OverAge
}

// Expire fills batch with what is to be refused now, for a caller that does not run
// batches: so what waits is answered in time while the device is busy, or hangs.
func (p *Policy) Expire(now invoke.Instant, batch *Batch) bool {
	batch.reset()
	p.expire(p.advance(now), batch)
	return len(batch.Refused) > 0
}

func (p *Policy) expire(now invoke.Instant, batch *Batch) {
	if now <= p.nextExpiry {
		return
	}
	p.nextExpiry = math.MaxInt64
	for _, f := range p.functions {
		p.expireFunction(now, f, batch)
	}
}

func (p *Policy) expireFunction(now invoke.Instant, f *Function, batch *Batch) {
	backlog := p.backlog()
	for _, q := range []*queue{&f.guaranteed, &f.rest} {
		last := 0
		for i, inv := range q.all() {
			if p.expired(now, f, inv) != 0 {
				last = i + 1
			} else {
				p.nextExpiry = min(p.nextExpiry, inv.expires)
			}
		}
		q.take(last, func(inv *Invocation) bool { return p.expired(now, f, inv) != 0 }, func(inv *Invocation) {
			f.senders.Add(inv.Sender, -1)
			item := f.item(inv)
			reason := p.expired(now, f, inv)
			f.tally.refusals[reason]++
			item.Refusal = invoke.NewRefusal(f.spec.Name, reason, now.Sub(inv.submitted), p.jitter(backlog))
			if inv.guaranteed && (reason == invoke.TooLate || reason == invoke.OverAge) {
				f.tally.guaranteedMisses++
			}
			batch.Refused = append(batch.Refused, item)
		})
	}
}

func (f *Function) item(inv *Invocation) Item {
	return Item{Invocation: inv, fn: f, submitted: inv.submitted, deadline: inv.Deadline, guaranteed: inv.guaranteed}
}

// NextExpiry is when Expire may have something to refuse, the largest instant if
// nothing waits.
func (p *Policy) NextExpiry() invoke.Instant { return p.nextExpiry }

// Drain makes Next wait for company no longer.
func (p *Policy) Drain() { p.draining = true }

// Abort refuses everything that waits, and what is submitted from now on, with
// SchedulerClosed. The refusals come out of Next and Expire.
func (p *Policy) Abort() {
	p.aborted = true
	p.nextExpiry = math.MinInt64
}
