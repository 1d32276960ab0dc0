package batched

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Config configures a Device or a Policy. The zero value is usable.
type Config struct {
	// Name stands in errors. Default "device".
	Name string
	// Slack is how much before the latest start a batch that waited for company is
	// launched: what a timer may come late, and a submission take. Default 200 us. Too
	// little makes those late that waited, too much makes batches smaller.
	Slack time.Duration
	// Percentile (0..1) of the run time, with which ends are predicted. Default 0.99.
	Percentile float64
	// Reservable is the share (0..1) of the device's time that guarantees may take.
	// Default 0.8.
	Reservable float64
	// Cores is how many cores of the machine are busy while a batch runs: 1 for a
	// kernel on the processor, the part of the driver for an accelerator. It is kept on
	// Scheduler. Default 1.
	Cores float64
	// Scheduler admits the functions on the machine and shows their accounts. Nil:
	// the device has the machine for itself.
	Scheduler *invoke.Scheduler
	// Clock tells the time. Default: that of Scheduler, or invoke.Now.
	Clock invoke.Clock
	// Random is the source of jitter. Default: seeded by the runtime.
	Random rand.Source
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "device"
	}
	if c.Slack <= 0 {
		c.Slack = 200 * time.Microsecond
	}
	if c.Percentile <= 0 || c.Percentile >= 1 {
		c.Percentile = 0.99
	}
	if c.Reservable <= 0 {
		c.Reservable = 0.8
	}
	if c.Cores <= 0 {
		c.Cores = 1
	}
	if c.Clock == nil {
		c.Clock = invoke.Now
		if c.Scheduler != nil {
			c.Clock = c.Scheduler.Now
		}
	}
	if c.Random == nil {
		c.Random = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	return c
}

// Spec describes a function to deploy on a device.
type Spec struct {
	// Name identifies the function in accounts and errors.
	Name string
	// Contract is as in package invoke. RunTime is that of a batch of one, Memory what
	// one item holds.
	Contract invoke.Contract
	// Largest is the most items in a batch. Default 64.
	Largest int
	// Model is the run time by size, 99th percentile, until it is learned. Zero: an
	// item takes Contract.RunTime, or 100 us, and batching saves nothing; batches then grow
	// as their run times are learned.
	Model Model
	// Company is the longest wait for company. 0: as long as the deadlines allow.
	// Negative: none; then a batch is what came while the one before ran.
	Company time.Duration
	// Queue bounds what may wait; Excess is not used.
	Queue invoke.Bounds
	// Run executes a batch, on the submitter's goroutine, and returns when its results
	// are there. An error, or a panic, counts as a failure of all its items, for
	// which Failed is called.
	Run func(batch []*Invocation) error
	// Failed tells an item that its batch failed: with Run's error or a *PanicError.
	// Required.
	Failed func(*Invocation, error)
	// Refused is called instead of Run for an invocation that was taken by Submit and
	// is refused later. It must be short. Required.
	Refused func(*Invocation, *invoke.Refusal)
}

const (
	defaultLargest    = 64
	largestLargest    = 1 << 14
	assumedRunTime    = 100 * time.Microsecond
	defaultQueueCount = 4096
	defaultQueueAge   = time.Second
)

func (s *Spec) setDefaults() {
	s.Contract = s.Contract.WithDefaults()
	if s.Largest == 0 {
		s.Largest = defaultLargest
	}
	if s.Queue.Count == 0 {
		s.Queue.Count = max(defaultQueueCount, 4*s.Contract.Places())
	}
	if s.Queue.Age == 0 {
		s.Queue.Age = defaultQueueAge
	}
}

func (s *Spec) firstRunTime() time.Duration {
	if s.Contract.RunTime > 0 {
		return s.Contract.RunTime
	}
	return assumedRunTime
}

func (s *Spec) check() []invoke.Shortage {
	found := s.Contract.Check()
	require := func(ok bool, format string, args ...any) {
		if !ok {
			found = append(found, invoke.Shortage{Resource: "spec", Arithmetic: fmt.Sprintf(format, args...)})
		}
	}
	require(s.Name != "", "Name is empty")
	require(s.Largest >= 0 && s.Largest <= largestLargest, "Largest %d is not within 1..%d", s.Largest, largestLargest)
	require(s.Model.Launch >= 0 && s.Model.PerItem >= 0, "Model has negative times")
	require(s.Queue.Count >= 0 && s.Queue.Age >= 0, "Queue bounds are negative")
	require(s.Queue.Count == 0 || s.Queue.Count >= s.Contract.Burst, "Queue.Count %d is less than Burst %d", s.Queue.Count, s.Contract.Burst)
	return found
}
