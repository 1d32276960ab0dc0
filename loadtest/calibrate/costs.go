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
	serverPrior    = []float64{20, 30, 5, 6, 0.5} // action, commit, encoded frame, write, frame written
	storePrior     = []float64{10, 1}             // append, action
	generatorPrior = []float64{4, 4, 0.5, 0.5}    // action, read, frame, delivery
)

// ownerShare is the owner's part of what the server's process spends on an action
// itself; the rest is the gateway's.
const ownerShare = 0.4

func fitCosts(all []plan.FitRun) *plan.Costs {
	var server, store, generator []equation
	for i := range all {
		x := &all[i]
		server = append(server, equation{[]float64{1, x.Commits / x.Actions, x.Encoded / x.Actions, x.Writes / x.Actions, x.Frames / x.Actions}, x.ServerUS})
		if x.StoreUS > 0 {
			store = append(store, equation{[]float64{x.Commits / x.Actions, 1}, x.StoreUS})
		}
		generator = append(generator, equation{[]float64{1, x.Writes / x.Actions, x.Frames / x.Actions, x.Deliveries / x.Actions}, x.GeneratorUS})
	}
	c := &plan.Costs{Format: plan.CostsFormat, Version: plan.CostsVersion}
	s := fit(server, serverPrior)
	c.Gateway = plan.GatewayCosts{ActionUS: (1 - ownerShare) * s[0], EncodeUS: s[2], WriteUS: s[3], FrameUS: s[4]}
	c.Owner = plan.OwnerCosts{ActionUS: ownerShare * s[0], CommitUS: s[1], RouteUS: 0.7}
	if len(store) > 0 {
		r := fit(store, storePrior)
		c.Storage.AppendUS, c.Storage.ActionUS = r[0], r[1]
	}
	g := fit(generator, generatorPrior)
	c.Generator = plan.GeneratorCosts{ActionUS: g[0], ReadUS: g[1], FrameUS: g[2], DeliveryUS: g[3]}
	for i := range all {
		x := all[i]
		x.ServerFitUS = dot(server[i].counts, s)
		c.Fit.WorstCPU = math.Max(c.Fit.WorstCPU, math.Abs(x.ServerFitUS/x.ServerUS-1))
		c.Fit.Runs = append(c.Fit.Runs, x)
	}
	return c
}

// fitTimes finds what takes time but no processor: waiting for the disk, from the
// times of commits of the lightest run, and waking, so that simulated runs have
// the median latency of the measured light ones.
func fitTimes(c *plan.Costs, all []plan.FitRun, seed uint64) error {
	light := &all[0]
	for i := range all {
		if all[i].Actions < light.Actions {
			light = &all[i]
		}
	}
	ours := c.Storage.AppendUS + c.Owner.CommitUS
	if c.Durability != "memory" {
		c.Storage.SyncUS = math.Max(0, 1e3*light.CommitP50MS-ours)
		c.Storage.SyncP99US = math.Max(c.Storage.SyncUS, 1e3*light.CommitP99MS-ours)
	}
	low, high := 0.0, 1000.0
	for range 7 {
		c.WakeUS = (low + high) / 2
		p50, err := simulatedP50(c, light, seed)
		if err != nil {
			return err
		}
		if p50 < light.P50MS {
			low = c.WakeUS
		} else {
			high = c.WakeUS
		}
	}
	return nil
}

func simulatedP50(c *plan.Costs, run *plan.FitRun, seed uint64) (float64, error) {
	s, err := scenario.Load(run.Scenario)
	if err != nil {
		return 0, err
	}
	r, err := plan.Together{
		Scenario: s, Participants: run.Participants, Rate: run.RatePerS / float64(run.Participants), Seed: seed, Costs: c, Cores: max(1, c.Cores), Duration: 3 * time.Second,
	}.Simulate()
	if err != nil {
		return 0, err
	}
	return float64(r.Latency.Quantile(0.5)) / 1000, nil
}
