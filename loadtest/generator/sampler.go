package generator

import (
	"context"

	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/loadtest/report"
)

// request asks the sampler for a reading, or to show something.
type request struct {
	sample   bool
	snapshot *report.Snapshot
	second   int // of the series, in the snapshot; below 0: none
}

// sampler reads what server and generator used, beside the loop, which must not
// wait for it.
type sampler struct {
	config   *Config
	cancel   context.CancelCauseFunc
	requests chan request
	over     chan struct{}
	readings []reading
	machine  report.Machine
	cpu      [2]report.CPUTimes // of the machine: first and last
}

// reading is what was used until then.
type reading struct {
	server    *Usage
	generator float64
}

func newSampler(config *Config, cancel context.CancelCauseFunc) *sampler {
	return &sampler{config: config, cancel: cancel, requests: make(chan request, 64), over: make(chan struct{}), machine: report.ReadMachine()}
}

func (s *sampler) run(ctx context.Context) {
	defer close(s.over)
	for r := range s.requests {
		if r.snapshot != nil {
			if r.second >= 0 {
				s.dress(&r.snapshot.Second, r.second)
			}
			s.config.Watch(*r.snapshot)
		}
		if r.sample {
			s.read(ctx)
		}
	}
}

func (s *sampler) read(ctx context.Context) {
	now := reading{generator: ownCPU()}
	if s.config.Server != nil {
		usage, err := s.config.Server.Usage(ctx)
		if err != nil {
			s.config.Log.Warn("what the server uses could not be read", "error", err)
		} else {
			now.server = &usage
		}
	}
	if times, ok := report.ReadCPUTimes(); ok {
		if len(s.readings) == 0 {
			s.cpu[0] = times
		}
		s.cpu[1] = times
	}
	s.readings = append(s.readings, now)
}

// ownCPU is the processor time of this process, seconds.
func ownCPU() float64 {
	used, _ := processor.Time()
	return used.Seconds()
}

// dress writes what was used in a second of the series.
func (s *sampler) dress(second *report.Second, i int) {
	if i+1 >= len(s.readings) {
		return
	}
	a, b := &s.readings[i], &s.readings[i+1]
	second.GeneratorCPUS = b.generator - a.generator
	if a.server != nil && b.server != nil {
		used, rss := b.server.CPU-a.server.CPU, b.server.RSS
		second.ServerCPUS, second.ServerRSSBytes = &used, &rss
	}
}

// fill writes what was used in the measured time.
func (s *sampler) fill(r *report.Run) {
	r.Machine = s.machine
	for i := range r.Series {
		s.dress(&r.Series[i], i)
	}
	n := len(s.readings)
	if n < 2 {
		return
	}
	first, last := &s.readings[0], &s.readings[n-1]
	r.Generator.CPUS = last.generator - first.generator
	a, b := first.server, last.server
	if a == nil || b == nil {
		return
	}
	others, stolen := s.cpu[1].Busy-s.cpu[0].Busy-r.Generator.CPUS-(b.CPU-a.CPU), s.cpu[1].Stolen-s.cpu[0].Stolen
	if others = max(others, 0); s.cpu[1] != s.cpu[0] {
		r.Machine.OthersCPUS, r.Machine.StolenCPUS = &others, &stolen
	}
	out := &report.Server{CPUS: b.CPU - a.CPU, RSSStartBytes: a.RSS, StoreCPUS: less(b.StoreCPU, a.StoreCPU)}
	for _, reading := range s.readings {
		if reading.server != nil {
			out.RSSBytes = max(out.RSSBytes, reading.server.RSS)
		}
	}
	r.Server = out
	r.UsedGBS, r.ReservedGBS = less(b.Used, a.Used), less(b.Reserved, a.Reserved)
	for class, usage := range b.Classes {
		r.AddClass(class, usage.Plus(a.Classes[class], -1))
	}
}

func less(b, a *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	d := *b - *a
	return &d
}
