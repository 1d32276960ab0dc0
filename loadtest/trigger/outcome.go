package trigger

import (
	"fmt"
	"math"
	"runtime"

	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/internal/version"
	"github.com/starling-vr/starling/invoke/stream"
)

// heldRate is which share of the rate asked for counts as held: the rest is what is
// on its way when a turn ends.
const heldRate = 0.999

// result makes the result of what was measured.
func (r *run) result() *Result {
	n := &r.network
	seconds := n.Time.Seconds()
	out := &Result{
		Format: Format, Version: Version, Starling: version.String(), Label: r.spec.Label, Started: r.started, Command: r.spec.Command, Seed: r.spec.Seed,
		Network: r.work.name, Op: r.work.shape.Operations(), SizeBytes: r.work.shape.Size, LimitNS: int64(r.spec.Limit),
		Instructions: r.instructions, Poller: string(r.spec.Pace), Pollers: r.spec.Cores, Cores: []int{}, BatchMost: r.spec.Batch,
		Records: r.arenas[0].Len(), Place: r.fits, HugePages: r.huge(),
		DurationS: seconds, RatePerS: float64(n.Decided) / seconds, Due: n.Records(),
		Within: within(n), EmptyLoop: within(&r.empty), LatencyNS: quantiles(&n.Latency), EmptyNS: quantiles(&r.empty.Latency), Parts: r.parts,
		Missed: n.Late + n.Lost + n.Failed, Lost: n.Lost, PutOff: n.PutOff, Failed: n.Failed, Malformed: n.Malformed,
		Batches: n.Batches, PerBatch: float64(n.Decided) / float64(max(n.Batches, 1)), BusyShare: n.Busy.Seconds() / seconds / float64(r.spec.Cores),
		Contract: r.refused, Notes: append(n.Notes, r.failures...),
		Selected: n.Selected, SelectedLost: n.SelectedLost, ChainCompleted: r.completed, ChainRejected: r.rejected, ChainLate: r.chainLate,
		SampleRate: r.spec.SampleRate, Samples: n.SamplesDone, SamplesLost: n.SamplesLost + n.SamplesRefused + n.SamplesFailed, Swaps: r.swaps, Retrained: r.retrained,
	}
	out.InLimit, out.EmptyLimit = inLimit(n), inLimit(&r.empty)
	out.OfEmpty = out.Within.of(out.EmptyLoop)
	if out.BatchMost == 0 {
		out.BatchMost = stream.MostAtOnce
	}
	if r.spec.Pace == Pace(stream.Pinned.String()) {
		for i := range r.arenas {
			out.Cores = append(out.Cores, r.core(i))
		}
	}
	for _, k := range n.Kernels {
		out.Kernels = append(out.Kernels, Kernel{Size: k.Size, NS: int64(k.Time), Batches: n.BySize[k.Size]})
	}
	if rate := float64(r.spec.Rate); !math.IsInf(rate, 1) {
		out.OfferedPerS = &rate
		out.Met = r.met(out)
	}
	out.Machine = r.describe(out)
	return out
}

func inLimit(s *stream.Stats) float64 {
	return float64(s.Decided-s.Late) / float64(max(s.Records(), 1))
}

// met is the paper's rule: all rates were held and nothing was past the limit.
func (r *run) met(out *Result) bool {
	decided := out.RatePerS >= heldRate*float64(r.spec.Rate)
	sampled := out.SamplesLost == 0 && float64(out.Samples) >= heldRate*r.spec.SampleRate*out.DurationS-float64(len(r.parts))
	chained := out.ChainCompleted+out.ChainRejected == out.Selected
	return decided && sampled && chained && out.Missed == 0
}

func (r *run) huge() bool {
	for _, arena := range r.arenas {
		if arena.HugeBytes() < arena.Bytes() {
			return false
		}
	}
	return true
}

// describe says what the machine is, and what of it limits the figures.
func (r *run) describe(out *Result) Machine {
	r.machine.Cores = len(r.cores)
	if r.machine.Cores == 0 {
		r.machine.Cores = runtime.NumCPU()
	}
	used, _ := processor.Time()
	r.machine.Since(r.cpu, used-r.used)
	m := Machine{Machine: r.machine, Caches: readCaches("/", r.core(0)), Clock: r.clock.Source, ClockH: r.clock.Frequency, Limits: []string{}}
	limit := func(applies bool, format string, args ...any) {
		if applies {
			m.Limits = append(m.Limits, fmt.Sprintf(format, args...))
		}
	}
	limit(out.Instructions != "vnni", "no AVX-512 VNNI: kernels are %s", out.Instructions)
	limit(out.Pollers >= m.Cores, "%d cores for %d pollers: everything else runs in what they leave", m.Cores, out.Pollers)
	limit(m.Clock != "tsc", "no steady time stamp counter: reading the clock takes longer")
	limit(m.Virtual, "a virtual machine: its host takes the processors away at times")
	limit(!out.HugePages, "not all records lie in huge pages")
	limit(out.Place != r.spec.Place, "records lie in %s, not in %s as asked for", out.Place, r.spec.Place)
	if m.OthersCPUS != nil {
		share := *m.OthersCPUS / (float64(m.Cores) * (r.network.Time + r.empty.Time).Seconds())
		limit(share > 0.02, "other processes used %.0f %% of the processors meanwhile", 100*share)
	}
	return m
}
