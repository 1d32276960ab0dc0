package stream

import (
	"fmt"
	"math"
	"runtime"

	"github.com/starling-vr/starling/invoke"
)

// admit asks the scheduler to keep the cores, and tests what only this package
// knows: that the kernels are fast enough.
func (f *Function) admit(s *invoke.Scheduler) error {
	contract := &f.contract
	*contract = f.spec.Contract
	program := f.program.Load()
	if contract.RunTime == 0 {
		contract.RunTime = max(f.clock.Duration(uint64(math.Ceil(program.perRecord()))), 1)
	}
	if contract.Burst == 0 {
		contract.Burst = int(math.Ceil(contract.Rate * contract.Deadline.Seconds()))
	}
	if shortages := f.shortages(contract, program); shortages != nil {
		return &invoke.NotAdmittedError{Function: f.name, Shortages: shortages}
	}
	var err error
	f.reservation, err = s.Reserve(invoke.Reserve{
		Name: f.name, Shape: invoke.Stream, Contract: *contract, Cores: f.cores(contract), Runs: len(f.pollers), Account: f.account,
	})
	return err
}

// cores is how many cores the pollers keep busy: all of one each, if pinned. A
// yielding one is busy with its records, and awake for twice its margin around
// each, if there is time to sleep between them.
func (f *Function) cores(contract *invoke.Contract) float64 {
	pollers := float64(len(f.pollers))
	if f.spec.Pace == Pinned || contract.Rate == 0 {
		return pollers
	}
	each := contract.RunTime + 2*firstMargin
	return min(pollers, contract.Rate*each.Seconds())
}

func (f *Function) shortages(contract *invoke.Contract, program *compiled) (found []invoke.Shortage) {
	pollers := len(f.pollers)
	if most := runtime.GOMAXPROCS(0); pollers >= most {
		found = append(found, invoke.Shortage{Resource: "threads", Arithmetic: fmt.Sprintf(
			"%d pollers + 1 for the rest of the process > GOMAXPROCS %d", pollers, most)})
	}
	if contract.Rate == 0 {
		return found
	}
	first := f.clock.Duration(program.costs[0])
	if contract.Deadline > 0 && first > contract.Deadline {
		found = append(found, invoke.Shortage{Resource: "deadline", Arithmetic: fmt.Sprintf(
			"a batch of %d takes %v > deadline %v", program.kernels[0].Size, first, contract.Deadline)})
	}
	if load := contract.Rate * contract.RunTime.Seconds() / float64(pollers); load > 1 {
		found = append(found, invoke.Shortage{Resource: "cores", Arithmetic: fmt.Sprintf(
			"%g/s x %v a record / %d pollers = %.3g > 1", contract.Rate, contract.RunTime, pollers, load)})
	}
	return found
}
