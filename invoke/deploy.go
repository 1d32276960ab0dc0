package invoke

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	defaultQueueCount = 4096
	defaultQueueAge   = time.Second
)

// Deploy admits a function if its contract and all others can be held together.
// The error is a *NotAdmittedError.
func (p *Policy) Deploy(now Instant, spec Spec) (*Function, error) {
	now = p.advance(now)
	if shortages := p.checkSpec(&spec); shortages != nil {
		return nil, &NotAdmittedError{spec.Name, shortages}
	}
	spec.setDefaults()
	f := &Function{spec: spec, policy: p, deployedAt: now}
	c := &f.spec.Contract
	f.bucket = NewTokenBucket(c.Rate, c.Burst, now)
	f.reserve = c.Places()
	f.senders = NewSenderCounts(p.random.Uint64(), p.random.Uint64())
	f.estimate.p99 = p.learned[spec.Name]
	f.classify()
	if shortages := p.admission(f); shortages != nil {
		return nil, &NotAdmittedError{spec.Name, shortages}
	}
	p.functions = append(p.functions, f)
	if spec.Keys != nil {
		spec.Keys.promise(p.functions)
	}
	return f, nil
}

// checkSpec finds what is wrong with the spec itself.
func (p *Policy) checkSpec(spec *Spec) []Shortage {
	c := &spec.Contract
	found := append(p.checkName(spec.Name), c.Check()...)
	require := func(ok bool, format string, args ...any) {
		if !ok {
			found = append(found, Shortage{"spec", fmt.Sprintf(format, args...)})
		}
	}
	require(spec.As < shapes && spec.As != Keyed, "As %v is not a shape to tell", spec.As)
	require(spec.Keys == nil || spec.Keys.policy == p, "Keys belong to another scheduler")
	require(spec.Queue.Count >= 0 && spec.Queue.Excess >= 0 && spec.Queue.Age >= 0, "Queue bounds are negative")
	require(spec.Queue.Count == 0 || spec.Queue.Count >= c.Burst, "Queue.Count %d is less than Burst %d", spec.Queue.Count, c.Burst)
	return found
}

func (p *Policy) checkName(name string) []Shortage {
	if name == "" {
		return []Shortage{{"spec", "Name is empty"}}
	}
	taken := slices.ContainsFunc(p.functions, func(f *Function) bool { return f.spec.Name == name }) ||
		slices.ContainsFunc(p.reservations, func(r *Reservation) bool { return r.reserve.Name == name })
	if taken {
		return []Shortage{{"spec", "Name is taken by a deployed function"}}
	}
	return nil
}

func (spec *Spec) setDefaults() {
	c := &spec.Contract
	asked := c.Burst
	*c = c.WithDefaults()
	if asked == 0 && spec.Queue.Count > 0 {
		c.Burst = min(c.Burst, spec.Queue.Count)
	}
	if spec.Queue.Count == 0 {
		spec.Queue.Count = max(defaultQueueCount, 4*c.Places())
	}
	if spec.Queue.Age == 0 {
		spec.Queue.Age = defaultQueueAge
	}
}

// Undeploy ends f's contract and frees what was reserved for it. What waits is
// refused with FunctionClosed.
func (p *Policy) Undeploy(now Instant, f *Function) {
	if f.undeployed {
		return
	}
	account := f.account(p.advance(now))
	p.retired[account.Class].addAccount(&account)
	f.undeployed = true
	p.nextExpiry = math.MinInt64
	if f.estimate.p99 > 0 {
		p.learned[f.spec.Name] = f.estimate.p99
	}
	for i := range p.functions {
		if p.functions[i] == f {
			p.functions = append(p.functions[:i], p.functions[i+1:]...)
			break
		}
	}
	if f.spec.Keys != nil {
		f.spec.Keys.promise(p.functions)
	}
}

func (p *Policy) learnedRunTime(name string) time.Duration {
	if d := p.learned[name]; d > 0 {
		return d
	}
	return assumedRunTime
}
