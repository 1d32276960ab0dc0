package calibrate

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/starling-vr/starling/loadtest/limit"
	"github.com/starling-vr/starling/loadtest/plan"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/loadtest/target"
	"github.com/starling-vr/starling/loadtest/trial"
)

// CheckOptions say what to hold predictions against.
type CheckOptions struct {
	Target    target.Options // the store and durability of the costs
	Costs     *plan.Costs
	Scenarios []string // none: sparse, street and arena
	MaxMiss   float64  // 0: 1 %
	Precision float64  // of the real limit; 0: 0.15
	Warmup    time.Duration
	Duration  time.Duration
	Seeds     []uint64 // none: 1
	Log       *slog.Logger
	Progress  func(string)
}

// Check holds the predicted limit of a scenario, and the prediction for each real
// run of the search for the real one, against what was measured.
func Check(ctx context.Context, o CheckOptions) ([]plan.Check, error) {
	o.complete()
	var all []plan.Check
	for _, name := range o.Scenarios {
		c, err := o.check(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, *c)
	}
	return all, nil
}

func (o *CheckOptions) complete() {
	if len(o.Scenarios) == 0 {
		o.Scenarios = []string{"sparse", "street", "arena"}
	}
	if o.MaxMiss == 0 {
		o.MaxMiss = 0.01
	}
	if o.Precision == 0 {
		o.Precision = 0.15
	}
	if o.Warmup == 0 {
		o.Warmup = 3 * time.Second
	}
	if o.Duration == 0 {
		o.Duration = 6 * time.Second
	}
	if len(o.Seeds) == 0 {
		o.Seeds = []uint64{1}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

func (o *CheckOptions) check(ctx context.Context, name string) (*plan.Check, error) {
	s, err := scenario.Load(name)
	if err != nil {
		return nil, err
	}
	together := plan.Together{Scenario: s, Participants: 50 * groupSize(s), Seed: o.Seeds[0], Costs: o.Costs, Cores: max(1, o.Costs.Cores)}
	predicted, err := together.Limit(o.MaxMiss)
	if err != nil {
		return nil, err
	}
	c := &plan.Check{Scenario: name}
	first := float64(together.Participants)
	if predicted != nil {
		c.PredictedPerS = predicted.Offered
		first = float64(predicted.Participants)
	}
	o.Progress(fmt.Sprintf("%s: predicted to hold %.0f actions/s", name, c.PredictedPerS))
	search := limit.Search{
		First: first, Precision: o.Precision, MaxMiss: o.MaxMiss, Seeds: o.Seeds,
		Try: func(ctx context.Context, people float64, seed uint64) (*report.Run, error) {
			return o.try(ctx, c, together, people, seed)
		},
	}
	found, err := search.Run(ctx)
	if err != nil {
		return nil, err
	}
	for i := range found.Runs {
		c.MeasuredPerS += found.Runs[i].OfferedPerS / float64(len(found.Runs))
	}
	if c.MeasuredPerS > 0 {
		c.Error = c.PredictedPerS/c.MeasuredPerS - 1
	}
	o.Progress(fmt.Sprintf("%s: holds %.0f actions/s, predicted were %.0f (%+.0f %%)", name, c.MeasuredPerS, c.PredictedPerS, 100*c.Error))
	return c, nil
}

func groupSize(s *scenario.Scenario) int {
	switch {
	case s.Groups != nil:
		return s.Groups.Size
	case s.Matches != nil:
		return s.Matches.Size
	}
	return 1
}

// try makes a real run and predicts it.
func (o *CheckOptions) try(ctx context.Context, c *plan.Check, together plan.Together, people float64, seed uint64) (*report.Run, error) {
	group := groupSize(together.Scenario)
	together.Participants = max(1, int(math.Round(people/float64(group)))) * group
	together.Seed = seed
	self := o.Target
	run, err := trial.Run(ctx, trial.Spec{
		Scenario: together.Scenario, Participants: together.Participants, Seed: seed, Deadline: 15 * time.Millisecond,
		Warmup: o.Warmup, Duration: o.Duration, Self: &self, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	predicted, err := together.Simulate()
	if err != nil {
		return nil, err
	}
	point := plan.CheckPoint{
		Participants: together.Participants, OfferedPerS: run.OfferedPerS, MissRate: run.MissRate, PredictedMissRate: predicted.MissRate,
		P50MS: run.LatencyMS.P50, PredictedP50MS: float64(predicted.Latency.Quantile(0.5)) / 1000,
	}
	point.PredictedServerUS = 1e6 * (predicted.GatewayCPU + predicted.OwnerCPU + predicted.StoreCPU) / predicted.Offered
	if run.Server != nil {
		point.ServerUS = run.Server.CPUUSPerAction
	}
	if run.Machine.OthersCPUS != nil {
		point.OthersCPUPerS = *run.Machine.OthersCPUS / run.DurationS
	}
	c.Points = append(c.Points, point)
	o.Progress(fmt.Sprintf("  %d participants: %.2f %% missed, predicted %.2f %%; %.0f us an action, predicted %.0f; others used %.2f cores",
		point.Participants, 100*point.MissRate, 100*point.PredictedMissRate, point.ServerUS, point.PredictedServerUS, point.OthersCPUPerS))
	return run, nil
}
