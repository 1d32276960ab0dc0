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

// muchLonger than asked for is how long a run may be without a word.
const muchLonger = 1.25

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
		Selected: n.Selected, SelectedLost: n.SelectedLost, ChainCompleted: r.chain.completed, ChainRejected: r.chain.rejected,
		ChainRefused: r.chain.refused, ChainFailed: r.chain.failed, ChainUnended: r.chain.unended, ChainLate: r.chain.late,
		SampleRate: r.spec.SampleRate, Samples: n.SamplesDone, SamplesLost: n.Sampled - n.SamplesDone, Updates: r.updates, Swaps: r.swaps, Retrained: r.retrained,
	}
	if out.DurationS > muchLonger*r.spec.Duration.Seconds() {
		out.Notes = append(out.Notes, fmt.Sprintf("the network ran for %.1f s instead of %v: new weights are made and tried in what the pollers leave of the cores (--cores, --poller yielding)", out.DurationS, r.spec.Duration))
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
		out.Unmet = r.unmet(out)
		out.Met = len(out.Unmet) == 0
	}
	out.Machine = r.describe(out)
	return out
}

func inLimit(s *stream.Stats) float64 {
	return float64(s.Decided-s.Late) / float64(max(s.Records(), 1))
}

// unmet says what breaks the paper's rule: all rates are held and nothing is past the
// limit.
func (r *run) unmet(out *Result) (why []string) {
	want := func(holds bool, format string, args ...any) {
		if !holds {
			why = append(why, fmt.Sprintf(format, args...))
		}
	}
	rate := float64(r.spec.Rate)
	want(out.RatePerS >= heldRate*rate, "%s decided of %s", perSecond(out.RatePerS), perSecond(rate))
	want(out.Missed == 0, "%d of %d records past the limit", out.Missed, out.Due)
	// A record is sampled once at most, and each turn may end before its last one is.
	samples := min(r.spec.SampleRate, rate) * out.DurationS
	want(out.SamplesLost == 0 && float64(out.Samples) >= heldRate*samples-float64(len(r.parts)), "%d of %.0f samples, %d lost", out.Samples, samples, out.SamplesLost)
	want(out.ChainCompleted+out.ChainRejected == out.Selected, "%d of %d selected records did not go through the chain", out.Selected-out.ChainCompleted-out.ChainRejected, out.Selected)
	return why
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
