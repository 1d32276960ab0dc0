package actions

import (
	"fmt"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// DefaultDeadline is the share of D that queueing and running may take.
const DefaultDeadline = 4 * time.Millisecond

// Names of what a Host runs besides functions.
const (
	// ShardWork is what shards do for the world itself: sessions that come and
	// go, presence, parcels and their acknowledgements, the passing of time.
	ShardWork = "actions.shard"
	// CellReads are the images of cells that gateways ask for.
	CellReads = "actions.read"
	// Refusals are the answers to actions that will not run, which take their turn
	// behind the session's earlier ones; and calls of functions that there are not.
	// Best effort.
	Refusals = "actions.refusal"
)

// missTarget is the tolerated share of late runs in the contracts below.
const missTarget = 0.01

// What a run holds until its batch is committed: the message, its work and the steps
// that it makes. An action of the built-in functions allocates 0.7 KiB in the owner
// (BenchmarkHostMove) and 2.5 KiB in the whole server (loadtest/plan/costs.json), the
// image of a cell as many bytes as its entities take: about 200 each.
const (
	runMemory  = 4 << 10
	readMemory = 64 << 10
)

// perWorker is what one worker promises of the built-in functions: together less
// than half of it, so that a game's own find room. The run times are about twice
// those of an idle machine.
var perWorker = []struct {
	name     string
	contract invoke.Contract
}{
	{"move", invoke.Contract{Rate: 10_000, Burst: 80, RunTime: 20 * time.Microsecond}},
	{"speak", invoke.Contract{Rate: 1000, RunTime: 20 * time.Microsecond}},
	{"touch", invoke.Contract{Rate: 1000, RunTime: 20 * time.Microsecond}},
	{"set_attribute", invoke.Contract{Rate: 1000, RunTime: 20 * time.Microsecond}},
	{"grab", invoke.Contract{Rate: 250, RunTime: 40 * time.Microsecond}},
	{"release", invoke.Contract{Rate: 250, RunTime: 40 * time.Microsecond}},
	{"spawn", invoke.Contract{Rate: 250, RunTime: 40 * time.Microsecond}},
	{"despawn", invoke.Contract{Rate: 250, RunTime: 40 * time.Microsecond}},
	{"leave", invoke.Contract{Rate: 250, RunTime: 40 * time.Microsecond}},
	{"create_place", invoke.Contract{Rate: 10, RunTime: 50 * time.Microsecond}},
	{"close_place", invoke.Contract{Rate: 10, RunTime: 50 * time.Microsecond}},
	{ShardWork, invoke.Contract{Rate: 5000, Burst: 30, RunTime: 20 * time.Microsecond}},
	{CellReads, invoke.Contract{Rate: 500, Burst: 5, RunTime: 50 * time.Microsecond, Memory: readMemory}},
	{Refusals, invoke.Contract{RunTime: 10 * time.Microsecond}},
}

// defaultContract gives the contract of a built-in function, for each worker.
func defaultContract(name string) invoke.Contract {
	for _, f := range perWorker {
		if f.name == name {
			c := f.contract
			if c.Rate > 0 {
				c.Deadline, c.MissTarget = DefaultDeadline, missTarget
			}
			return c
		}
	}
	return invoke.Contract{}
}

// contracted is a contract as it was given: as a whole, or for each worker.
type contracted struct {
	contract  invoke.Contract
	perWorker bool
}

func (c contracted) of(workers int) invoke.Contract {
	if c.contract.Memory == 0 {
		c.contract.Memory = runMemory
	}
	if c.perWorker {
		c.contract.Rate *= float64(workers)
		c.contract.Burst *= workers
	}
	return c.contract
}

// Contract gives the contract of a function, or of ShardWork, CellReads or
// Refusals, on a scheduler with so many workers.
func (r *Registry) Contract(name string, workers int) (invoke.Contract, bool) {
	c, found := r.contracts[name]
	return c.of(workers), found
}

// SetContract changes the contract of a function, of a built-in one say, or of
// ShardWork, CellReads or Refusals.
func (r *Registry) SetContract(name string, contract invoke.Contract) error {
	if _, found := r.contracts[name]; !found {
		return fmt.Errorf("no function %s", name)
	}
	if f := r.functions[name]; f != nil {
		f.Hard = contract.Hard
	}
	r.contracts[name] = contracted{contract: contract}
	return nil
}

// Contracted gives the names of all that has a contract, in the order in which it
// is deployed: the work of the shards first, then the functions.
func (r *Registry) Contracted() []string {
	return append([]string{ShardWork, CellReads, Refusals}, r.order...)
}

// unbounded is the queue of what is not an action. It may exceed its guarantee as
// it likes: whoever sends it bounds it, and sends again what was refused.
var unbounded = invoke.Bounds{Count: 1 << 16, Excess: 1 << 16, Age: time.Minute}

// specs are what a Host deploys.
func (r *Registry) specs(keys *invoke.Keys, workers int) []invoke.Spec {
	var all []invoke.Spec
	for _, name := range r.Contracted() {
		contract, _ := r.Contract(name, workers)
		spec := invoke.Spec{Name: name, Contract: contract, Keys: keys, Run: runWork, Refused: refuseWork}
		if name == ShardWork || name == CellReads {
			spec.Queue = unbounded
		}
		all = append(all, spec)
	}
	return all
}

// AdmitOn gives a scheduler all contracts, as NewHost does, to see what it holds beside
// them. What is deployed so is never run.
func (r *Registry) AdmitOn(scheduler *invoke.Scheduler) error {
	for _, spec := range r.specs(scheduler.Keys("shards", invoke.KeyOptions{}), scheduler.Workers()) {
		if _, err := scheduler.Deploy(spec); err != nil {
			return err
		}
	}
	return nil
}

// Admit says whether a scheduler with such a configuration holds all contracts.
// The error is the *invoke.NotAdmittedError that NewHost would give.
func (r *Registry) Admit(config invoke.Config) error {
	policy := invoke.NewPolicy(config, invoke.Now())
	for _, spec := range r.specs(policy.Keys("shards", invoke.KeyOptions{}), policy.Workers()) {
		if _, err := policy.Deploy(invoke.Now(), spec); err != nil {
			return err
		}
	}
	return nil
}
