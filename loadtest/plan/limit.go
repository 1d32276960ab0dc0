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

// Limit gives the largest crowd, each at its lambda, of whose deliveries no more
// than maxMiss miss, to a fiftieth (or one group), and what the simulation found
// there: nil if not even a single group is held.
func (t Together) Limit(maxMiss float64) (*Result, error) {
	var at *Result
	group := t.group()
	low, high := 0, 0
	for people := max(group, t.Participants); high == 0 || high-low > max(group, high/50); {
		t.Participants = people
		result, err := t.Simulate()
		if err != nil {
			return nil, err
		}
		if result.MissRate <= maxMiss {
			low, at = people, result
		} else {
			high = people
		}
		if high == 0 {
			people *= 2
			continue
		}
		if people = (low + high) / 2 / group * group; people == 0 {
			break
		}
		if people <= low {
			people = low + group
		}
	}
	return at, nil
}

// group is how many participants come together.
func (t *Together) group() int {
	switch s := t.Scenario; {
	case s.Groups != nil:
		return s.Groups.Size
	case s.Matches != nil:
		return s.Matches.Size
	}
	return 1
}

// Prediction is what is told of one machine.
type Prediction struct {
	Format         string  `json:"format"` // always PredictionFormat
	Version        int     `json:"version"`
	Scenario       string  `json:"scenario"`
	Participants   int     `json:"participants"`
	Cores          int     `json:"cores"`
	Limit          bool    `json:"limit,omitempty"` // participants are as many as hold, and what follows is there
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
	p.Participants = r.Participants
	p.Offered, p.Deliveries, p.MissRate, p.ActionMissRate = r.Offered, r.Deliveries, r.MissRate, r.ActionMissRate
	p.P50MS, p.P99MS = float64(r.Latency.Quantile(0.5))/1000, float64(r.Latency.Quantile(0.99))/1000
	p.ServerUS, p.StoreUS, p.GeneratorUS = each*(r.GatewayCPU+r.OwnerCPU), each*r.StoreCPU, each*r.GeneratorCPU
	p.Busy, p.Commits, p.Writes = r.GatewayBusy, r.Commits, r.Writes
}
