package plan_test

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/starling-vr/starling/loadtest/plan"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// costs are round ones, so that tests can reckon with them.
func costs() *plan.Costs {
	return &plan.Costs{
		Format: plan.CostsFormat, Version: plan.CostsVersion, Cores: 2,
		Gateway:   plan.GatewayCosts{ActionUS: 10, EncodeUS: 5, WriteUS: 5, FrameUS: 1, ConnectionBytes: 15_000},
		Owner:     plan.OwnerCosts{ActionUS: 10, CommitUS: 30, RouteUS: 1, RunUS: 20},
		Storage:   plan.StoreCosts{AppendUS: 10, ActionUS: 1},
		Generator: plan.GeneratorCosts{ActionUS: 4, ReadUS: 4, FrameUS: 0.25, DeliveryUS: 0.25},
		WakeUS:    50,
		Moves:     0.1,
	}
}

func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func together(t *testing.T, name string, participants int, c *plan.Costs) *plan.Result {
	t.Helper()
	r, err := plan.Together{Scenario: load(t, name), Participants: participants, Seed: 1, Costs: c, Cores: 2, Duration: 2 * time.Second}.Simulate()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func about(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got/want-1) > tolerance {
		t.Errorf("%s: %v, want about %v", what, got, want)
	}
}

func TestEverythingIsDeliveredAndAccountedFor(t *testing.T) {
	for name, size := range map[string]float64{"sparse": 2, "street": 8, "arena": 40} {
		r := together(t, name, 400, costs())
		about(t, name+" deliveries", r.Deliveries, size*r.Offered, 1e-9)
		if r.Refused != 0 || r.MissRate != 0 || r.ActionMissRate != 0 {
			t.Errorf("%s: refused %v/s, missed %v of the deliveries and %v of the actions", name, r.Refused, r.MissRate, r.ActionMissRate)
		}
		if r.Commits > r.Offered*1.01 || r.Messages > r.Commits*49 || r.Encoded > r.Messages || r.Frames > r.Deliveries || r.Frames < r.Writes || r.Writes > r.Deliveries*1.01 || r.Writes < r.Offered/2 {
			t.Errorf("%s: %+v", name, r)
		}
		server := 1e-6 * (20*r.Offered + 30*r.Commits + 5*r.Encoded + 5*r.Writes + r.Frames)
		about(t, name+" server", r.GatewayCPU+r.OwnerCPU, server, 0.02)
		about(t, name+" store", r.StoreCPU, 1e-6*(r.Offered+10*r.Commits), 0.02)
		about(t, name+" load tester", r.GeneratorCPU, 1e-6*(4*r.Offered+4*r.Writes+0.25*r.Frames+0.25*r.Deliveries), 0.02)
	}
}

func TestTooMuchIsMissed(t *testing.T) {
	if r := together(t, "arena", 6000, costs()); r.MissRate < 0.9 || r.GatewayBusy < 0.95 {
		t.Errorf("15,000 actions/s in groups of 40 on two cores: %v missed, %v busy", r.MissRate, r.GatewayBusy)
	}
}

func TestASlowDiskMakesLate(t *testing.T) {
	c := costs()
	c.Storage.Sync = plan.Spread{At: []float64{0, 0.5, 0.99, 1}, US: []float64{1000, 2000, 40_000, 60_000}}
	if fast, slow := together(t, "street", 200, costs()), together(t, "street", 200, c); slow.MissRate < 0.01 || fast.MissRate > 0 {
		t.Errorf("missed %v without waiting for the disk, %v with", fast.MissRate, slow.MissRate)
	}
}

