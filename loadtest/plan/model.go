package plan

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/world"
)

// Setup is what is simulated.
type Setup struct {
	Crowd      *scenario.Crowd // of Warmup+Duration at least
	Scenario   *scenario.Scenario
	Share      float64 // which the crowd is of the whole that Deployment serves; 0: 1
	Costs      *Costs
	Deployment Deployment
	Warmup     time.Duration
	Duration   time.Duration
	Seed       uint64
}

// Result is what a simulation found. Rates are per second, of what was simulated.
type Result struct {
	Participants   int
	Offered        float64
	Refused        float64
	Deliveries     float64 // expected
	Commits        float64
	Messages       float64 // of cells, from owners to gateways
	Encoded        float64 // frames of cells
	Frames         float64 // of cells, handed to sockets
	Writes         float64
	Calls          float64 // system calls that write, each to many sockets
	Wakes          float64 // of resting cores, by threads of gateways and owners
	Rounds         float64 // of stores: appends that were taken at once
	GeneratorWakes float64
	MissRate       float64
	ActionMissRate float64
	Latency        *report.Histogram // microseconds, of received deliveries
	Commit         *report.Histogram // microseconds, from sealing a batch to its commit

	// Shares of the cores in use; with Together all of one machine.
	GatewayBusy, OwnerBusy, StoreBusy, GeneratorBusy float64
	// Processor time of each, seconds per second.
	GatewayCPU, OwnerCPU, StoreCPU, GeneratorCPU float64
	Waited                                       float64 // time that threads waited for a core, seconds per second
	Used                                         float64 // memory of each invocation times its run time, GB x second per second
	Affected                                     float64 // mean of P(L)
}

// action is one under way.
type action struct {
	scenario.Action
	invocation invoke.Invocation
	came       time.Duration // at the gateway's socket
	expected   []int32
	onTime     int32
	counted    bool
	stranger   bool // of another share of the crowd: it only takes time
	shard      *shard
}

// client is a participant's connection.
type client struct {
	hub     *hub
	gateway int32 // which of all in the deployment
	pending []telling
	queued  bool
	due     int64
}

// model is a deployment at work.
type model struct {
	simulation
	setup  *Setup
	costs  *Costs
	part   part
	random *rand.Rand
	wake   time.Duration

	machines  []*machine
	gateways  []*gateway
	owners    []*owner
	stores    []*store
	generator *generator // nil: somewhere else, and not counted
	clients   []client
	shards    map[world.ShardID]*shard
	processes []*process // servers

	stamps []uint32 // of the deployment's gateways and their hubs
	at     []int32
	stamp  uint32

	result             Result
	expected, received int64
	onTime             int64
	actions, missed    int64
	refused            int64
	commits, messages  int64
	writes, calls      int64
	encoded, frames    int64
	measuring          bool
}

// Simulate lets the crowd act on the deployment.
func Simulate(setup Setup) (*Result, error) {
	if err := setup.Deployment.complete(); err != nil {
		return nil, err
	}
	if setup.Share == 0 {
		setup.Share = 1
	}
	m := newModel(&setup)
	m.run(setup.Warmup)
	before := m.usage()
	m.measuring = true
	m.run(setup.Warmup + setup.Duration)
	after := m.usage()
	m.measuring = false
	m.run(setup.Warmup + setup.Duration + time.Second)
	m.fill(before, after)
	return &m.result, nil
}

// newModel sets a deployment up, and the crowd before it.
func newModel(setup *Setup) *model {
	m := &model{
		setup: setup, costs: setup.Costs, part: setup.Deployment.of(setup.Share),
		random: rand.New(rand.NewPCG(setup.Seed, 0x706c616e)), wake: us(setup.Costs.WakeUS),
		shards: make(map[world.ShardID]*shard),
	}
	m.result.Latency, m.result.Commit = report.NewHistogram(), report.NewHistogram()
	m.build()
	m.after(0, m.feed)
	return m
}

func (m *model) newMachine(cores int) *machine {
	made := makeMachine(&m.simulation, cores, us(m.costs.SliceUS))
	made.moves, made.random = m.costs.Moves, m.random
	if s := &m.costs.Stalls; s.Some.PerS+s.All.PerS > 0 {
		made.stall = m.stall
	}
	m.machines = append(m.machines, made)
	return made
}

// stall draws for how long a core stands still that works so long.
func (m *model) stall(working time.Duration, all bool) (stands time.Duration) {
	s := &m.costs.Stalls.Some
	if all {
		s = &m.costs.Stalls.All
	}
	for range m.poisson(s.PerS * working.Seconds()) {
		stands += s.Time.draw(m.random)
	}
	return stands
}

func (m *model) build() {
	d := &m.setup.Deployment
	var shared *machine
	on := func(cores int) *machine {
		if !d.Together {
			return m.newMachine(cores)
		}
		if shared == nil {
			shared = m.newMachine(d.Cores)
		}
		return shared
	}
	for range m.part.stores.count {
		m.stores = append(m.stores, &store{model: m, thread: thread{machine: on(1), wake: m.wake}})
	}
	var server *process
	of := func(on *machine) *process {
		if !d.Together || server == nil {
			server = newProcess(on, m.wake, us(m.costs.Gateway.WakeUS))
			m.processes = append(m.processes, server)
		}
		return server
	}
	for range m.part.owners.count {
		m.owners = append(m.owners, newOwner(m, on(d.Cores), of))
	}
	for range m.part.gateways.count {
		m.gateways = append(m.gateways, newGateway(m, on(d.Cores), of))
	}
	if d.Together {
		m.generator = newGenerator(m, shared)
	}
	m.clients = make([]client, m.setup.Crowd.Participants())
	for i := range m.clients {
		c := &m.clients[i]
		c.gateway = int32(m.random.IntN(d.Gateways))
		e := m.setup.Crowd.Entry(i)
		c.hub = m.gateways[int(c.gateway)%len(m.gateways)].hubAt(e)
	}
	m.stamps = make([]uint32, d.Gateways*d.Cores)
	m.at = make([]int32, d.Gateways*d.Cores)
}

