package batched

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Device runs batches of deployed functions, one at a time: a Policy with a clock, a
// lock and a goroutine. Its methods may be called from many goroutines, and from
// inside Failed and Refused, except Close.
type Device struct {
	config Config
	clock  invoke.Clock
	wake   chan struct{}
	ended  chan struct{}

	mu      sync.Mutex // guards everything below
	policy  *Policy
	closed  bool
	stopped bool
	sweep   *time.Timer // while a batch runs
	swept   Batch

	sweeping sync.Mutex // one sweep at a time, held outside mu
}

// PanicError is what Failed gets when Run panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// sweepEvery bounds how late what expires behind a running batch is told so.
const sweepEvery = 5 * time.Millisecond

// New starts a device. Close ends it.
func New(config Config) *Device {
	config = config.withDefaults()
	d := &Device{
		config: config, clock: config.Clock, policy: NewPolicy(config, config.Clock()),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go d.submit()
	return d
}

// Deploy admits a function if its contract and all others of the device can be held
// together, and those of Config.Scheduler with what the device needs of the machine. The
// error is an *invoke.NotAdmittedError that says why not.
func (d *Device) Deploy(spec Spec) (*Function, error) {
	if spec.Run == nil || spec.Failed == nil || spec.Refused == nil {
		return nil, &invoke.NotAdmittedError{Function: spec.Name,
			Shortages: []invoke.Shortage{{Resource: "spec", Arithmetic: "Run, Failed and Refused are required"}}}
	}
	d.mu.Lock()
	f, err := d.policy.Deploy(d.clock(), spec)
	if err != nil {
		d.mu.Unlock()
		return nil, err
	}
	f.device = d
	cores, runs := f.utilisation()*d.config.Cores, f.limit()
	d.mu.Unlock()
	if d.config.Scheduler == nil {
		return f, nil
	}
	f.reservation, err = d.config.Scheduler.Reserve(invoke.Reserve{
		Name: spec.Name, Shape: invoke.Batched, Contract: f.spec.Contract, Cores: cores, Runs: runs, Account: f.Account,
	})
	if err != nil {
		f.Undeploy()
		return nil, err
	}
	return f, nil
}

// Undeploy ends the function's contract and frees what was reserved for it. What
// waits, and what is submitted from now on, is refused with FunctionClosed.
func (f *Function) Undeploy() {
	d := f.device
	var refused Batch
	d.mu.Lock()
	d.policy.Undeploy(d.clock(), f, &refused)
	d.mu.Unlock()
	refused.refuse()
	if f.reservation != nil {
		f.reservation.Release()
	}
	d.nudge()
}

// Submit queues the invocation. The error is an *invoke.Refusal, and then neither Run
// nor Refused is called. It does not block and does not allocate unless it refuses.
func (f *Function) Submit(inv *Invocation) error {
	d := f.device
	now := d.clock()
	d.mu.Lock()
	var pressing bool
	var refusal *invoke.Refusal
	if d.closed {
		f.tally.submitted++
		refusal = d.policy.refuse(f, invoke.SchedulerClosed, 0)
	} else {
		pressing, refusal = d.policy.Submit(now, f, inv)
	}
	d.mu.Unlock()
	if refusal != nil {
		return refusal
	}
	if pressing {
		d.nudge()
	}
	return nil
}

// Account returns the function's account.
func (f *Function) Account() invoke.Account {
	f.device.mu.Lock()
	defer f.device.mu.Unlock()
	return f.account(f.device.clock())
}

// Stats returns what is particular to batches.
func (f *Function) Stats() Stats {
	f.device.mu.Lock()
	defer f.device.mu.Unlock()
	return f.stats()
}

// Overcommitted tests all contracts of the device with what was learned of run times.
// It is empty as long as they can be held.
func (d *Device) Overcommitted() []invoke.Shortage {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.policy.Overcommitted()
}

// Stalled is how long the batch under way has been running beyond its predicted end, 0 if
// it is not: what tells a device that hangs.
func (d *Device) Stalled() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.policy.running; b != nil {
		return max(d.clock().Sub(b.Predicted), 0)
	}
	return 0
}

func (d *Device) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// submit is the device's goroutine.
func (d *Device) submit() {
	defer close(d.ended)
	var batch Batch
	var items []*Invocation
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		now := d.clock()
		d.mu.Lock()
		launched, again := d.policy.Next(now, &batch)
		done := !launched && d.closed && d.policy.Waiting() == 0
		if launched {
			d.armSweep()
		}
		d.mu.Unlock()
		batch.refuse()
		if done {
			return
		}
		if !launched {
			if again != math.MaxInt64 {
				timer.Reset(max(again.Sub(d.clock()), 0))
			} else {
				timer.Stop()
			}
			select {
			case <-d.wake:
			case <-timer.C:
			}
			continue
		}
		items = d.carryOut(&batch, items[:0])
		d.mu.Lock()
		d.policy.Finished(d.clock(), &batch)
		d.mu.Unlock()
	}
}

// carryOut runs a batch, and tells its items if it fails.
func (d *Device) carryOut(batch *Batch, items []*Invocation) []*Invocation {
	for i := range batch.Items {
		items = append(items, batch.Items[i].Invocation)
	}
	if err := batch.Function.run(items); err != nil {
		batch.Failed = true
		for _, inv := range items {
			batch.Function.spec.Failed(inv, err)
		}
	}
	clear(items)
	return items
}

func (f *Function) run(items []*Invocation) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{value, debug.Stack()}
		}
	}()
	return f.spec.Run(items)
}

func (b *Batch) refuse() {
	for i := range b.Refused {
		item := &b.Refused[i]
		item.fn.spec.Refused(item.Invocation, item.Refusal)
	}
}

// armSweep is called with the lock held as a batch is launched.
func (d *Device) armSweep() {
	if d.stopped {
		return
	}
	if d.sweep == nil {
		d.sweep = time.AfterFunc(sweepEvery, d.runSweep)
		return
	}
	d.sweep.Reset(sweepEvery)
}

func (d *Device) runSweep() {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	d.mu.Lock()
	d.policy.Expire(d.clock(), &d.swept)
	if d.policy.running != nil {
		d.armSweep()
	}
	d.mu.Unlock()
	d.swept.refuse()
}

// Close refuses what is submitted from now on and returns when all that waits has
// run. If ctx ends before, what still waits is refused and Close returns ctx's error; a
// batch that runs then ends by itself, and the goroutine with it.
func (d *Device) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	d.policy.Drain()
	d.mu.Unlock()
	d.nudge()
	var err error
	select {
	case <-d.ended:
	case <-ctx.Done():
		err = context.Cause(ctx)
		d.mu.Lock()
		d.policy.Abort()
		d.mu.Unlock()
		d.nudge()
		d.runSweep()
	}
	d.mu.Lock()
	d.stopped = true
	if d.sweep != nil {
		d.sweep.Stop()
	}
	d.mu.Unlock()
	return err
}
