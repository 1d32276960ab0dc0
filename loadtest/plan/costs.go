// Package plan predicts what a crowd needs before it comes: it runs the crowd of
// a scenario through a discrete-event simulation of gateways, owners and stores,
// with the scheduler's own policy (package invoke), the shard map (package world),
// and the costs of each stage as they were measured on a real machine (package
// loadtest/calibrate).
package plan

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Costs are what each stage of an action takes, on one core of the machine where
// it was measured. Times are microseconds of processor time unless they say
// otherwise.
type Costs struct {
	Format  string `json:"format"`  // always CostsFormat
	Version int    `json:"version"` // of this form

	Measured   time.Time `json:"measured"`
	Starling   string    `json:"starling"` // version
	Machine    string    `json:"machine"`
	Cores      int       `json:"cores"`
	Store      string    `json:"store"`      // redis, embedded or memory
	Durability string    `json:"durability"` // memory, disk or replicated

	Gateway   GatewayCosts   `json:"gateway"`
	Owner     OwnerCosts     `json:"owner"`
	Storage   StoreCosts     `json:"storage"`
	Generator GeneratorCosts `json:"generator"`

	// WakeUS is the time from waking a thread that rests to its running. It is no
	// processor time.
	WakeUS float64 `json:"wake_us"`

	// Stalls are when a core that works stands still.
	Stalls Stalls `json:"stalls"`

	// SliceUS is how long a thread asks for a core for at a time, of the kernel's
	// scheduler.
	SliceUS float64 `json:"slice_us"`

	// Moves is the chance that a thread that would have to wait for its core goes to
	// one that rests.
	Moves float64 `json:"moves"`

	Fit    Fit     `json:"fit"`
	Checks []Check `json:"checks,omitempty"`
}

// Check holds predictions by the costs against real runs on the same machine,
// which server, store and load tester shared.
type Check struct {
	Scenario      string       `json:"scenario"`
	PredictedPerS float64      `json:"predicted_per_s"` // limit: actions per second that hold; 0: none
	MeasuredPerS  float64      `json:"measured_per_s"`
	Error         float64      `json:"error"` // predicted over measured, less 1
	Points        []CheckPoint `json:"points"`
}

// CheckPoint is one real run, and what was predicted of it.
type CheckPoint struct {
	Participants      int     `json:"participants"`
	OfferedPerS       float64 `json:"offered_per_s"`
	MissRate          float64 `json:"miss_rate"`
	PredictedMissRate float64 `json:"predicted_miss_rate"`
	ServerUS          float64 `json:"server_us"` // processor microseconds an action, the store's among them
	PredictedServerUS float64 `json:"predicted_server_us"`
	P50MS             float64 `json:"p50_ms"`
	PredictedP50MS    float64 `json:"predicted_p50_ms"`
	OthersCPUPerS     float64 `json:"others_cpu_per_s"` // cores that other programs used during the real run
}

// GatewayCosts are those of a gateway.
type GatewayCosts struct {
	ActionUS float64 `json:"action_us"` // reading an action from its socket, decoding, routing; its outcome
	EncodeUS float64 `json:"encode_us"` // making a frame of what is new in a cell, once for all who watch it
	CallUS   float64 `json:"call_us"`   // a system call that writes, whatever to how many sockets
	WriteUS  float64 `json:"write_us"`  // each socket written to
	FrameUS  float64 `json:"frame_us"`  // each frame within it
	WakeUS   float64 `json:"wake_us"`   // letting a core rest and waking it again, by threads of gateways and owners

	ConnectionBytes float64 `json:"connection_bytes"` // resident memory for an open session, its avatar and its owner's part
}

// OwnerCosts are those of an owner.
type OwnerCosts struct {
	ActionUS float64 `json:"action_us"` // queueing and running a function, encoding what it changed
	CommitUS float64 `json:"commit_us"` // a batch, whatever is in it: sealing, appending, telling
	RouteUS  float64 `json:"route_us"`  // an action or message that comes from, or goes to, another process

	// RunUS is how long a function runs by the clock, as the server measures it: what
	// Used is reckoned by. It is part of ActionUS, but for waiting for a core.
	RunUS float64 `json:"run_us"`
}

