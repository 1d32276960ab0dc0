package invoke

import (
	"fmt"
	"strings"
	"time"
)

// NotAdmittedError says why a function was not deployed: every test that it
// failed, with the arithmetic.
type NotAdmittedError struct {
	Function  string
	Shortages []Shortage
}

// Shortage is one failed admission test.
type Shortage struct {
	// Resource is what is short: "spec" (a field makes no sense), "cores",
	// "long_workers", "memory", "deadline" or "burst".
	Resource string
	// Arithmetic is the calculation that failed, for a person to read.
	Arithmetic string
}

func (e *NotAdmittedError) Error() string {
	parts := make([]string, 0, len(e.Shortages))
	for _, s := range e.Shortages {
		parts = append(parts, s.Resource+": "+s.Arithmetic)
	}
	return "function " + e.Function + " not admitted: " + strings.Join(parts, "; ")
}

// admission tests whether all contracts hold together with candidate's.
func (p *Policy) admission(candidate *Function) []Shortage {
	all := p.functions
	if candidate != nil {
		all = append(all[:len(all):len(all)], candidate)
	}
	var found []Shortage
	for _, test := range []func([]*Function) *Shortage{p.testCores, p.testLongWorkers, p.testMemory} {
		if s := test(all); s != nil {
			found = append(found, *s)
		}
	}
	for _, f := range all {
		if f.spec.Contract.Rate == 0 {
			continue
		}
		if s := p.testDeadline(f, all); s != nil {
			found = append(found, *s)
		} else if s := p.testBurst(f, all); s != nil {
			found = append(found, *s)
		}
	}
	return found
}

// Overcommitted tests the contracts of all deployed functions anew, with the run
// times learned since. It is empty as long as they can be held.
func (p *Policy) Overcommitted() []Shortage { return p.admission(nil) }

func (f *Function) reservedCores() float64 {
	return f.spec.Contract.Rate * f.runTime().Seconds()
}

// reservedMemory reckons with as many runs at once as there are workers for them.
func (f *Function) reservedMemory() int64 {
	return f.spec.Contract.Memory * int64(f.policy.workersFor(f))
}

func (p *Policy) workersFor(f *Function) int {
	if f.long {
		return p.longWorkers()
	}
	return p.config.Workers
}

// sum is a sum with its terms written out.
type sum struct {
	total float64
	terms []string
}

func (s *sum) add(v float64, format string, args ...any) {
	s.total += v
	s.terms = append(s.terms, fmt.Sprintf(format, args...))
}

func (s *sum) String() string { return strings.Join(s.terms, " + ") }

func sumCores(functions []*Function, include func(*Function) bool) *sum {
	var s sum
	for _, f := range functions {
		if include(f) {
			s.add(f.reservedCores(), "%s %g/s x %v", f.spec.Name, f.spec.Contract.Rate, f.runTime())
		}
	}
	return &s
}

// testCores: the sum of Rate x RunTime must fit into the cores that may be
// reserved (the utilisation test of Liu and Layland, 1973, for EDF).
func (p *Policy) testCores(all []*Function) *Shortage {
	used := sumCores(all, func(f *Function) bool { return f.spec.Contract.Rate > 0 })
	used.addReserved(p.reservations)
	limit := float64(p.config.Cores) * p.config.Reservable
	if used.total <= limit {
		return nil
	}
	return &Shortage{"cores", fmt.Sprintf("%v = %.3g cores > %.3g (%d %s x %.2g reservable)",
		used, used.total, limit, p.config.Cores, p.coresName(), p.config.Reservable)}
}

// coresName tells cores as workers where there is one for each.
func (p *Policy) coresName() string {
	if p.config.Cores == p.config.Workers {
		return "workers"
	}
	return "cores"
}

// addReserved adds the cores that run elsewhere than on the workers.
func (s *sum) addReserved(reservations []*Reservation) {
	for _, r := range reservations {
		if cores := r.Cores(); cores > 0 {
			s.add(cores, "%s %.3g", r.reserve.Name, cores)
		}
	}
}

// left is how many of so many workers have a core to run on beside what is
// reserved elsewhere, and how that is reckoned, "" if all have.
func (p *Policy) left(workers int) (float64, string) {
	var used sum
	used.addReserved(p.reservations)
	free := max(float64(p.config.Cores)-used.total, 0)
	if free >= float64(workers) {
		return float64(workers), ""
	}
	return free, fmt.Sprintf(", of which %.3g have a core: %d - %v", free, p.config.Cores, &used)
}

