package plan

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// owner is a process that runs shards: the scheduler's policy and so many workers.
type owner struct {
	model    *model
	machine  *machine
	process  *process
	policy   *invoke.Policy
	keys     *invoke.Keys
	deployed [scenario.Work + 1]*invoke.Function
	idle     int
	used     float64 // memory of each invocation times its run time, GB x second
	inlet    *task   // takes what other processes send
	lanes    map[*store]*lane
	drives   int // lanes that collect what comes to gateways of the process
}

// shard is a shard that is served.
type shard struct {
	owner     *owner
	store     *store
	key       *invoke.Key
	open      []*action
	others    []*shard // those of other shares of the crowd that are like it
	submitted bool     // the store is to ask for a batch
	inFlight  bool
}

// start is the instant of the policy's clock at which a simulation begins: an
// Instant is never zero.
const start = invoke.Instant(time.Hour)

func (m *model) instant() invoke.Instant { return start.Add(m.now) }

func newOwner(m *model, on *machine, process func(*machine) *process) *owner {
	of := process(on)
	workers := m.setup.Deployment.Cores
	o := &owner{model: m, machine: on, process: of, idle: workers, inlet: of.newTask(), lanes: make(map[*store]*lane)}
	o.policy = invoke.NewPolicy(invoke.Config{Workers: workers, Random: rand.NewPCG(m.setup.Seed, 1)}, start)
	o.keys = o.policy.Keys("shards", invoke.KeyOptions{})
	registry := actions.NewRegistry()
	for f := range o.deployed {
		name := scenario.Function(f).String()
		contract, ok := registry.Contract(name, workers)
		if !ok { // a function of the game's own
			contract = invoke.Contract{Deadline: actions.DefaultDeadline, Memory: contract.Memory}
		}
		deployed, err := o.policy.Deploy(start, invoke.Spec{Name: name, Contract: contract, Keys: o.keys})
		if err != nil {
			// What does not fit beside the others runs as best effort, as a game's would.
			deployed, err = o.policy.Deploy(start, invoke.Spec{Name: name, Contract: invoke.Contract{Deadline: actions.DefaultDeadline, Memory: contract.Memory}, Keys: o.keys})
			if err != nil {
				panic(err) // best effort is always admitted
			}
		}
		o.deployed[f] = deployed
	}
	return o
}

// cost is what something takes here, where the simulated owners have more or less
// to do than those of the deployment.
func (o *owner) cost(microseconds float64) time.Duration {
	return us(microseconds * o.model.part.owners.scale)
}

// submit queues an action, and stands in for those that other shares of the crowd
// send meanwhile.
func (o *owner) submit(a *action) {
	o.queue(a)
	for range o.model.poisson(o.model.part.owners.others) {
		other := &action{Action: a.Action, expected: a.expected, stranger: true, shard: o.model.strangeShard(a.shard)}
		other.Participant = -1
		o.model.after(time.Duration(o.model.random.Int64N(int64(meanwhile))), func() {
			other.came = o.model.now
			o.inlet.post(o.route(1), func() { o.queue(other) })
		})
	}
}

// route is what taking in or sending so many messages costs, where that is done by
// a process of its own.
func (o *owner) route(messages int) time.Duration {
	if o.model.setup.Deployment.Together {
		return 0
	}
	return o.cost(o.model.costs.Owner.RouteUS * float64(messages))
}

// meanwhile is the time over which the work for other shares is spread that stands
// beside a piece of work for this one.
const meanwhile = time.Second

// poisson draws from a distribution with this mean.
func (m *model) poisson(mean float64) (n int) {
	if mean <= 0 {
		return 0
	}
	for sum := m.random.ExpFloat64(); sum < mean; sum += m.random.ExpFloat64() {
		n++
	}
	return n
}

// strangeShard gives a shard of another share, like one of this.
func (m *model) strangeShard(like *shard) *shard {
	most := int(math.Ceil(m.part.owners.others))
	i := m.random.IntN(most)
	for len(like.others) <= i {
		other := &shard{owner: like.owner, store: like.store}
		other.key = like.owner.keys.Open(other)
		like.others = append(like.others, other)
	}
	return like.others[i]
}

