package invoke

import "time"

// Class groups functions by what they are promised.
type Class uint8

const (
	BestEffort Class = iota // no guarantee
	Soft                    // guaranteed, late results count
	Hard                    // guaranteed, late results are dropped
	classes
)

var classNames = [classes]string{"best_effort", "soft", "hard"}

func (c Class) String() string { return classNames[c] }

// Class returns the class of a contract.
func (c *Contract) Class() Class {
	switch {
	case c.Rate == 0:
		return BestEffort
	case c.Hard:
		return Hard
	}
	return Soft
}

// Accounts is what was done, for whom and at what price, up to one instant.
type Accounts struct {
	At        Instant
	Functions []Account
	Keys      []KeysAccount
	// Classes holds the sums by class, of functions undeployed since too.
	Classes [classes]ClassAccount
}

// Account is one function's account since it was deployed. At any time
// Submitted = Invocations + all Refusals + Waiting + Running.
type Account struct {
	Name       string
	Shape      Shape
	Class      Class
	Contract   Contract
	DeployedAt Instant
	// PartOf names the function that keeps cores and memory for this one, as a graph
	// does for those that run in it. The sums by class do not count it again.
	PartOf string

	Submitted uint64
	// Guaranteed is how many were taken within the guarantee.
	Guaranteed uint64
	// Invocations is how many ran to their end.
	Invocations uint64
	// Refusals counts by Reason.
	Refusals [reasons]uint64
	// Misses is how many ran but ended after their deadline.
	Misses uint64
	// GuaranteedMisses is how many within the guarantee ended late or were
	// refused as TooLate or OverAge; the contract's MissTarget is held against it.
	GuaranteedMisses uint64
	// Failures is how many of Invocations ended in an error or a panic, where the
	// function's package tells.
	Failures         uint64
	Waiting, Running int

	// QueueTime is from Submit to the start, RunTime from start to end.
	QueueTime, RunTime *Histogram
	// LearnedRunTime is the recent 99th percentile, 0 before the first run.
	LearnedRunTime time.Duration
	// Long says that the function's runs are kept off the reserved workers.
	Long bool
	// Busy is the sum of the run times.
	Busy time.Duration
	Usage
}

// Usage is what was used and what was kept free for use.
type Usage struct {
	// Used is the sum over invocations of memory x run time, in GB x s
	// (1 GB = 1e9 bytes).
	Used float64
	// ReservedMemory is the reserved memory x wall time, in GB x s.
	ReservedMemory float64
	// ReservedCores is Rate x RunTime, or the cores kept, x wall time, in core x s.
	ReservedCores float64
}

func (u *Usage) add(v Usage) {
	u.Used += v.Used
	u.ReservedMemory += v.ReservedMemory
	u.ReservedCores += v.ReservedCores
}

// KeysAccount is the account of a set of keys.
type KeysAccount struct {
	Name string
	// Runs is how often a worker entered a key; AfterRun the time spent there.
	Runs     uint64
	AfterRun time.Duration
	Closed   uint64
}

// ClassAccount sums a class.
type ClassAccount struct {
	Class       Class
	Invocations uint64
	Busy        time.Duration
	Usage
}

// MissRate is GuaranteedMisses over Guaranteed, 0 if there were none.
func (a *Account) MissRate() float64 {
	if a.Guaranteed == 0 {
		return 0
	}
	return float64(a.GuaranteedMisses) / float64(a.Guaranteed)
}

// Refused returns the sum of all refusals.
func (a *Account) Refused() uint64 {
	var n uint64
	for _, r := range a.Refusals {
		n += r
	}
	return n
}

type keysTally struct {
	runs, closed uint64
	afterRun     time.Duration
}

type tally struct {
	submitted, guaranteed    uint64
	refusals                 [reasons]uint64
	misses, guaranteedMisses uint64
	queueTime, runTime       Histogram
}

