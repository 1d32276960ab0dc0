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
	serverPrior    = []float64{20, 30, 5, 24, 4, 0.5, 40} // action, commit, encoded frame, call, write, frame written, wake
	storePrior     = []float64{60, 10, 1}                 // round, append, action
	generatorPrior = []float64{4, 4, 0.5, 0.5, 40}        // action, read, frame, delivery, wake
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
		server = append(server, equation{[]float64{1, each * x.Commits, each * x.Encoded, each * x.Calls, each * x.Writes, each * x.Frames, each * m.Wakes}, x.ServerUS})
		if x.StoreUS > 0 {
			store = append(store, equation{[]float64{each * m.Rounds, each * x.Commits, 1}, x.StoreUS})
		}
		generator = append(generator, equation{[]float64{1, each * x.Writes, each * x.Frames, each * x.Deliveries, each * m.GeneratorWakes}, x.GeneratorUS})
	}
	s := fit(server, serverPrior)
	c.Gateway.ActionUS, c.Owner.ActionUS = (1-ownerShare)*s[0], ownerShare*s[0]
	c.Owner.CommitUS, c.Gateway.EncodeUS, c.Gateway.CallUS, c.Gateway.WriteUS, c.Gateway.FrameUS, c.Gateway.WakeUS = s[1], s[2], s[3], s[4], s[5], s[6]
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

// fitAll fits costs and simulates by turns: how often cores rest, and how many
// rounds there are, depends on the costs a little.
func fitAll(c *plan.Costs, all []plan.FitRun, seed uint64) error {
	for i := range all {
		all[i].Simulated = plan.FitSimulated{} // of other costs
	}
	fitCosts(c, all)
	for range 3 {
		if err := fitReplica(c, all, seed); err != nil {
			return err
		}
		if err := simulateAll(c, all, seed); err != nil {
			return err
		}
		fitCosts(c, all)
	}
	return simulateAll(c, all, seed)
}

// fitReplica finds how long a replica takes to confirm, by simulating the run that
// was disturbed least until its commits take as long as they did.
func fitReplica(c *plan.Costs, all []plan.FitRun, seed uint64) error {
	if c.Durability != "replicated" {
		return nil
	}
	run := calmest(all)
	return bisect(20_000, func(replica float64) (bool, error) {
		c.Storage.ReplicaUS = replica
		r, err := simulated(c, run, seed)
		return err == nil && r.Commit.Mean() < 1e3*run.CommitMS, err
	})
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
