package batched

import (
	"time"

	"github.com/starling-vr/starling/invoke"
)

type tally struct {
	submitted, guaranteed    uint64
	refusals                 map[invoke.Reason]uint64
	misses, guaranteedMisses uint64
	failures                 uint64
	queueTime, runTime       invoke.Histogram // of items
	batches, sacrificed      uint64
	busy                     time.Duration
}

// Finished takes a batch back that ended.
func (p *Policy) Finished(now invoke.Instant, batch *Batch) {
	now = p.advance(now)
	f := batch.Function
	n, ran := len(batch.Items), now.Sub(batch.Started)
	for i := range batch.Items {
		f.tally.account(&batch.Items[i], batch.Started, now)
	}
	t := &f.tally
	t.batches++
	t.busy += ran
	if batch.Sacrificed {
		t.sacrificed++
	}
	if batch.Failed {
		t.failures += uint64(n)
	} else {
		f.times.record(n, ran)
	}
	if c := &f.spec.Contract; c.RunTime > 0 {
		f.chargeOverrun(batch, ran)
	}
	f.running = 0
	p.running = nil
	batch.reset()
}

// account books one item that ran.
func (t *tally) account(item *Item, started, ended invoke.Instant) {
	t.queueTime.Record(started.Sub(item.submitted))
	t.runTime.Record(ended.Sub(started))
	if item.deadline != 0 && ended > item.deadline {
		t.misses++
		if item.guaranteed {
			t.guaranteedMisses++
		}
	}
}

// chargeOverrun lets a function whose guaranteed items take more of the device than
// those of a batch of one, as it declared, pay with its guarantee.
func (f *Function) chargeOverrun(batch *Batch, ran time.Duration) {
	guaranteed := 0
	for i := range batch.Items {
		if batch.Items[i].guaranteed {
			guaranteed++
		}
	}
	declared := f.spec.Contract.RunTime * time.Duration(len(batch.Items))
	if over := ran - declared; over > 0 && guaranteed > 0 {
		f.bucket.Charge(float64(over) / float64(declared) * float64(guaranteed))
	}
}

// Stats is what is particular to batches.
type Stats struct {
	// Batches is how many ended, Busy how long they took together.
	Batches uint64
	Busy    time.Duration
	// Sacrificed is how many were not cut for an item that was late for that.
	Sacrificed uint64
	// Limit is the largest batch at present: what runs within half of the tightest
	// promised deadline.
	Limit int
	// Predicted holds the time that a batch of 1, 2, ... Limit items is reckoned with.
	Predicted []time.Duration
}

func (f *Function) stats() Stats {
	s := Stats{Batches: f.tally.batches, Busy: f.tally.busy, Sacrificed: f.tally.sacrificed, Limit: f.limit()}
	for n := range s.Limit {
		s.Predicted = append(s.Predicted, f.predict(n+1))
	}
	return s
}

// account is f's account at an instant: RunTime has each item's batch, Busy each batch
// once, Used the memory of each item while its batch ran.
func (f *Function) account(now invoke.Instant) invoke.Account {
	t := &f.tally
	queueTime, runTime := t.queueTime, t.runTime
	c := f.spec.Contract
	a := invoke.Account{
		Name: f.spec.Name, Shape: invoke.Batched, Class: c.Class(), Contract: c, DeployedAt: f.deployedAt,
		Submitted: t.submitted, Guaranteed: t.guaranteed, Invocations: runTime.Count(),
		Misses: t.misses, GuaranteedMisses: t.guaranteedMisses, Failures: t.failures,
		Waiting: f.waiting(), Running: f.running, QueueTime: &queueTime, RunTime: &runTime,
		Busy: t.busy,
	}
	for reason, n := range t.refusals {
		a.Refusals[reason] = n
	}
	if f.times.runs > 0 {
		a.LearnedRunTime = f.predict(1)
	}
	a.Used = float64(c.Memory) / 1e9 * runTime.Sum().Seconds()
	wall := max(now.Sub(f.deployedAt), 0).Seconds()
	a.ReservedMemory = float64(c.Memory) * float64(f.limit()) / 1e9 * wall
	a.ReservedCores = f.utilisation() * f.policy.config.Cores * wall
	return a
}

// Accounts returns the accounts of all deployed functions.
func (p *Policy) Accounts(now invoke.Instant) []invoke.Account {
	now = p.advance(now)
	var all []invoke.Account
	for _, f := range p.functions {
		all = append(all, f.account(now))
	}
	return all
}