// account books one item that was carried out.
func (p *Policy) account(item *Item) {
	f := item.fn
	f.running--
	t := &f.tally
	if r := item.Refusal; r != nil {
		t.refusals[r.Reason]++
		if item.guaranteed && (r.Reason == TooLate || r.Reason == OverAge) {
			t.guaranteedMisses++
		}
		return
	}
	ran := item.Ended.Sub(item.Started)
	t.queueTime.Record(item.Started.Sub(item.submitted))
	t.runTime.Record(ran)
	if item.deadline != 0 && item.Ended > item.deadline {
		t.misses++
		if item.guaranteed {
			t.guaranteedMisses++
		}
	}
	if f.undeployed { // its account is closed, that of its class is not
		class := &p.retired[f.spec.Contract.Class()]
		class.Invocations++
		class.Busy += ran
		class.Used += f.used(ran)
	}
	if item.guaranteed {
		f.chargeOverrun(ran)
	}
	if f.estimate.record(ran) && f.classify() {
		p.reclassified(f)
	}
}

// Accounts returns a copy of all accounts at instant now.
func (p *Policy) Accounts(now Instant) *Accounts {
	a := p.ownAccounts(now)
	a.addReservations(p.reservations)
	return a
}

// addReservations asks the packages of other shapes for their accounts.
func (a *Accounts) addReservations(reservations []*Reservation) {
	for _, r := range reservations {
		account := r.account(a.At)
		if account.PartOf == "" {
			a.Classes[account.Class].addAccount(&account)
		}
		a.Functions = append(a.Functions, account)
	}
}

// ownAccounts are those of the functions that run on the workers.
func (p *Policy) ownAccounts(now Instant) *Accounts {
	a := &Accounts{At: p.advance(now), Classes: p.retired}
	for _, f := range p.functions {
		account := f.account(a.At)
		a.Classes[account.Class].addAccount(&account)
		a.Functions = append(a.Functions, account)
	}
	for c := range a.Classes {
		a.Classes[c].Class = Class(c)
	}
	for _, k := range p.keys {
		a.Keys = append(a.Keys, KeysAccount{k.name, k.tally.runs, k.tally.afterRun, k.tally.closed})
	}
	return a
}

func (c *ClassAccount) addAccount(a *Account) {
	c.Invocations += a.Invocations
	c.Busy += a.Busy
	c.Usage.add(a.Usage)
}

func (f *Function) account(now Instant) Account {
	t := &f.tally
	queueTime, runTime := t.queueTime, t.runTime
	var failures uint64
	if f.spec.Failures != nil {
		failures = f.spec.Failures()
	}
	return Account{
		Name: f.spec.Name, Shape: f.Shape(), Class: f.spec.Contract.Class(),
		Contract: f.spec.Contract, DeployedAt: f.deployedAt,
		Submitted: t.submitted, Guaranteed: t.guaranteed, Invocations: t.runTime.count,
		Refusals: t.refusals, Misses: t.misses, GuaranteedMisses: t.guaranteedMisses,
		Failures: failures, Waiting: f.waiting, Running: f.running,
		QueueTime: &queueTime, RunTime: &runTime,
		LearnedRunTime: f.estimate.p99, Long: f.long, Busy: t.runTime.sum,
		Usage: f.usage(now),
	}
}

const bytesPerGB = 1e9

func gigabyteSeconds(bytes int64, d time.Duration) float64 {
	return float64(bytes) / bytesPerGB * d.Seconds()
}

func (f *Function) used(ran time.Duration) float64 {
	return gigabyteSeconds(f.spec.Contract.Memory, ran)
}

func (f *Function) usage(now Instant) Usage {
	wall := now.Sub(f.deployedAt)
	return Usage{
		Used:           f.used(f.tally.runTime.sum),
		ReservedMemory: gigabyteSeconds(f.reservedMemory(), wall),
		ReservedCores:  f.reservedCores() * wall.Seconds(),
	}
}
