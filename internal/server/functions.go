package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/regions/directory"
	trigger "github.com/starling-vr/starling/workloads/trigger/service"
)

// Function changes the contract of a function. What is nil stays as it was
// registered.
type Function struct {
	Rate       *float64       `toml:"rate" doc:"Invocations per second that this process guarantees; 0: none, best effort."`
	Burst      *int           `toml:"burst" doc:"How many may arrive at once and still be within the guarantee. With rate alone: those of one deadline."`
	Deadline   *time.Duration `toml:"deadline" doc:"When a result is due, counted from the arrival at a gateway: the function's share of D. Longer for one function makes those wait that stand behind it in a shard."`
	Hard       *bool          `toml:"hard" doc:"A late result is worthless: what can no longer finish in time is refused, not run."`
	MissTarget *float64       `toml:"miss_target" doc:"Tolerated share (0..1) of guaranteed invocations that end late."`
	RunTime    *time.Duration `toml:"run_time" doc:"99th percentile of the run time, with which admission reckons; 0: learned. A function that takes longer pays with its rate."`
	Memory     *int64         `toml:"memory" doc:"Bytes that one run holds."`
}

// over gives the contract c with what is set here.
func (f *Function) over(c invoke.Contract) invoke.Contract {
	if f.Rate != nil {
		c.Rate, c.Burst = *f.Rate, 0
	}
	set(&c.Burst, f.Burst)
	set(&c.Deadline, f.Deadline)
	set(&c.Hard, f.Hard)
	set(&c.MissTarget, f.MissTarget)
	set(&c.RunTime, f.RunTime)
	set(&c.Memory, f.Memory)
	return c
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// scheduler gives annotation and the trigger, whose runs take as long as documents are
// large and disks slow, workers of their own beside those of the actions; without actions
// they have all workers.
func (s *Settings) scheduler() invoke.Config {
	workers := s.Owner.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c := invoke.Config{Workers: workers}
	switch owner, long := s.has(directory.RoleOwner), s.has(directory.RoleAnnotate) || s.has(directory.RoleTrigger); {
	case owner && long:
		c.LongWorkers = workers
	case long:
		c.ShortWorkers = -1
	}
	return c
}

// contract gives a registry the contracts that the settings want, and says which
// of them this machine cannot hold, with the arithmetic.
func (s *Settings) contract(registry *actions.Registry) error {
	workers := s.scheduler().Workers
	var wrong []error
	for name, function := range s.Functions {
		was, known := registry.Contract(name, workers)
		if !known {
			wrong = append(wrong, noFunction(name, registry.Contracted()))
			continue
		}
		if err := registry.SetContract(name, function.over(was)); err != nil {
			wrong = append(wrong, err)
		}
	}
	if wrong != nil {
		return errors.Join(wrong...)
	}
	var short *invoke.NotAdmittedError
	if err := registry.Admit(s.scheduler()); errors.As(err, &short) {
		return notAdmitted(short, workers)
	}
	return nil
}

// notAdmitted tells the first failed test of each kind; the others say the same of
// other functions.
func notAdmitted(short *invoke.NotAdmittedError, workers int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "functions: %s is not admitted with %d workers, which cannot hold what is promised:", short.Function, workers)
	told := make(map[string]bool)
	for _, s := range short.Shortages {
		if !told[s.Resource] {
			told[s.Resource] = true
			fmt.Fprintf(&b, "\n  %s: %s", s.Resource, s.Arithmetic)
		}
	}
	b.WriteString("\nLower functions.NAME.rate, burst or run_time, or raise the deadline; docs/reference/invoke.md explains the tests.")
	return errors.New(b.String())
}

func noFunction(name string, known []string) error {
	return fmt.Errorf("functions: this program has no function %q%s", name, config.Suggestion(name, known, strings.Join(known, ", ")))
}

// CheckWith says what is wrong with the settings for a process with these functions and
// this feed of the trigger (nil: the simulated detector).
func (s *Settings) CheckWith(registry *actions.Registry, feed *trigger.Feed) error {
	err := s.Check()
	if s.has(directory.RoleOwner) {
		if contracts := s.contract(registry); contracts != nil {
			return errors.Join(err, contracts)
		}
	}
	if s.has(directory.RoleAnnotate) && s.Annotate.Check() != nil || s.has(directory.RoleTrigger) && s.Trigger.Check() != nil {
		return err
	}
	return errors.Join(err, s.admit(registry, feed))
}

// admit says which of the process's functions this machine cannot hold beside each
// other, with the arithmetic.
func (s *Settings) admit(registry *actions.Registry, feed *trigger.Feed) error {
	trial := invoke.New(s.scheduler())
	defer func() { _ = trial.Close(context.Background()) }() // it has run nothing
	if s.has(directory.RoleOwner) {
		if err := registry.AdmitOn(trial); err != nil {
			return err
		}
	}
	if s.has(directory.RoleAnnotate) {
		takeAway, err := s.Annotate.Admit(trial)
		if err != nil {
			return err
		}
		defer takeAway()
	}
	if s.has(directory.RoleTrigger) {
		return s.admitTrigger(trial, feed)
	}
	return nil
}