func TestTheLimitIsWhereItStopsHolding(t *testing.T) {
	dear := costs() // eight times as dear, so that less is to be simulated
	for _, cost := range []*float64{&dear.Gateway.ActionUS, &dear.Gateway.EncodeUS, &dear.Gateway.WriteUS, &dear.Gateway.FrameUS,
		&dear.Owner.ActionUS, &dear.Owner.CommitUS, &dear.Generator.ActionUS, &dear.Generator.ReadUS, &dear.Generator.DeliveryUS} {
		*cost *= 8
	}
	one := plan.Together{Scenario: load(t, "street"), Participants: 100, Seed: 1, Costs: dear, Cores: 2, Warmup: time.Second, Duration: time.Second}
	at, err := one.Limit(0.01)
	if err != nil || at == nil {
		t.Fatal(at, err)
	}
	// Two cores at 192 us an action, for each of 8 deliveries 12, and 72 for each
	// write, of which there may be as many.
	if at.Offered < 2e6/(192+8*12+8*72+240+80)/2 || at.Offered > 2e6/(192+8*12) || at.MissRate > 0.01 || at.Participants%8 != 0 {
		t.Errorf("limit %v actions/s with %v missed", at.Offered, at.MissRate)
	}
	one.Participants = at.Participants * 5 / 4 / 8 * 8
	if beyond, err := one.Simulate(); err != nil || beyond.MissRate <= 0.01 {
		t.Errorf("a quarter more: %+v, %v", beyond, err)
	}
	dear.Gateway.WriteUS = 1e5
	if at, err := one.Limit(0.01); err != nil || at != nil {
		t.Errorf("%+v is held with writes of 0.1 s, %v", at, err)
	}
}

// What a slice of the crowd says, scaled up, is what the whole says.
func TestASliceSaysWhatTheWholeSays(t *testing.T) {
	s := load(t, "pokemon-go")
	const people = 30_000
	request := plan.Request{
		Scenario: s, Participants: people, Rate: 0.1, Seed: 1, Costs: costs(), Duration: 2 * time.Second,
		Fixed: &plan.Deployment{Gateways: 8, Owners: 2, Stores: 2, Cores: 2},
	}
	whole, err := plan.Simulate(setup(t, request))
	if err != nil {
		t.Fatal(err)
	}
	request.Sample = people / 4
	slice, err := plan.Make(request)
	if err != nil {
		t.Fatal(err)
	}
	if slice.Simulated.Share > 0.3 || slice.Simulated.Share < 0.05 {
		t.Fatalf("%+v", slice.Simulated)
	}
	about(t, "affected", slice.Simulated.Affected, whole.Affected, 0.15)
	about(t, "busy gateways", slice.GatewayBusy, whole.GatewayBusy, 0.2)
	about(t, "busy owners", slice.OwnerBusy, whole.OwnerBusy, 0.2)
	about(t, "busy stores", slice.StoreBusy, whole.StoreBusy, 0.2)
	about(t, "writes", slice.Writes, whole.Writes, 0.2)
	about(t, "messages", slice.Messages, whole.Messages, 0.2)
	about(t, "commits", slice.Commits, whole.Commits, 0.2)
}

