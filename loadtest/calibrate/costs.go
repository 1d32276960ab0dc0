package calibrate

import (
	"math"
	"time"

	"github.com/starling-vr/starling/loadtest/plan"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// What the costs are taken to be where the measurements leave it open,
// microseconds: see docs/performance.md.
var (
	serverPrior    = []float64{20, 30, 5, 6, 0.5, 25} // action, commit, encoded frame, write, frame written, wake
	storePrior     = []float64{60, 10, 1}             // round, append, action
	generatorPrior = []float64{4, 4, 0.5, 0.5, 25}    // action, read, frame, delivery, wake
)

// ownerShare is the owner's part of what the server's process spends on an action
// itself; the rest is the gateway's.
const ownerShare = 0.4

// fitCosts fits processor time to what happened in the runs, and to what the
// simulation says of what cannot be counted there.
func fitCosts(c *plan.Costs, all []plan.FitRun) {
	var server, store, generator []equation
	for i := range all {
		x := &all[i]
		each, m := 1/x.Actions, &x.Simulated
		server = append(server, equation{[]float64{1, each * x.Commits, each * x.Encoded, each * x.Writes, each * x.Frames, each * m.Wakes}, x.ServerUS})
		if x.StoreUS > 0 {
			store = append(store, equation{[]float64{each * m.Rounds, each * x.Commits, 1}, x.StoreUS})
		}
		generator = append(generator, equation{[]float64{1, each * x.Writes, each * x.Frames, each * x.Deliveries, each * m.GeneratorWakes}, x.GeneratorUS})
	}
	s := fit(server, serverPrior)
	c.Gateway.ActionUS, c.Owner.ActionUS = (1-ownerShare)*s[0], ownerShare*s[0]
	c.Owner.CommitUS, c.Gateway.EncodeUS, c.Gateway.WriteUS, c.Gateway.FrameUS, c.Gateway.WakeUS = s[1], s[2], s[3], s[4], s[5]
	if len(store) > 0 {
		r := fit(store, storePrior)
		c.Storage.RoundUS, c.Storage.AppendUS, c.Storage.ActionUS = r[0], r[1], r[2]
	}
	g := fit(generator, generatorPrior)
	c.Generator = plan.GeneratorCosts{ActionUS: g[0], ReadUS: g[1], FrameUS: g[2], DeliveryUS: g[3], WakeUS: g[4]}
	c.Fit.WorstCPU = 0
	for i := range all {
		x := &all[i]
		x.ServerFitUS = dot(server[i].counts, s)
		c.Fit.WorstCPU = math.Max(c.Fit.WorstCPU, math.Abs(x.ServerFitUS/x.ServerUS-1))
	}
	c.Fit.Runs = all
}

// simulateAll lets the simulation have the loads of the runs.
func simulateAll(c *plan.Costs, all []plan.FitRun, seed uint64) error {
	for i := range all {
		r, err := simulated(c, &all[i], seed)
		if err != nil {
			return err
		}
		all[i].Simulated.Take(r)
	}
	return nil
}

// fitAll fits times and costs by turns: each depends on the other a little.
func fitAll(c *plan.Costs, all []plan.FitRun, seed uint64) error {
	for i := range all {
		all[i].Simulated = plan.FitSimulated{} // of other costs
	}
	fitCosts(c, all)
	for range 3 {
		if err := fitTimes(c, all, seed); err != nil {
			return err
		}
		if err := simulateAll(c, all, seed); err != nil {
			return err
		}
		fitCosts(c, all)
	}
	return simulateAll(c, all, seed)
}

// fitTimes finds what takes time but no processor, by simulating the run that was
// disturbed least until it has that run's figures: waiting for the disk by the
// median and the 99th percentile of the times of commits, waking by the median
// latency. A run's percentiles of commits are interpolated in buckets that double: the
// tail comes out rather too long, which stands for what else stalls a machine.
func fitTimes(c *plan.Costs, all []plan.FitRun, seed uint64) error {
	run := calmest(all)
	for range 2 {
		if c.Durability != "memory" {
			tail := math.Max(1, run.CommitP99MS/math.Max(run.CommitP50MS, 0.01))
			err := bisect(20_000, func(sync float64) (bool, error) {
				c.Storage.SyncUS, c.Storage.SyncP99US = sync, sync*tail
				r, err := simulated(c, run, seed)
				return err == nil && float64(r.Commit.Quantile(0.5)) < 1e3*run.CommitP50MS, err
			})
			if err != nil {
				return err
			}
			median := c.Storage.SyncUS
			err = bisect(20*median*tail, func(p99 float64) (bool, error) {
				c.Storage.SyncP99US = math.Max(median, p99)
				r, err := simulated(c, run, seed)
				return err == nil && float64(r.Commit.Quantile(0.99)) < 1e3*run.CommitP99MS, err
			})
			if err != nil {
				return err
			}
		}
		err := bisect(1000, func(wake float64) (bool, error) {
			c.WakeUS = wake
			r, err := simulated(c, run, seed)
			return err == nil && float64(r.Latency.Quantile(0.5)) < 1e3*run.P50MS, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// calmest is the run that was disturbed least, of those as good as any the one in
// which the fewest deliveries were late.
func calmest(all []plan.FitRun) *plan.FitRun {
	best := &all[0]
	for i := range all {
		r := &all[i]
		if r.OthersCPUPerS < best.OthersCPUPerS-0.02 || r.OthersCPUPerS < best.OthersCPUPerS+0.02 && r.MissRate < best.MissRate {
			best = r
		}
	}
	return best
}

// bisect looks for the value between 0 and most from which on it is not too little
// any more; it was called with that value last.
func bisect(most float64, tooLittle func(float64) (bool, error)) error {
	low, high := 0.0, most
	for range 8 {
		middle := (low + high) / 2
		little, err := tooLittle(middle)
		if err != nil {
			return err
		}
		if little {
			low = middle
		} else {
			high = middle
		}
	}
	_, err := tooLittle((low + high) / 2)
	return err
}

func simulated(c *plan.Costs, run *plan.FitRun, seed uint64) (*plan.Result, error) {
	s, err := scenario.Load(run.Scenario)
	if err != nil {
		return nil, err
	}
	return plan.Together{
		Scenario: s, Participants: run.Participants, Rate: run.RatePerS / float64(run.Participants), Seed: seed, Costs: c, Cores: max(1, c.Cores),
		Warmup: time.Second, Duration: 2 * time.Second,
	}.Simulate()
}
