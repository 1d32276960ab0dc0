package invoke

import (
	"fmt"
	"math"
)

// Reserve describes a function that does not run on the scheduler's workers but
// takes of the same machine: a poller that owns a core, the submitter of a device,
// a graph of functions that was fused elsewhere. Its package runs it and keeps its
// account; the scheduler counts what it takes when it admits others, and shows its
// account beside theirs.
type Reserve struct {
	// Name identifies the function in accounts and errors; unique in a scheduler.
	Name string
	// Shape is what it is called in accounts.
	Shape Shape
	// Contract is what it is promised. The scheduler tests that its fields make
	// sense, that Cores and Memory are there, and that all other contracts still
	// hold; that the deadline can be held is for the function's package to test.
	Contract Contract
	// Cores is how many of the machine's cores it keeps busy at most: 1 for a poller
	// that never leaves its core, a share for one that does. 0 means Contract.Rate x
	// Contract.RunTime.
	Cores float64
	// Runs is how many of its runs hold Contract.Memory at once. Default 1.
	Runs int
	// PartOf names the function whose reservation covers this one, which then keeps
	// nothing of its own: a function of a graph that runs fused. It has an account,
	// which the sums by class do not count again.
	PartOf string
	// Account tells what was done so far; called when accounts are asked for, from
	// any goroutine, without a lock of the scheduler held. The scheduler fills in what
	// it knows: Name, Shape, Class, Contract, PartOf, DeployedAt, what was reserved, and Used
	// as Contract.Memory x Busy where it is 0. Nil: nothing to tell.
	Account func() Account
}

// Reservation is what a Reserve was given. The scheduler keeps it until Release.
type Reservation struct {
	reserve    Reserve
	policy     *Policy
	scheduler  *Scheduler // nil for a bare Policy
	reservedAt Instant
	released   bool
}

// Name returns the function's name.
func (r *Reservation) Name() string { return r.reserve.Name }

// Contract returns the contract with its defaults filled in.
func (r *Reservation) Contract() Contract { return r.reserve.Contract }

// Cores returns how many cores are kept for it.
func (r *Reservation) Cores() float64 {
	switch {
	case r.reserve.PartOf != "":
		return 0
	case r.reserve.Cores > 0:
		return r.reserve.Cores
	}
	return r.reserve.Contract.Rate * r.reserve.Contract.RunTime.Seconds()
}

func (r *Reservation) memory() int64 {
	if r.reserve.PartOf != "" {
		return 0
	}
	return r.reserve.Contract.Memory * int64(r.reserve.Runs)
}

// Reserve admits a function that runs elsewhere if what it needs can be kept for it
// beside all other contracts. The error is a *NotAdmittedError.
func (p *Policy) Reserve(now Instant, reserve Reserve) (*Reservation, error) {
	now = p.advance(now)
	if shortages := p.checkReserve(&reserve); shortages != nil {
		return nil, &NotAdmittedError{reserve.Name, shortages}
	}
	reserve.Contract = reserve.Contract.WithDefaults()
	reserve.Runs = max(reserve.Runs, 1)
	r := &Reservation{reserve: reserve, policy: p, reservedAt: now}
	before := p.reservations
	p.reservations = append(before[:len(before):len(before)], r)
	if shortages := p.admission(nil); shortages != nil {
		p.reservations = before
		return nil, &NotAdmittedError{reserve.Name, shortages}
	}
	return r, nil
}

func (p *Policy) checkReserve(reserve *Reserve) []Shortage {
	found := p.checkName(reserve.Name)
	found = append(found, reserve.Contract.Check()...)
	if reserve.Cores < 0 || math.IsNaN(reserve.Cores) || math.IsInf(reserve.Cores, 0) || reserve.Runs < 0 {
		found = append(found, Shortage{"spec", fmt.Sprintf("Cores %v or Runs %d is not a number from 0", reserve.Cores, reserve.Runs)})
	}
	if reserve.Shape >= shapes {
		found = append(found, Shortage{"spec", fmt.Sprintf("Shape %d is none", reserve.Shape)})
	}
	return found
}

// Release frees what was reserved.
func (p *Policy) Release(now Instant, r *Reservation) {
	p.advance(now)
	if r.released {
		return
	}
	r.released = true
	for i := range p.reservations {
		if p.reservations[i] == r {
			p.reservations = append(p.reservations[:i:i], p.reservations[i+1:]...)
			break
		}
	}
}

// account completes what the function's package says of it.
func (r *Reservation) account(now Instant) Account {
	var a Account
	if r.reserve.Account != nil {
		a = r.reserve.Account()
	}
	a.Name, a.Shape, a.PartOf = r.reserve.Name, r.reserve.Shape, r.reserve.PartOf
	a.Contract, a.Class, a.DeployedAt = r.reserve.Contract, r.reserve.Contract.Class(), r.reservedAt
	if a.QueueTime == nil {
		a.QueueTime = new(Histogram)
	}
	if a.RunTime == nil {
		a.RunTime = new(Histogram)
	}
	if a.Used == 0 {
		a.Used = gigabyteSeconds(a.Contract.Memory, a.Busy)
	}
	wall := max(now.Sub(r.reservedAt), 0)
	a.ReservedMemory = gigabyteSeconds(r.memory(), wall)
	a.ReservedCores = r.Cores() * wall.Seconds()
	return a
}

// Reserve admits a function that runs elsewhere if what it needs can be kept for it
// beside all other contracts. The error is a *NotAdmittedError that says why not.
func (s *Scheduler) Reserve(reserve Reserve) (*Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.policy.Reserve(s.clock(), reserve)
	if err != nil {
		return nil, err
	}
	r.scheduler = s
	return r, nil
}

// Release frees what was reserved; the account is closed with what it says then.
// It must not be called inside Reserve.Account.
func (r *Reservation) Release() {
	s := r.scheduler
	account := r.account(s.clock())
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.released && account.PartOf == "" {
		s.policy.retired[account.Class].addAccount(&account)
	}
	s.policy.Release(s.clock(), r)
}