// feed brings the crowd's next action at its time.
func (m *model) feed() {
	next, ok := m.setup.Crowd.Next()
	if !ok {
		return
	}
	m.after(next.Due-m.now, func() {
		a := &action{Action: next}
		expected, _ := m.setup.Crowd.Affected(&a.Action)
		a.expected = append([]int32(nil), expected...)
		if a.counted = m.measuring; a.counted {
			m.actions++
			m.expected += int64(len(expected))
		}
		if m.generator != nil {
			m.generator.do(us(m.costs.Generator.ActionUS), func() { m.arrive(a) })
		} else {
			m.arrive(a)
		}
		m.feed()
	})
}

// arrive is when an action comes in at its gateway's socket: the kernel stamps it.
func (m *model) arrive(a *action) {
	a.came = m.now
	m.clients[a.Participant].hub.gateway.poller(a.Participant).arrive(a)
}

// route hands an action to the owner of its shard.
func (m *model) route(g *gateway, a *action) {
	a.shard = m.shardOf(a)
	o := a.shard.owner
	if m.setup.Deployment.Together {
		o.submit(a)
		return
	}
	g.process.spawn(g.cost(m.costs.Owner.RouteUS), func() {
		o.inlet.post(o.route(1), func() { o.submit(a) })
	})
}

func (m *model) shardOf(a *action) *shard {
	id := m.setup.Crowd.Shard(a.Place, a.Cell)
	s := m.shards[id]
	if s == nil {
		o := m.owners[m.random.IntN(len(m.owners))]
		s = &shard{owner: o, store: m.stores[m.random.IntN(len(m.stores))]}
		s.key = o.keys.Open(s)
		m.shards[id] = s
	}
	return s
}

// seen is when a participant has an update.
func (m *model) seen(a *action) {
	if !a.counted {
		return
	}
	took := m.now - a.Due
	m.result.Latency.RecordDuration(took)
	m.received++
	if took <= m.setup.Deployment.Deadline {
		m.onTime++
		a.onTime++
		if int(a.onTime) == len(a.expected) {
			m.missed--
		}
	}
}

// used is what was spent until an instant.
type used struct {
	gateways, owners, stores, generator, waited time.Duration
	usedGBS                                     float64
	wakes, turns, reads                         int64 // of the servers' threads, the stores, the load tester
}

func (m *model) usage() (u used) {
	for _, g := range m.gateways {
		u.gateways += g.machine.spent
	}
	for _, o := range m.owners {
		u.owners += o.machine.spent
		u.usedGBS += o.used
	}
	for _, s := range m.stores {
		u.stores += s.spent
		u.turns += s.turns
	}
	for _, p := range m.processes {
		for _, t := range p.threads {
			u.wakes += t.wakes
		}
	}
	for _, on := range m.machines {
		u.waited += on.waited
	}
	if m.generator != nil {
		u.generator, u.reads = m.generator.spent, m.generator.wakes
	}
	return u
}

func (m *model) fill(from, to used) {
	r, seconds := &m.result, m.setup.Duration.Seconds()
	rate := func(n int64) float64 { return float64(n) / seconds }
	r.Participants = len(m.clients)
	r.Offered, r.Refused, r.Deliveries = rate(m.actions), rate(m.refused), rate(m.expected)
	r.Commits, r.Messages, r.Writes = rate(m.commits), rate(m.messages), rate(m.writes)
	r.Calls = rate(m.calls)
	r.Encoded, r.Frames = rate(m.encoded), rate(m.frames)
	r.Wakes, r.Rounds, r.GeneratorWakes = rate(to.wakes-from.wakes), rate(to.turns-from.turns), rate(to.reads-from.reads)
	r.MissRate = 1 - float64(m.onTime)/math.Max(1, float64(m.expected))
	r.ActionMissRate = float64(m.missed+m.actions) / math.Max(1, float64(m.actions))
	r.Affected = float64(m.expected) / math.Max(1, float64(m.actions))
	r.Used = (to.usedGBS - from.usedGBS) / seconds
	r.Waited = (to.waited - from.waited).Seconds() / seconds
	r.GatewayCPU = (to.gateways - from.gateways).Seconds() / seconds
	r.OwnerCPU = (to.owners - from.owners).Seconds() / seconds
	r.StoreCPU = (to.stores - from.stores).Seconds() / seconds
	r.GeneratorCPU = (to.generator - from.generator).Seconds() / seconds
	cores := float64(m.setup.Deployment.Cores)
	if m.setup.Deployment.Together {
		r.GatewayBusy = r.GatewayCPU / cores
		r.OwnerBusy, r.StoreBusy, r.GeneratorBusy = r.GatewayBusy, r.StoreCPU/cores, r.GeneratorCPU/cores
		r.GatewayCPU -= r.StoreCPU + r.GeneratorCPU
		r.OwnerCPU = 0 // one process
		return
	}
	r.GatewayBusy = r.GatewayCPU / (cores * float64(len(m.gateways)))
	r.OwnerBusy = r.OwnerCPU / (cores * float64(len(m.owners)))
	r.StoreBusy = r.StoreCPU / float64(len(m.stores))
}