// StoreCosts are those of the store: with redis, of its process.
type StoreCosts struct {
	RoundUS       float64 `json:"round_us"`        // taking what waits, whatever it is: waking, the sync, answering
	IntervalUS    float64 `json:"interval_us"`     // at least, from one round trip of an owner's appends to its next: store.redis.interval
	MaxIntervalUS float64 `json:"max_interval_us"` // the same, where gateways in the owner's process have time to spare: store.redis.max_interval
	AppendUS      float64 `json:"append_us"`       // a batch
	ActionUS      float64 `json:"action_us"`       // each action within it
	Sync          Spread  `json:"sync"`            // waiting for the disk; the store does nothing else meanwhile
	ReplicaUS     float64 `json:"replica_us"`      // waiting for the replica's word
	OwnProcess    bool    `json:"own_process"`     // it has a processor of its own in a region
}

// GeneratorCosts are those of the load tester, where it shares the machine.
type GeneratorCosts struct {
	ActionUS   float64 `json:"action_us"`
	ReadUS     float64 `json:"read_us"`     // a read from a socket
	FrameUS    float64 `json:"frame_us"`    // each frame within it
	DeliveryUS float64 `json:"delivery_us"` // each update within them
	WakeUS     float64 `json:"wake_us"`     // waking it
}

// Stalls are what takes cores away from threads that work: the hypervisor, the
// kernel, other programs. A core that rests is not missed, and where one rests most
// of that goes there: so it matters whether all others work, too.
type Stalls struct {
	Some Stall `json:"some"` // while half of the cores rest
	All  Stall `json:"all"`  // while no core rests
}

// Stall is how often a core stands still, and for how long.
type Stall struct {
	PerS float64 `json:"per_s"` // for each second that it works
	Time Spread  `json:"time"`
}

func (s *Stall) validate() error {
	if !(s.PerS >= 0 && s.PerS*s.Time.Mean() < 1e6) {
		return fmt.Errorf("costs: %v stalls a second: want none or more, that leave time to work", s.PerS)
	}
	return s.Time.validate()
}

// Fit says how well the costs explain what was measured.
type Fit struct {
	Runs []FitRun `json:"runs"`
	// WorstCPU is the largest deviation of the processor time that the costs
	// predict for a run from what it took, as a share of that.
	WorstCPU float64 `json:"worst_cpu"`
}

// FitRun is one run that costs were fitted to.
type FitRun struct {
	Scenario     string  `json:"scenario"`
	Participants int     `json:"participants"`
	RatePerS     float64 `json:"rate_per_s"` // actions, all together
	Seconds      float64 `json:"seconds"`

	// What happened in the measured time, per second.
	Actions    float64 `json:"actions"`
	Commits    float64 `json:"commits"`
	Encoded    float64 `json:"encoded"` // frames of cells
	Writes     float64 `json:"writes"`
	Calls      float64 `json:"calls"`      // system calls that wrote
	Frames     float64 `json:"frames"`     // handed to sockets
	Deliveries float64 `json:"deliveries"` // expected

	// Processor microseconds for each action: measured, and by the costs.
	ServerUS      float64 `json:"server_us"`
	ServerFitUS   float64 `json:"server_fit_us"`
	StoreUS       float64 `json:"store_us"`
	GeneratorUS   float64 `json:"generator_us"`
	WaitedUS      float64 `json:"waited_us"` // that threads of all three waited for a core; 0: not known
	MissRate      float64 `json:"miss_rate"`
	P50MS         float64 `json:"p50_ms"`
	P99MS         float64 `json:"p99_ms"`
	CommitMS      float64 `json:"commit_ms"`        // mean
	RunUS         float64 `json:"run_us"`           // by the clock, of each action's function
	ResidentBytes float64 `json:"resident_bytes"`   // of the server's process, at the end
	OthersCPUPerS float64 `json:"others_cpu_per_s"` // processor seconds per second of what else ran on the machine

	// What the simulation by these costs makes of the same load, per second.
	Simulated FitSimulated `json:"simulated"`
}

