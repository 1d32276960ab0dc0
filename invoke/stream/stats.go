package stream

import (
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Stats is what a function did since it was deployed.
type Stats struct {
	// Time is how long records have been falling due.
	Time time.Duration
	// Decided records had their decision, Lost ones waited so long that their ring
	// could not hold them, Failed ones were in a batch whose kernel panicked.
	Decided, Lost, Failed uint64
	// Late is how many of the decided were past the contract's deadline.
	Late uint64
	// PutOff is how many could not make the deadline any more when they were looked at, and
	// gave way to those that could (Spec.InOrder).
	PutOff uint64
	// Batches were run, Panics of them panicked. BySize counts them by the size of the
	// kernel.
	Batches, Panics uint64
	BySize          [MostAtOnce + 1]uint64
	// Malformed and Selected are what the function said of the decided.
	Malformed, Selected uint64
	// SelectedOut went into the outlet for selected ones; SelectedLost found it full.
	// Sampled and SamplesLost are the same of the sampling outlet: Sampled holds those
	// lost.
	SelectedLost, Sampled, SamplesLost uint64
	// SelectedDone, SelectedFailed and SelectedRefused are what became of those that
	// went out; Samples... the same of samples.
	SelectedDone, SelectedFailed, SelectedRefused uint64
	SamplesDone, SamplesFailed, SamplesRefused    uint64
	// Swaps is how often a poller went over to another program.
	Swaps uint64
	// Busy is the time that batches took, of all pollers.
	Busy time.Duration
	// Latency is from when a record was due to its decision; Wait of the oldest record
	// of each batch from when it was due to the batch's start, counted for all of the
	// batch; Run the time of the batch, counted likewise.
	Latency, Wait, Run Latencies
	// Stuck is how many pollers did not answer: their kernels do not return. What they
	// did since they last answered is missing.
	Stuck int
	// Version is that of the program.
	Version uint64
	// Kernels tells what full batches of each kernel took when they were timed.
	Kernels []KernelTime
	// Notes say what the machine did not allow.
	Notes []string
}

// KernelTime is what a full batch of a kernel takes at least.
type KernelTime struct {
	Size int
	Time time.Duration
}

// Records is how many records were due and are accounted for.
func (s *Stats) Records() uint64 { return s.Decided + s.Lost + s.Failed }

// Add adds what another function did, or the same deployed anew, with the same
// clock. Version, Kernels, Stuck and Notes are taken from the other.
func (s *Stats) Add(o *Stats) {
	s.Time += o.Time
	s.Decided += o.Decided
	s.Lost += o.Lost
	s.Failed += o.Failed
	s.Late += o.Late
	s.PutOff += o.PutOff
	s.Batches += o.Batches
	s.Panics += o.Panics
	for i, n := range o.BySize {
		s.BySize[i] += n
	}
	s.Malformed += o.Malformed
	s.Selected += o.Selected
	s.SelectedLost += o.SelectedLost
	s.Sampled += o.Sampled
	s.SamplesLost += o.SamplesLost
	s.SelectedDone += o.SelectedDone
	s.SelectedFailed += o.SelectedFailed
	s.SelectedRefused += o.SelectedRefused
	s.SamplesDone += o.SamplesDone
	s.SamplesFailed += o.SamplesFailed
	s.SamplesRefused += o.SamplesRefused
	s.Swaps += o.Swaps
	s.Busy += o.Busy
	s.Latency.Add(&o.Latency)
	s.Wait.Add(&o.Wait)
	s.Run.Add(&o.Run)
	s.Stuck, s.Version, s.Kernels, s.Notes = o.Stuck, o.Version, o.Kernels, o.Notes
}

// take adds what a poller counted and clears it.
func (s *Stats) take(c *counters, clock *Clock) {
	s.Decided += c.decided
	s.Lost += c.lost
	s.Failed += c.failed
	s.Late += c.late
	s.PutOff += c.putOff
	s.Batches += c.batches
	s.Panics += c.panics
	for i, n := range c.bySize {
		s.BySize[i] += n
	}
	s.Malformed += c.malformed
	s.Selected += c.selected
	s.SelectedLost += c.selectedLost
	s.Sampled += c.sampled
	s.SamplesLost += c.samplesLost
	s.Swaps += c.swaps
	s.Busy += clock.Duration(c.busy)
	s.Latency.merge(&c.latency)
	s.Wait.merge(&c.wait)
	s.Run.merge(&c.run)
	*c = counters{}
}

const (
	answerTime = time.Second // for a poller to hand its counters over
	askTime    = 20 * time.Microsecond
	mostAsk    = 5 * time.Millisecond
)

// Stats tells what was done so far. A poller is disturbed for some hundred
// nanoseconds by it. It waits for one that is inside a kernel, a second at most.
func (f *Function) Stats() *Stats {
	f.accounts.Lock()
	defer f.accounts.Unlock()
	stuck := 0
	for _, p := range f.pollers {
		if !f.collect(p) {
			stuck++
		}
	}
	s := f.settled
	s.Time = f.time()
	s.Latency.clock, s.Wait.clock, s.Run.clock = f.clock, f.clock, f.clock
	s.Stuck, s.Notes = stuck, append([]string(nil), f.notes...)
	program := f.program.Load()
	s.Version = program.version
	for i, k := range program.kernels {
		s.Kernels = append(s.Kernels, KernelTime{k.Size, f.clock.Duration(program.costs[i])})
	}
	for _, p := range f.pollers {
		if o := p.selected; o != nil {
			s.SelectedDone += o.done.Load()
			s.SelectedFailed += o.failed.Load()
			s.SelectedRefused += o.refused.Load()
		}
		if o := p.samples; o != nil {
			s.SamplesDone += o.done.Load()
			s.SamplesFailed += o.failed.Load()
			s.SamplesRefused += o.refused.Load()
		}
	}
	return &s
}

// time is from when the first record was due until now, or until it was closed.
func (f *Function) time() time.Duration {
	end := f.stopped.Load()
	if end == 0 {
		end = f.clock.Read()
	}
	begin := f.pollers[0].started.Load()
	if begin == 0 || end < begin {
		return 0
	}
	return f.clock.Duration(end - begin)
}

// collect takes a poller's counters; false if it does not hand them over.
func (f *Function) collect(p *poller) bool {
	p.control.Or(switchCounters)
	timeout := time.Now().Add(answerTime)
	for wait := askTime; p.control.Load()&switchCounters != 0; wait = min(2*wait, mostAsk) {
		select {
		case <-p.ended:
			f.settled.take(p.counters, f.clock)
			f.settled.take(p.spare, f.clock)
			return true
		case <-time.After(wait):
		}
		if time.Now().After(timeout) {
			return false // it does so when its kernel returns
		}
	}
	f.settled.take(p.spare, f.clock)
	return true
}

// account tells the scheduler what was done, each record as an invocation.
func (f *Function) account() invoke.Account {
	s := f.Stats()
	a := invoke.Account{
		Submitted: s.Records(), Invocations: s.Decided + s.Failed, Failures: s.Failed, Misses: s.Late,
		GuaranteedMisses: s.Late + s.Lost + s.Failed,
		QueueTime:        s.Wait.Histogram(), RunTime: s.Run.Histogram(), Busy: s.Busy,
		LearnedRunTime: s.Run.Quantile(0.99),
	}
	a.Refusals[invoke.OverAge] = s.Lost
	contract := &f.contract
	if contract.Rate == 0 {
		a.GuaranteedMisses = 0
		return a
	}
	granted := float64(contract.Burst) + contract.Rate*s.Time.Seconds()
	a.Guaranteed = uint64(min(float64(a.Submitted), granted))
	a.GuaranteedMisses = min(a.GuaranteedMisses, a.Guaranteed)
	return a
}