func (o *owner) queue(a *action) {
	a.invocation = invoke.Invocation{Key: a.shard.key, Sender: uint64(a.Participant) + 1, Payload: a, Arrived: start.Add(a.came)}
	if o.policy.Submit(o.model.instant(), o.deployed[a.Function], &a.invocation) != nil {
		o.model.refuse(a)
		return
	}
	o.wakeOne()
}

func (m *model) refuse(a *action) {
	if a.counted {
		m.refused++
	}
}

func (o *owner) wakeOne() {
	if o.idle > 0 && o.policy.Runnable() > 0 {
		o.idle--
		if o.model.setup.Deployment.Together {
			o.take() // who brings a short action runs it
			return
		}
		o.model.after(0, o.take)
	}
}

// take gives a worker something to do.
func (o *owner) take() {
	run := new(invoke.Run)
	if !o.policy.Take(o.model.instant(), run) {
		o.idle++
		return
	}
	o.wakeOne()
	o.carryOut(run, 0, o.model.now+sliceOfWorker)
}

// sliceOfWorker is Config.Slice's default.
const sliceOfWorker = 250 * time.Microsecond

// carryOut does item i of a run, and what follows.
func (o *owner) carryOut(run *invoke.Run, i int, until time.Duration) {
	if i == len(run.Items) || i > 0 && o.model.now >= until {
		if run.Key != nil {
			run.Key.Value().(*shard).seal()
		}
		o.policy.Finished(o.model.instant(), run, i)
		o.take()
		return
	}
	run.Recheck(o.model.instant(), i)
	item := &run.Items[i]
	a := item.Invocation.Payload.(*action)
	if item.Refusal != nil {
		o.model.refuse(a)
		o.carryOut(run, i+1, until)
		return
	}
	item.Started = o.model.instant()
	cost, ran := o.cost(o.model.costs.Owner.ActionUS), us(o.model.costs.Owner.RunUS)
	if w := &o.model.setup.Scenario.Work; a.Function == scenario.Work {
		extra := time.Duration(w.Base) + time.Duration(len(a.expected))*time.Duration(w.PerNeighbour)
		cost, ran = cost+extra, ran+extra
	}
	o.use(a, ran)
	o.process.work(cost, func() {
		item.Ended = o.model.instant()
		a.shard.open = append(a.shard.open, a)
		o.carryOut(run, i+1, until)
	})
}

// use adds to Used, unless another share of the crowd is to be counted for it.
func (o *owner) use(a *action, ran time.Duration) {
	if !a.stranger {
		o.used += float64(o.deployed[a.Function].Contract().Memory) / 1e9 * ran.Seconds()
	}
}

// seal tells the store that there is something to append, unless it knows or a batch
// is in flight. The batch is made when the store's round begins.
func (s *shard) seal() {
	if s.submitted || s.inFlight || len(s.open) == 0 {
		return
	}
	s.submitted = true
	s.owner.laneTo(s.store).submit(s.batch)
}

// batch makes one of all that ran until now; told is called, by the thread that reads
// the answer, when it is in the log.
func (s *shard) batch() (actions int, told func(reader *task)) {
	batch := s.open
	s.open, s.submitted, s.inFlight = nil, false, true
	o, m := s.owner, s.owner.model
	if m.measuring && !batch[0].stranger {
		m.commits++
	}
	sealed := m.now
	return len(batch), func(reader *task) {
		reader.post(o.halfCommit(), func() {
			if m.measuring {
				m.result.Commit.RecordDuration(m.now - sealed)
			}
			o.publish(batch)
			s.inFlight = false
			s.seal()
		})
	}
}

// halfCommit is what it takes to seal a batch, or to tell what one says.
func (o *owner) halfCommit() time.Duration { return o.cost(o.model.costs.Owner.CommitUS / 2) }
