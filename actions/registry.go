package actions

import (
	"errors"
	"fmt"

	"github.com/starling-vr/starling/actions/builtin"
	"github.com/starling-vr/starling/actions/shard"
	"github.com/starling-vr/starling/invoke"
)

// What a function works with. The documentation is at the types themselves.
type (
	// Call is one run of a function.
	Call = shard.Call
	// Result is how it ended.
	Result = shard.Result
	// Entity is an entity as a function sees it.
	Entity = shard.Entity
	// Pose is where an entity is and how it moves.
	Pose = shard.Pose
	// Position is where something is.
	Position = shard.Position
	// Limits bound what participants may do.
	Limits = shard.Limits
)

// Function is what an action runs. Run may see the shard through its Call and
// change it; it must not block, start goroutines or keep the Call. If it panics
// nothing that it did takes effect and the participant is told FAILED.
type Function struct {
	// Name is what clients put in Call.function: 1..64 bytes, unique.
	Name string
	// Contract says how often and how fast it runs: see invoke.Contract. Rate and
	// Burst are those of the whole process. A zero Deadline means DefaultDeadline;
	// a zero Rate best effort.
	Contract invoke.Contract
	// Scope is what the token must grant; "" for nothing.
	Scope string
	// Run is the function.
	Run func(*Call) Result
	// Check, if set, runs in the actor's shard before an action on a target in
	// another shard is sent there. Unless it gives APPLIED the action ends there.
	Check func(*Call) Result
}

// Registry holds the functions of a world. It is complete before the Host is
// made with it.
type Registry struct {
	functions map[string]*shard.Function
	contracts map[string]contracted
	order     []string
}

// NewRegistry has the built-in functions, with contracts for each worker of the
// scheduler that they will run on.
func NewRegistry() *Registry {
	r := &Registry{functions: make(map[string]*shard.Function), contracts: make(map[string]contracted)}
	for _, f := range builtin.All() {
		r.add(f)
	}
	for _, name := range r.Contracted() {
		r.contracts[name] = contracted{defaultContract(name), true}
	}
	return r
}

func (r *Registry) add(f shard.Function) {
	r.functions[f.Name] = &f
	r.order = append(r.order, f.Name)
}

// Register adds a game's own function.
func (r *Registry) Register(f Function) error {
	switch {
	case len(f.Name) < 1 || len(f.Name) > 64:
		return errors.New("a function's name has 1..64 bytes")
	case f.Run == nil:
		return fmt.Errorf("function %s has no Run", f.Name)
	case r.known(f.Name):
		return fmt.Errorf("function %s is registered already", f.Name)
	}
	if f.Contract.Deadline == 0 {
		f.Contract.Deadline = DefaultDeadline
	}
	r.add(shard.Function{Name: f.Name, Scope: f.Scope, Hard: f.Contract.Hard, Run: f.Run, Check: f.Check})
	r.contracts[f.Name] = contracted{contract: f.Contract}
	return nil
}

func (r *Registry) known(name string) bool {
	_, found := r.contracts[name]
	return found
}

// Names gives the names of all functions, in the order of registration.
func (r *Registry) Names() []string { return append([]string(nil), r.order...) }

func (r *Registry) lookup(name string) *shard.Function { return r.functions[name] }
