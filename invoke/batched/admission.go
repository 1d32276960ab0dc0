package batched

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Deploy admits a function if its contract and all others of the device can be held
// together. The error is an *invoke.NotAdmittedError.
func (p *Policy) Deploy(now invoke.Instant, spec Spec) (*Function, error) {
	now = p.advance(now)
	shortages := spec.check()
	for _, f := range p.functions {
		if f.spec.Name == spec.Name {
			shortages = append(shortages, invoke.Shortage{Resource: "spec", Arithmetic: "Name is taken by a deployed function"})
		}
	}
	if shortages != nil {
		return nil, &invoke.NotAdmittedError{Function: spec.Name, Shortages: shortages}
	}
	spec.setDefaults()
	f := &Function{spec: spec, policy: p, deployedAt: now}
	c := &f.spec.Contract
	f.tally.refusals = map[invoke.Reason]uint64{}
	f.bucket = invoke.NewTokenBucket(c.Rate, c.Burst, now)
	f.reserve = c.Places()
	f.senders = invoke.NewSenderCounts(p.random.Uint64(), p.random.Uint64())
	if f.times = p.learned[spec.Name]; f.times == nil || len(f.times.center) != spec.Largest+1 {
		f.times = newRunTimes(spec.Model, spec.firstRunTime(), spec.Largest, p.config.Percentile)
	}
	before := p.functions
	p.functions = append(before[:len(before):len(before)], f)
	if shortages := p.Overcommitted(); shortages != nil {
		p.functions = before
		return nil, &invoke.NotAdmittedError{Function: spec.Name, Shortages: shortages}
	}
	return f, nil
}

// Undeploy ends f's contract, and returns in batch what is to be refused.
func (p *Policy) Undeploy(now invoke.Instant, f *Function, batch *Batch) {
	now = p.advance(now)
	batch.reset()
	if f.undeployed {
		return
	}
	f.undeployed = true
	p.expireFunction(now, f, batch)
	p.learned[f.spec.Name] = f.times
	for i := range p.functions {
		if p.functions[i] == f {
			p.functions = append(p.functions[:i:i], p.functions[i+1:]...)
			break
		}
	}
}

// Overcommitted tests all contracts with what was learned of run times. It is empty
// as long as they can be held.
func (p *Policy) Overcommitted() []invoke.Shortage {
	var found []invoke.Shortage
	if s := p.testDevice(); s != nil {
		found = append(found, *s)
	}
	for _, f := range p.functions {
		if s := p.testDeadline(f); s != nil {
			found = append(found, *s)
		}
	}
	if found != nil { // a batch of one is too long: bursts say nothing more
		return found
	}
	for _, f := range p.functions {
		if s := p.testBurst(f); s != nil {
			found = append(found, *s)
		}
	}
	return found
}

// utilisation is the share of the device's time that f's guarantee takes.
func (f *Function) utilisation() float64 {
	n := f.limit()
	return f.spec.Contract.Rate / float64(n) * f.predict(n).Seconds()
}

func (p *Policy) testDevice() *invoke.Shortage {
	total := 0.0
	var terms []string
	for _, f := range p.functions {
		if f.spec.Contract.Rate > 0 {
			n := f.limit()
			total += f.utilisation()
			terms = append(terms, fmt.Sprintf("%s %g/s / %d x %v", f.spec.Name, f.spec.Contract.Rate, n, f.predict(n)))
		}
	}
	if total <= p.config.Reservable {
		return nil
	}
	return &invoke.Shortage{Resource: p.config.Name, Arithmetic: fmt.Sprintf(
		"%s = %.3g of its time > %.2g reservable", strings.Join(terms, " + "), total, p.config.Reservable)}
}

// testDeadline: a batch of one must fit into half of the tightest deadline, for one
// may be under way when the next comes.
func (p *Policy) testDeadline(f *Function) *invoke.Shortage {
	tightest := p.tightest()
	if tightest == 0 || f.predict(1) <= tightest/2 {
		return nil
	}
	return &invoke.Shortage{Resource: "deadline", Arithmetic: fmt.Sprintf(
		"%s: a batch of one takes %v > %v, half of the tightest deadline promised on %s",
		f.spec.Name, f.predict(1), tightest/2, p.config.Name)}
}

// testBurst: when all guaranteed functions send their bursts just behind a launch,
// what is due by f's deadline must be done by then.
func (p *Policy) testBurst(f *Function) *invoke.Shortage {
	c := &f.spec.Contract
	if c.Rate == 0 {
		return nil
	}
	var blocking, work time.Duration
	var terms []string
	for _, g := range p.functions {
		d := &g.spec.Contract
		blocking = max(blocking, g.predict(g.limit()))
		if d.Rate == 0 || d.Deadline > c.Deadline {
			continue
		}
		count := int(math.Ceil(float64(d.Burst) + d.Rate*(c.Deadline-d.Deadline).Seconds()))
		n, took := g.limit(), g.inBatches(count)
		work += took
		terms = append(terms, fmt.Sprintf("%s %d in batches of %d: %v", g.spec.Name, count, n, took))
	}
	if work <= c.Deadline-blocking {
		return nil
	}
	return &invoke.Shortage{Resource: "burst", Arithmetic: fmt.Sprintf(
		"%s: due within %v after all bursts: %s = %v of work > %v (deadline %v - the longest batch %v)",
		f.spec.Name, c.Deadline, strings.Join(terms, " + "), work, c.Deadline-blocking, c.Deadline, blocking)}
}

// inBatches is the time that so many items take in the largest batches.
func (f *Function) inBatches(count int) time.Duration {
	n := f.limit()
	took := time.Duration(count/n) * f.predict(n)
	if count%n > 0 {
		took += f.predict(count % n)
	}
	return took
}