func (p *Policy) testLongWorkers(all []*Function) *Shortage {
	used := sumCores(all, func(f *Function) bool { return f.long && f.spec.Contract.Rate > 0 })
	workers, left := p.left(p.longWorkers())
	limit := workers * p.config.Reservable
	if used.total <= limit {
		return nil
	}
	return &Shortage{"long_workers", fmt.Sprintf(
		"%v = %.3g cores > %.3g (%d of %d workers take runs longer than %v%s x %.2g reservable)",
		used, used.total, limit, p.longWorkers(), p.config.Workers, p.config.LongRun, left, p.config.Reservable)}
}

func (p *Policy) testMemory(all []*Function) *Shortage {
	if p.config.Memory == 0 {
		return nil
	}
	var used sum
	for _, f := range all {
		if f.spec.Contract.Memory > 0 {
			used.add(float64(f.reservedMemory()), "%s %d B x %d workers", f.spec.Name, f.spec.Contract.Memory, p.workersFor(f))
		}
	}
	for _, r := range p.reservations {
		if memory := r.memory(); memory > 0 {
			used.add(float64(memory), "%s %d B x %d", r.reserve.Name, r.reserve.Contract.Memory, r.reserve.Runs)
		}
	}
	if int64(used.total) <= p.config.Memory {
		return nil
	}
	return &Shortage{"memory", fmt.Sprintf("%v = %.0f B > budget %d B", &used, used.total, p.config.Memory)}
}

// blocking is how long f may find every worker that it could use, or its key, busy
// with less urgent work, which is not interrupted: a slice and the longest run. Where
// workers are reserved for short runs, a short function waits for short ones only,
// but for those in its own keys.
func (p *Policy) blocking(f *Function, all []*Function) (time.Duration, string) {
	var longest time.Duration
	var name string
	for _, g := range all {
		apart := g.long && !f.long && p.config.ShortWorkers > 0 && (f.spec.Keys == nil || f.spec.Keys != g.spec.Keys)
		if run := g.runTime(); !apart && run > longest {
			longest, name = run, g.spec.Name
		}
	}
	return p.config.Slice + longest, fmt.Sprintf("blocking %v (slice %v + longest run of %s %v)",
		p.config.Slice+longest, p.config.Slice, name, longest)
}

// testDeadline: a single invocation that finds the workers just taken must make it.
func (p *Policy) testDeadline(f *Function, all []*Function) *Shortage {
	blocking, why := p.blocking(f, all)
	c := &f.spec.Contract
	if f.runTime()+blocking <= c.Deadline {
		return nil
	}
	return &Shortage{"deadline", fmt.Sprintf("%s: run time %v + %s = %v > deadline %v",
		f.spec.Name, f.runTime(), why, f.runTime()+blocking, c.Deadline)}
}

// testBurst: when all guaranteed functions send their bursts at once, what is due
// by f's deadline must be done by then; and so must the long runs among it, on the
// workers that take long runs. The demand bound of sporadic tasks (Baruah, Mok and
// Rosier, 1990) with token buckets for arrivals, evaluated at f's deadline. It is
// exact enough for one worker; several are reckoned as one that is as much faster.
func (p *Policy) testBurst(f *Function, all []*Function) *Shortage {
	blocking, why := p.blocking(f, all)
	free := f.spec.Contract.Deadline - blocking
	demand := burstDemand(f, all, func(*Function) bool { return true })
	workers := p.config.Workers
	running, left := p.left(workers)
	if f.long && demand.total <= running*free.Seconds() {
		demand = burstDemand(f, all, func(g *Function) bool { return g.long })
		workers = p.longWorkers()
		running, left = p.left(workers)
	}
	supply := running * free.Seconds()
	if demand.total <= supply {
		return nil
	}
	return &Shortage{"burst", fmt.Sprintf(
		"%s: due within %v after all bursts: %v = %v of work > %v (%d workers%s x (deadline %v - %s))",
		f.spec.Name, f.spec.Contract.Deadline, demand, seconds(demand.total), seconds(supply),
		workers, left, f.spec.Contract.Deadline, why)}
}

// burstDemand is the work due by f's deadline if all bursts arrive together and
// everyone goes on at the guaranteed rate.
func burstDemand(f *Function, all []*Function, include func(*Function) bool) *sum {
	var demand sum
	deadline := f.spec.Contract.Deadline
	for _, g := range all {
		c := &g.spec.Contract
		if c.Rate == 0 || c.Deadline > deadline || !include(g) {
			continue
		}
		n := float64(c.Burst) + c.Rate*(deadline-c.Deadline).Seconds()
		demand.add(n*g.runTime().Seconds(), "%s %.4g x %v", g.spec.Name, n, g.runTime())
	}
	return &demand
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