// FitSimulated is a run as it is simulated. What cannot be counted in a real one
// without disturbing it (wakes, rounds) is taken from here for the fit.
type FitSimulated struct {
	Commits        float64 `json:"commits"`
	Encoded        float64 `json:"encoded"`
	Writes         float64 `json:"writes"`
	Calls          float64 `json:"calls"`
	CommitMS       float64 `json:"commit_ms"` // mean
	Wakes          float64 `json:"wakes"`     // of resting cores, by the server's threads
	Rounds         float64 `json:"rounds"`    // of the store
	GeneratorWakes float64 `json:"generator_wakes"`
	MissRate       float64 `json:"miss_rate"`
	P50MS          float64 `json:"p50_ms"`
	P99MS          float64 `json:"p99_ms"`
	ServerUS       float64 `json:"server_us"`
	StoreUS        float64 `json:"store_us"`
	GeneratorUS    float64 `json:"generator_us"`
	WaitedUS       float64 `json:"waited_us"`
}

// Take notes what a simulation found.
func (f *FitSimulated) Take(r *Result) {
	each := 1e6 / max(1, r.Offered)
	*f = FitSimulated{
		Commits: r.Commits, Encoded: r.Encoded, Writes: r.Writes, Calls: r.Calls, CommitMS: r.Commit.Mean() / 1000, Wakes: r.Wakes, Rounds: r.Rounds, GeneratorWakes: r.GeneratorWakes,
		MissRate: r.MissRate, P50MS: float64(r.Latency.Quantile(0.5)) / 1000, P99MS: float64(r.Latency.Quantile(0.99)) / 1000,
		ServerUS: each * (r.GatewayCPU + r.OwnerCPU), StoreUS: each * r.StoreCPU, GeneratorUS: each * r.GeneratorCPU,
		WaitedUS: each * r.Waited,
	}
}

// CostsFormat names the JSON form of Costs.
const (
	CostsFormat  = "starling-costs"
	CostsVersion = 5
)

//go:embed costs.json
var measured []byte

// DefaultCosts are those that were measured on the machine that docs/performance.md
// speaks of.
func DefaultCosts() *Costs {
	c, err := ReadCosts(bytes.NewReader(measured))
	if err != nil {
		panic(err) // embedded
	}
	return c
}

// ReadCosts reads what `starling loadtest calibrate` wrote.
func ReadCosts(r io.Reader) (*Costs, error) {
	c := &Costs{}
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(c); err != nil {
		return nil, fmt.Errorf("costs: %w", err)
	}
	switch {
	case c.Format != CostsFormat:
		return nil, errors.New("this is no file of costs (starling loadtest calibrate writes one)")
	case c.Version > CostsVersion:
		return nil, fmt.Errorf("the costs are of version %d, this program knows up to %d", c.Version, CostsVersion)
	}
	if c.Version < CostsVersion {
		return nil, fmt.Errorf("the costs are of version %d, this program wants %d: measure them again (starling loadtest calibrate)", c.Version, CostsVersion)
	}
	return c, c.validate()
}

func (c *Costs) validate() error {
	for _, v := range []float64{
		c.Gateway.ActionUS, c.Gateway.EncodeUS, c.Gateway.CallUS, c.Gateway.WriteUS, c.Gateway.FrameUS, c.Gateway.WakeUS,
		c.Owner.ActionUS, c.Owner.CommitUS, c.Owner.RouteUS, c.Owner.RunUS,
		c.Storage.RoundUS, c.Storage.IntervalUS, c.Storage.MaxIntervalUS, c.Storage.AppendUS, c.Storage.ActionUS, c.Storage.ReplicaUS,
		c.Generator.ActionUS, c.Generator.ReadUS, c.Generator.FrameUS, c.Generator.DeliveryUS, c.Generator.WakeUS, c.WakeUS, c.SliceUS,
	} {
		if !(v >= 0 && v < 1e6) {
			return fmt.Errorf("costs: %v: want microseconds, 0 to a million", v)
		}
	}
	if !(c.Moves >= 0 && c.Moves <= 1) {
		return fmt.Errorf("costs: moves %v: want a chance, 0 to 1", c.Moves)
	}
	return errors.Join(c.Storage.Sync.validate(), c.Stalls.Some.validate(), c.Stalls.All.validate())
}

// Write writes the costs, to be read by people, too.
func (c *Costs) Write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(c)
}

// us is so many microseconds.
func us(microseconds float64) time.Duration {
	return time.Duration(microseconds * float64(time.Microsecond))
}