func setup(t *testing.T, r plan.Request) plan.Setup {
	t.Helper()
	crowd, err := scenario.New(r.Scenario, scenario.Options{Participants: r.Participants, Rate: r.Rate, Seed: r.Seed, Duration: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Setup{Crowd: crowd, Scenario: r.Scenario, Costs: r.Costs, Deployment: *r.Fixed, Warmup: 2 * time.Second, Duration: r.Duration, Seed: r.Seed}
}

func TestAPlanHolds(t *testing.T) {
	a, err := plan.Make(plan.Request{Scenario: load(t, "stand-out"), Participants: 4000, Seed: 1, Costs: costs(), Cores: 2, Duration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Holds || a.MissRate > 0.01 || a.GatewayBusy > 0.63 || a.OwnerBusy > 0.63 || a.StoreBusy > 0.63 {
		t.Errorf("%+v", a)
	}
	about(t, "actions", a.Actions, 10_000, 0.01)
	if a.Shards != 100 || a.Affected.Most > 40 || a.Used <= 0 || a.Connections < 4000/a.Deployment.Gateways {
		t.Errorf("%+v", a)
	}
	// 10,000 actions/s with about 38 deliveries of at least 1 us each need 0.4 cores
	// at the very least.
	if a.Deployment.Gateways < 1 || a.CPU < 0.5 {
		t.Errorf("%+v", a.Deployment)
	}
}

// Used is what the scheduler reckons it by: the contract's memory, 4 KiB, times the
// run time, for each action of the crowd once, however many owners' worth of other
// shares an owner stands in for.
func TestUsedCountsEachActionOnce(t *testing.T) {
	for _, owners := range []int{1, 4} {
		a, err := plan.Make(plan.Request{
			Scenario: load(t, "pokemon-go"), Participants: 30_000, Rate: 0.2, Seed: 1, Costs: costs(), Sample: 7500, Duration: 2 * time.Second,
			Fixed: &plan.Deployment{Gateways: 8, Owners: owners, Stores: 1, Cores: 4},
		})
		if err != nil {
			t.Fatal(err)
		}
		if a.Simulated.Share > 0.3 {
			t.Fatalf("%+v", a.Simulated)
		}
		about(t, "Used", a.Used, a.Actions*20e-6*4096/1e9, 0.15)
	}
	r := together(t, "arena", 400, costs())
	about(t, "Used on one machine", r.Used, r.Offered*20e-6*4096/1e9, 0.02)
}

func TestAPlanThatCannotHoldSaysWhy(t *testing.T) {
	a, err := plan.Make(plan.Request{
		Scenario: load(t, "arena"), Participants: 4000, Seed: 1, Costs: costs(), Duration: time.Second,
		Fixed: &plan.Deployment{Gateways: 1, Owners: 1, Stores: 1, Cores: 1},
	})
	if err != nil || a.Holds || !strings.Contains(a.Why, "late") {
		t.Errorf("%+v, %v", a, err)
	}
	s := load(t, "street")
	s.Churn.Stay = scenario.Duration(time.Minute)
	if _, err := plan.Make(plan.Request{Scenario: s, Participants: 4000, Sample: 100, Costs: costs(), Fixed: &plan.Deployment{Gateways: 9, Owners: 1, Stores: 1, Cores: 1}}); err == nil {
		t.Error("a part of a crowd with churn was planned for")
	}
}

func TestCostsComeBack(t *testing.T) {
	for _, c := range []*plan.Costs{costs(), plan.DefaultCosts()} {
		var text bytes.Buffer
		if err := c.Write(&text); err != nil {
			t.Fatal(err)
		}
		again, err := plan.ReadCosts(&text)
		if err != nil || again.Gateway != c.Gateway || again.Owner != c.Owner || !reflect.DeepEqual(again.Storage, c.Storage) || !reflect.DeepEqual(again.Stalls, c.Stalls) {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "another form": `{"format":"x"}`, "newer": `{"format":"starling-costs","version":99}`,
		"unknown": `{"format":"starling-costs","version":5,"gateways":1}`, "negative": `{"format":"starling-costs","version":5,"wake_us":-1}`, "older": `{"format":"starling-costs","version":2}`,
		"half a spread": `{"format":"starling-costs","version":5,"storage":{"sync":{"at":[0,1],"us":[1]}}}`, "a spread that falls": `{"format":"starling-costs","version":5,"storage":{"sync":{"at":[0,1],"us":[2,1]}}}`,
		"stalls all the time": `{"format":"starling-costs","version":5,"stalls":{"per_s":1000,"time":{"at":[0,1],"us":[1000,1001]}}}`,
	} {
		if _, err := plan.ReadCosts(strings.NewReader(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzReadCosts(f *testing.F) {
	f.Add(`{"format":"starling-costs","version":5,"wake_us":3}`)
	f.Add(`{"format":"starling-costs","version":5,"storage":{"sync":{"at":[0,0.5,1],"us":[100,200,9000]}},"stalls":{"per_s":200,"time":{"at":[0,1],"us":[50,4000]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := plan.ReadCosts(strings.NewReader(text)); err == nil && c.Format != plan.CostsFormat {
			t.Fatal("taken")
		}
	})
}
