package plan

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// Request says what to plan for.
type Request struct {
	Scenario     *scenario.Scenario
	Participants int     // 0: the scenario's
	Rate         float64 // mean lambda; 0: the scenario's
	Density      float64 // 0: 1
	Seed         uint64
	Costs        *Costs // nil: DefaultCosts

	Deadline time.Duration // D; 0: 15 ms
	MaxMiss  float64       // of deliveries; 0: 1 %
	Busiest  float64       // share of its cores that a process may use; 0: 0.6
	Cores    int           // of each gateway and owner; 0: 4

	Connections int           // of a gateway, at most; 0: 100,000
	Warmup      time.Duration // of each simulation, 0: 2 s
	Duration    time.Duration // 0: 4 s, and as long as it takes until the last flash crowd is over, 30 s at most
	Sample      int           // participants that are simulated at once, at most; 0: 400,000
	Fixed       *Deployment   // try this one alone
	Progress    func(string)
}

func (r *Request) complete() {
	if r.Participants == 0 {
		r.Participants = r.Scenario.Participants
	}
	if r.Costs == nil {
		r.Costs = DefaultCosts()
	}
	orDefault(&r.Deadline, 15*time.Millisecond)
	orDefault(&r.MaxMiss, 0.01)
	orDefault(&r.Busiest, 0.6)
	orDefault(&r.Cores, 4)
	orDefault(&r.Connections, 100_000)
	orDefault(&r.Warmup, 2*time.Second)
	orDefault(&r.Sample, 400_000)
	if r.Duration == 0 {
		r.Duration = 4 * time.Second
		for _, f := range r.Scenario.Arrivals.Flash {
			end := time.Duration(f.At+f.Rise+f.Hold+f.Fall) + time.Second
			r.Duration = max(r.Duration, min(end-r.Warmup, 30*time.Second))
		}
	}
	if r.Progress == nil {
		r.Progress = func(string) {}
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Answer is a plan. Rates are per second.
type Answer struct {
	Format  string `json:"format"` // always AnswerFormat
	Version int    `json:"version"`

	Scenario     string  `json:"scenario"`
	Participants int     `json:"participants"`
	Actions      float64 `json:"actions_per_s"`    // of the whole crowd, flash crowds apart
	Deliveries   float64 `json:"deliveries_per_s"` // expected, of the whole crowd
	DeadlineMS   float64 `json:"deadline_ms"`

	// The whole crowd, as it stands at the start.
	Affected     Affected `json:"affected"`
	Cells        int      `json:"cells"`
	Shards       int      `json:"shards"`
	FullestCell  int      `json:"fullest_cell"`  // participants
	FullestShard int      `json:"fullest_shard"` // participants

	Deployment Deployment `json:"deployment"`
	Holds      bool       `json:"holds"` // the miss rate is within its bound, no process is busier and no gateway has more connections than it may
	Why        string     `json:"why"`   // if not: each bound that is exceeded

	// Of the deployment under the crowd, by simulation.
	MissRate       float64 `json:"miss_rate"`
	ActionMissRate float64 `json:"action_miss_rate"`
	P50MS          float64 `json:"p50_ms"`
	P99MS          float64 `json:"p99_ms"`
	P999MS         float64 `json:"p999_ms"`
	Refused        float64 `json:"refused_per_s"`
	GatewayBusy    float64 `json:"gateway_busy"` // share of the cores
	OwnerBusy      float64 `json:"owner_busy"`
	StoreBusy      float64 `json:"store_busy"`
	CPU            float64 `json:"cpu"`            // cores' worth of processor time, all processes
	Used           float64 `json:"used_gb_s"`      // per second: memory of each invocation times its run time, GB x second
	Connections    int     `json:"connections"`    // of a gateway
	GatewayBytes   float64 `json:"gateway_bytes"`  // resident memory of a gateway, for its connections
	Commits        float64 `json:"commits_per_s"`  // of the whole crowd
	Writes         float64 `json:"writes_per_s"`   // to sockets, of the whole crowd
	Messages       float64 `json:"messages_per_s"` // of cells from owners to gateways, of the whole crowd

	Simulated Simulated `json:"simulated"`
	Tried     []Tried   `json:"tried"`
}

// Affected is P(L).
type Affected struct {
	Mean float64 `json:"mean"`
	P50  int     `json:"p50"`
	P90  int     `json:"p90"`
	P99  int     `json:"p99"`
	Most int     `json:"most"`
}

// Simulated says what part of the crowd was simulated in full detail. Its figures
// are scaled up by 1/Share.
type Simulated struct {
	Share        float64 `json:"share"` // of the participants
	Participants int     `json:"participants"`
	Seconds      float64 `json:"seconds"`
	Affected     float64 `json:"affected"` // mean of P(L) there, to be held against the whole's
}

// Tried is one deployment that was simulated.
type Tried struct {
	Deployment  Deployment `json:"deployment"`
	MissRate    float64    `json:"miss_rate"`
	GatewayBusy float64    `json:"gateway_busy"`
	OwnerBusy   float64    `json:"owner_busy"`
	StoreBusy   float64    `json:"store_busy"`
}

// AnswerFormat names the JSON form of an Answer.
const (
	AnswerFormat  = "starling-plan"
	AnswerVersion = 1
)

// Make plans: it counts the crowd, takes a first guess by the costs, and simulates
// a part of the crowd on that deployment, adding processes until it holds.
func Make(r Request) (*Answer, error) {
	r.complete()
	a := &Answer{
		Format: AnswerFormat, Version: AnswerVersion, Scenario: r.Scenario.Name, Participants: r.Participants,
		DeadlineMS: float64(r.Deadline) / float64(time.Millisecond),
	}
	r.Progress(fmt.Sprintf("counting %d participants", r.Participants))
	crowd, err := scenario.New(r.Scenario, r.options(nil))
	if err != nil {
		return nil, err
	}
	a.count(crowd)
	crowd = nil // it may be large
	d := r.guess(a)
	if r.Fixed != nil {
		d = *r.Fixed
	}
	for round := range 10 {
		d.Deadline = r.Deadline
		result, err := r.try(a, d)
		if err != nil {
			return nil, err
		}
		a.Why = r.faults(d, result)
		a.Holds = a.Why == ""
		a.take(&r, d, result)
		if a.Holds || r.Fixed != nil || round == 9 {
			break
		}
		more := r.more(d, result)
		if more == d {
			break
		}
		d = more
	}
	return a, nil
}

func (r *Request) options(only func(scenario.Home) bool) scenario.Options {
	return scenario.Options{
		Participants: r.Participants, Rate: r.Rate, Density: r.Density, Seed: r.Seed,
		Duration: r.Warmup + r.Duration, Only: only,
	}
}

// count takes the figures of the whole crowd.
func (a *Answer) count(crowd *scenario.Crowd) {
	f := crowd.Figures()
	a.Actions = crowd.Rate() * float64(crowd.Present())
	a.Affected = Affected{
		Mean: f.MeanAffected(), P50: f.AffectedAt(0.5), P90: f.AffectedAt(0.9), P99: f.AffectedAt(0.99), Most: f.AffectedAt(1),
	}
	a.Deliveries = a.Actions * a.Affected.Mean
	a.Cells, a.Shards, a.FullestCell, a.FullestShard = f.Cells, f.Shards, f.Busiest, f.FullestShard
}

// guess reckons without queues.
func (r *Request) guess(a *Answer) Deployment {
	c := r.Costs
	// Nothing merges, which is dear, but a little: commits of shards that are busy.
	commits := math.Min(a.Actions, float64(a.Shards)*200)
	gateway := a.Actions*(c.Gateway.ActionUS+2*c.Owner.RouteUS+c.Gateway.EncodeUS) + a.Deliveries*(c.Gateway.WriteUS+c.Gateway.FrameUS)/2
	owner := a.Actions*(c.Owner.ActionUS+2*c.Owner.RouteUS) + commits*c.Owner.CommitUS
	stores := a.Actions*c.Storage.ActionUS + commits*c.Storage.AppendUS
	count := func(microseconds float64, cores int) int {
		return max(1, int(math.Ceil(microseconds/1e6/(r.Busiest*float64(cores)))))
	}
	return Deployment{
		Gateways: max(count(gateway, r.Cores), (r.Participants+r.Connections-1)/r.Connections),
		Owners:   count(owner, r.Cores), Stores: count(stores, 1), Cores: r.Cores,
	}
}

// try simulates a deployment under a part of the crowd, the largest that comes to
// whole gateways.
func (r *Request) try(a *Answer, d Deployment) (*Result, error) {
	share := 1.0
	for n := d.Gateways; n >= 1; n-- {
		if share = float64(n) / float64(d.Gateways); n == 1 || share*float64(r.Participants) <= float64(r.Sample) {
			break
		}
	}
	if share < 1 {
		// The slice of one gateway is enough.
		share = 1 / float64(d.Gateways)
	}
	if share < 1 {
		if changing := r.Scenario.Churn.Stay > 0 || len(r.Scenario.Storms) > 0; changing {
			return nil, fmt.Errorf("%d participants with churn or storms are more than can be simulated at once (%d): leave these out", r.Participants, r.Sample)
		}
	}
	r.Progress(fmt.Sprintf("simulating %d gateways, %d owners, %d stores", d.Gateways, d.Owners, d.Stores))
	crowd, err := scenario.New(r.Scenario, r.options(slicer(share)))
	if err != nil {
		return nil, err
	}
	if crowd.Participants() == 0 {
		return nil, fmt.Errorf("nobody is in a share of %.2g of the crowd", share)
	}
	exact := float64(crowd.Present()) / float64(r.Participants)
	result, err := Simulate(Setup{
		Crowd: crowd, Scenario: r.Scenario, Share: exact, Costs: r.Costs, Deployment: d, Warmup: r.Warmup, Duration: r.Duration, Seed: r.Seed,
	})
	if err != nil {
		return nil, err
	}
	a.Simulated = Simulated{Share: exact, Participants: crowd.Present(), Seconds: r.Duration.Seconds(), Affected: result.Affected}
	return result, nil
}

// slicer keeps a share of the homes: all that lie in the same area, some shards
// large, are kept or left together, so that those kept have their neighbours.
func slicer(share float64) func(scenario.Home) bool {
	if share >= 1 {
		return nil
	}
	shards := world.DefaultShardMap()
	const coarser = 1 // resolutions: seven shards
	return func(h scenario.Home) bool {
		area := uint64(h.Index)
		if h.Place == nil {
			if cell, err := hex.Cell(h.Lat, h.Lng, shards.BaseResolution-coarser); err == nil {
				area = uint64(cell)
			}
		}
		area *= 0x9e3779b97f4a7c15
		area ^= area >> 32
		area *= 0xd6e8feb86659fd93
		return float64(area>>11)/(1<<53) < share
	}
}

// faults says why a deployment does not do: each bound that it exceeds.
func (r *Request) faults(d Deployment, x *Result) string {
	var all []string
	if x.MissRate > r.MaxMiss {
		all = append(all, fmt.Sprintf("%.2f %% of the deliveries come late or not at all, more than %g %%", 100*x.MissRate, 100*r.MaxMiss))
	}
	if each := r.connections(d); each > r.Connections {
		all = append(all, fmt.Sprintf("a gateway has %d connections, more than %d", each, r.Connections))
	}
	for _, of := range []struct {
		what string
		busy float64
	}{{"gateways", x.GatewayBusy}, {"owners", x.OwnerBusy}, {"stores", x.StoreBusy}} {
		if of.busy > r.Busiest {
			all = append(all, fmt.Sprintf("%s are busy for %.1f %%, more than %g %%", of.what, 100*of.busy, 100*r.Busiest))
		}
	}
	return strings.Join(all, "; ")
}

// connections is how many a gateway has.
func (r *Request) connections(d Deployment) int {
	return (r.Participants + d.Gateways - 1) / d.Gateways
}

// more gives the deployment what it lacks.
func (r *Request) more(d Deployment, x *Result) Deployment {
	grow := func(n int, busy float64) int {
		if busy > 0.9*r.Busiest {
			return max(n+1, int(math.Ceil(float64(n)*math.Min(2, busy/(0.9*r.Busiest)))))
		}
		return n
	}
	was := d
	d.Gateways, d.Owners, d.Stores = grow(d.Gateways, x.GatewayBusy), grow(d.Owners, x.OwnerBusy), grow(d.Stores, x.StoreBusy)
	if d == was && x.MissRate > r.MaxMiss && (x.GatewayBusy > 0.25 || x.OwnerBusy > 0.25) {
		// Nothing is busy and yet it is late: more of what is busiest.
		if x.GatewayBusy >= x.OwnerBusy {
			d.Gateways += (d.Gateways + 3) / 4
		} else {
			d.Owners += (d.Owners + 3) / 4
		}
	}
	return d
}

// take notes what a simulation found.
func (a *Answer) take(r *Request, d Deployment, x *Result) {
	up := 1 / a.Simulated.Share
	a.Deployment = d
	a.MissRate, a.ActionMissRate = x.MissRate, x.ActionMissRate
	at := func(h *report.Histogram, q float64) float64 { return float64(h.Quantile(q)) / 1000 }
	a.P50MS, a.P99MS, a.P999MS = at(x.Latency, 0.5), at(x.Latency, 0.99), at(x.Latency, 0.999)
	a.Refused, a.Commits, a.Writes, a.Messages = up*x.Refused, up*x.Commits, up*x.Writes, up*x.Messages
	a.GatewayBusy, a.OwnerBusy, a.StoreBusy = x.GatewayBusy, x.OwnerBusy, x.StoreBusy
	cores := float64(d.Cores)
	a.CPU = x.GatewayBusy*cores*float64(d.Gateways) + x.OwnerBusy*cores*float64(d.Owners) + x.StoreBusy*float64(d.Stores)
	a.Used = up * x.Used
	a.Connections = r.connections(d)
	a.GatewayBytes = float64(a.Connections) * r.Costs.Gateway.ConnectionBytes
	a.Tried = append(a.Tried, Tried{d, x.MissRate, x.GatewayBusy, x.OwnerBusy, x.StoreBusy})
}
