package trigger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/stream"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/workloads/trigger"
)

// mostHeap bounds the heap of a process whose collector is off: above it collects
// after all.
const mostHeap = 2 << 30

// Run runs a test in this process, which is changed for it: the collector is off
// and there are threads for the pollers. What goes on is told to watch, about once a
// second, and in between each turn.
func Run(ctx context.Context, spec Spec, watch func(Progress)) (result *Result, err error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	r := &run{spec: spec, watch: watch, clock: stream.ProcessorClock(), started: time.Now()}
	r.cores = stream.AllowedCores()
	if spec.Cores == 0 {
		r.spec.Cores = max(len(r.cores), 1)
	}
	if spec.Turn == 0 {
		r.spec.Turn = defaultTurn
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(mostHeap)
	runtime.GOMAXPROCS(r.spec.Cores + 2)
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.measure(ctx); err != nil {
		return nil, err
	}
	return r.result(), nil
}

// run is a test under way.
type run struct {
	spec    Spec
	watch   func(Progress)
	clock   *stream.Clock
	started time.Time
	cores   []int

	work      *workload
	scheduler *invoke.Scheduler
	arenas    []*stream.Arena
	fits      string

	machine report.Machine
	cpu     report.CPUTimes // of the machine before it was measured
	used    time.Duration   // of it by this process

	network, empty stream.Stats
	parts          []Part

	chain            chainCounts
	updates          uint64 // invocations of updateModel by its account
	swaps, retrained uint64
	instructions     string
	refused          string // why the contract was not admitted
	failures         []string
}

// Progress is what a test says while it runs.
type Progress struct {
	// Note is a line for whoever watches; with it nothing else is given.
	Note string `json:"note,omitempty"`
	// Empty says that it is the empty function's turn.
	Empty bool `json:"empty,omitempty"`
	// Elapsed and Length are of the whole test, in seconds.
	Elapsed float64 `json:"elapsed_s"`
	Length  float64 `json:"length_s"`
	// RatePerS, Within, P50NS, Selected, Samples and Lost are of the turn so far.
	RatePerS float64 `json:"rate_per_s"`
	Within   Within  `json:"within"`
	P50NS    int64   `json:"p50_ns"`
	P99NS    int64   `json:"p99_ns"`
	Selected uint64  `json:"selected"`
	Chain    uint64  `json:"chain"`
	Samples  uint64  `json:"samples"`
	Lost     uint64  `json:"lost"`
	Version  uint64  `json:"version"`
}

func (r *run) note(format string, args ...any) {
	if r.watch != nil {
		r.watch(Progress{Note: fmt.Sprintf(format, args...)})
	}
}

// prepare makes all that is needed before the measured time.
func (r *run) prepare() error {
	var err error
	if r.work, err = open(&r.spec); err != nil {
		return err
	}
	var count int
	count, r.fits = readCaches("/", r.core(0)).records(r.spec.Place, stream.Stride(r.work.shape.Size), r.spec.Cores, max(len(r.cores), 1))
	r.note("%s: %d operations for %d bytes; %d records (%s) for each of %s",
		r.work.name, r.work.shape.Operations(), r.work.shape.Size, count, r.fits, pollers(r.spec.Cores, string(r.spec.Pace)))
	for i := range r.spec.Cores {
		arena, err := stream.NewArena(count, r.work.shape.Size)
		if err != nil {
			return err
		}
		r.arenas = append(r.arenas, arena)
		r.work.fill(arena, r.spec.Seed+uint64(i))
	}
	r.work.setThresholds(r.arenas, r.spec.Select)
	r.scheduler = scheduler(r.spec.Cores)
	runtime.GC()
	r.machine = report.ReadMachine()
	return nil
}

// core is the processor that a poller is kept on: the last ones first, as the first
// ones often serve interrupts.
func (r *run) core(poller int) int {
	if len(r.cores) == 0 {
		return 0
	}
	return r.cores[len(r.cores)-1-poller%len(r.cores)]
}

func (r *run) close() error {
	if r.scheduler != nil {
		_ = r.scheduler.Close(context.Background())
	}
	var err error
	if r.work != nil {
		err = r.work.close()
	}
	for _, arena := range r.arenas {
		err = errors.Join(err, arena.Close())
	}
	return err
}

// The network runs in turns of about a second by default, the empty function before,
// between and after them for half as long.
const (
	defaultTurn  = time.Second
	shortestTurn = 100 * time.Millisecond
)

func (r *run) measure(ctx context.Context) error {
	turns := max(int(math.Round(float64(r.spec.Duration)/float64(r.spec.Turn))), 2)
	each := r.spec.Duration / time.Duration(turns)
	pause := each / 2
	length := each*time.Duration(turns) + pause*time.Duration(turns+1)
	r.cpu, _ = report.ReadCPUTimes()
	r.used, _ = processor.Time()
	began := time.Now()
	for i := range 2*turns + 1 {
		empty, duration := i%2 == 0, each
		if empty {
			duration = pause
		}
		if err := r.turn(ctx, empty, duration, began, length); err != nil {
			return err
		}
	}
	return nil
}

// turn runs the network or the empty function for a while.
func (r *run) turn(ctx context.Context, empty bool, duration time.Duration, began time.Time, length time.Duration) (err error) {
	deploy := r.deploy
	if empty {
		deploy = r.deployEmpty
	}
	f, err := deploy()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	start := time.Now()
	swapAt := start.Add(r.spec.SwapEvery / 2)
	for left := duration; left > 0; left = duration - time.Since(start) {
		wait := left
		if r.spec.SwapEvery > 0 && !empty {
			if time.Now().After(swapAt) {
				swapAt = swapAt.Add(r.spec.SwapEvery)
				if err := r.swap(f.trigger); err != nil {
					return err
				}
			}
			wait = min(wait, max(time.Until(swapAt), time.Microsecond))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
	if err := f.stream.Close(); err != nil {
		return err
	}
	r.finished(f, empty, start, time.Since(began), length)
	return nil
}

// deployed is the network's function or the empty one.
type deployed struct {
	stream  *stream.Function
	trigger *trigger.Trigger // nil for the empty one
}

func (d *deployed) close() error {
	if d.trigger == nil {
		return d.stream.Close()
	}
	return d.trigger.Close()
}

// finished adds what a turn found, and tells of it.
func (r *run) finished(f *deployed, empty bool, start time.Time, elapsed, length time.Duration) {
	chain := r.settleOutlets(f)
	stats := f.stream.Stats()
	sum := &r.network
	if empty {
		sum = &r.empty
	}
	sum.Add(stats)
	ran := stats.Time
	part := Part{
		Empty: empty, BeganS: start.Sub(r.started).Seconds(), DurationS: ran.Seconds(), Due: stats.Records(), RatePerS: float64(stats.Decided) / ran.Seconds(),
		Within: within(stats), P50NS: int64(stats.Latency.Quantile(0.5)),
	}
	r.parts = append(r.parts, part)
	if r.watch == nil {
		return
	}
	r.watch(Progress{
		Empty: empty, Elapsed: elapsed.Seconds(), Length: length.Seconds(), RatePerS: part.RatePerS, Within: part.Within,
		P50NS: part.P50NS, P99NS: int64(stats.Latency.Quantile(0.99)), Selected: stats.Selected, Chain: chain,
		Samples: stats.SamplesDone, Lost: stats.Lost, Version: stats.Version,
	})
}

// outletTime is how long what left by the outlets may take to end after a turn.
const outletTime = 2 * time.Second

// settleOutlets waits for what left by the outlets, and returns how many events went
// through the chain.
func (r *run) settleOutlets(f *deployed) (chain uint64) {
	if f.trigger == nil {
		return 0
	}
	var s *trigger.Stats
	for end := time.Now().Add(outletTime); ; <-time.After(time.Millisecond) {
		s = f.trigger.Stats()
		n := s.Inference
		sampled := n.SamplesDone + n.SamplesFailed + n.SamplesRefused + n.SamplesLost
		if s.ChainUnderWay == 0 && sampled == n.Sampled || time.Now().After(end) {
			break
		}
	}
	r.chain.add(s)
	r.updates += r.updatesByAccount()
	r.swaps += s.Update.Version - 1
	r.retrained += s.Update.Swapped
	r.instructions = s.Instructions
	return s.ChainCompleted
}

// chainCounts is what became of the events that were selected.
type chainCounts struct{ completed, rejected, refused, failed, unended, late uint64 }

func (c *chainCounts) add(s *trigger.Stats) {
	c.completed += s.ChainCompleted
	c.late += s.ChainLate
	c.unended += s.ChainUnderWay
	c.refused += s.Inference.SelectedRefused
	for _, stage := range s.Chain {
		c.rejected += stage.Rejected
		c.refused += stage.Refused + stage.TooLate
		c.failed += stage.Failed
	}
}

// updatesByAccount is what the scheduler says of updateModel, beside what the stream
// counts: each sample is to be an invocation.
func (r *run) updatesByAccount() uint64 {
	for _, account := range r.scheduler.Accounts().Functions {
		if account.Name == trigger.UpdateName {
			return account.Invocations
		}
	}
	return 0
}

// swap swaps in the other network.
func (r *run) swap(t *trigger.Trigger) error {
	_, version := t.Model()
	_, err := t.Swap(r.work.networks[version%2])
	return err
}

// sources lets the records of each poller's arena fall due, out of step with those of
// the others.
func (r *run) sources() (sources []stream.Source, cores []int, pace stream.Pace) {
	pace, _ = r.spec.Pace.Stream() // checked
	for i, arena := range r.arenas {
		share := float64(r.spec.Rate) / float64(len(r.arenas))
		sources = append(sources, &stream.Schedule{Arena: arena, Rate: share, Phase: float64(i) / float64(len(r.arenas))})
		if pace == stream.Pinned {
			cores = append(cores, r.core(i))
		}
	}
	return sources, cores, pace
}

// deployEmpty deploys a function that does nothing with the same ladder.
func (r *run) deployEmpty() (*deployed, error) {
	sources, cores, pace := r.sources()
	f, err := stream.Deploy(r.scheduler, stream.Spec{
		Name: "empty_loop", Program: emptyProgram(), Sources: sources, Cores: cores, Pace: pace, Batch: r.spec.Batch, Nice: r.spec.Nice,
		Contract: invoke.Contract{Deadline: r.spec.Limit}, Failed: r.failed,
	})
	if err != nil {
		return nil, err
	}
	return &deployed{stream: f}, nil
}

// deploy deploys the trigger: with its rate guaranteed, or, if that is refused,
// without.
func (r *run) deploy() (*deployed, error) {
	settings := r.work.settings(&r.spec)
	settings.Sources, settings.Cores, settings.Pace = r.sources()
	settings.Failed = r.failed
	if !math.IsInf(float64(r.spec.Rate), 1) && r.refused == "" {
		settings.Rate = float64(r.spec.Rate)
	}
	t, err := trigger.Deploy(r.scheduler, settings)
	var refused *invoke.NotAdmittedError
	if settings.Rate > 0 && errors.As(err, &refused) {
		r.refused = refused.Error()
		r.note("no guarantee: %s", r.refused)
		return r.deploy()
	}
	if err != nil {
		return nil, err
	}
	return &deployed{stream: t.Inference(), trigger: t}, nil
}

// mostFailures are told of.
const mostFailures = 10

func (r *run) failed(err error) {
	if len(r.failures) < mostFailures {
		r.failures = append(r.failures, err.Error())
		r.note("%v", err)
	}
}
