package plan

import (
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
)

// Together is a crowd on one machine that it shares with the server, the store and
// the load tester.
type Together struct {
	Scenario     *scenario.Scenario
	Participants int
	Rate         float64 // mean lambda; 0: the scenario's
	Seed         uint64
	Costs        *Costs
	Cores        int
	Deadline     time.Duration // 0: 15 ms
	Warmup       time.Duration // 0: 2 s
	Duration     time.Duration // 0: 4 s
}

// Simulate predicts what `starling loadtest crowd --self` would measure.
func (t Together) Simulate() (*Result, error) {
	orDefault(&t.Warmup, 2*time.Second)
	orDefault(&t.Duration, 4*time.Second)
	crowd, err := scenario.New(t.Scenario, scenario.Options{
		Participants: t.Participants, Rate: t.Rate, Seed: t.Seed, Duration: t.Warmup + t.Duration,
	})
	if err != nil {
		return nil, err
	}
	return Simulate(Setup{
		Crowd: crowd, Scenario: t.Scenario, Costs: t.Costs, Warmup: t.Warmup, Duration: t.Duration, Seed: t.Seed,
		Deployment: Deployment{Together: true, Cores: t.Cores, Deadline: t.Deadline},
	})
}

// Limit gives the highest rate of all actions together at which no more than
// maxMiss of the deliveries miss, to a fiftieth, and what the simulation found
// there. It is 0 if not even ten actions per second are held.
func (t Together) Limit(maxMiss float64) (actions float64, at *Result, err error) {
	people := float64(t.Participants)
	low, high := 0.0, 0.0
	for rate := 10.0; high == 0 || high-low > high/50; {
		t.Rate = rate / people
		result, err := t.Simulate()
		if err != nil {
			return 0, nil, err
		}
		if result.MissRate <= maxMiss {
			low, at = rate, result
		} else {
			high = rate
		}
		switch {
		case high == 0 && rate < 1e6:
			rate = max(2*rate, 500)
		case high == 0, low == 0 && high <= 10:
			return low, at, nil
		default:
			rate = (low + high) / 2
		}
	}
	return low, at, nil
}

// Prediction is what is told of one machine.
type Prediction struct {
	Format         string  `json:"format"` // always PredictionFormat
	Version        int     `json:"version"`
	Scenario       string  `json:"scenario"`
	Participants   int     `json:"participants"`
	Cores          int     `json:"cores"`
	Limit          float64 `json:"limit_per_s,omitempty"` // highest rate of actions that holds; what follows is there
	Offered        float64 `json:"offered_per_s"`
	Deliveries     float64 `json:"deliveries_per_s"`
	MissRate       float64 `json:"miss_rate"`
	ActionMissRate float64 `json:"action_miss_rate"`
	P50MS          float64 `json:"p50_ms"`
	P99MS          float64 `json:"p99_ms"`
	ServerUS       float64 `json:"server_us"` // processor microseconds an action
	StoreUS        float64 `json:"store_us"`
	GeneratorUS    float64 `json:"generator_us"`
	Busy           float64 `json:"busy"` // share of the cores
	Commits        float64 `json:"commits_per_s"`
	Writes         float64 `json:"writes_per_s"`
}

// PredictionFormat names the JSON form of a Prediction.
const PredictionFormat = "starling-prediction"

// Take fills in what a simulation found; nil fills in nothing.
func (p *Prediction) Take(r *Result) {
	if r == nil {
		return
	}
	each := 1e6 / max(1, r.Offered)
	p.Offered, p.Deliveries, p.MissRate, p.ActionMissRate = r.Offered, r.Deliveries, r.MissRate, r.ActionMissRate
	p.P50MS, p.P99MS = float64(r.Latency.Quantile(0.5))/1000, float64(r.Latency.Quantile(0.99))/1000
	p.ServerUS, p.StoreUS, p.GeneratorUS = each*(r.GatewayCPU+r.OwnerCPU), each*r.StoreCPU, each*r.GeneratorCPU
	p.Busy, p.Commits, p.Writes = r.GatewayBusy, r.Commits, r.Writes
}
