package regions

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/internal/linkproxy"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/direct"
	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is where the fakes' claims stand: the part of world.Log that they need.
type store struct {
	mu      sync.Mutex
	holders map[world.ShardID]string
}

func (s *store) holder(shard world.ShardID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders[shard]
}

func (s *store) claim(shard world.ShardID, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders[shard] = node
}

// release clears the claim if it is the node's.
func (s *store) release(shard world.ShardID, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holders[shard] == node {
		s.holders[shard] = ""
	}
}

// owner is an actions.Owner with the protocol of claims and nothing else: it
// answers every action with APPLIED.
type owner struct {
	node  *Node
	store *store

	mu      sync.Mutex
	shards  map[world.ShardID]bool
	asked   map[world.ShardID]bool // a release is under way
	parcels []uint64
	acks    []uint64
}

// serves says whether the shard is here, having claimed it if it should be.
func (o *owner) serves(shard world.ShardID) (bool, *clusterv1.NotMine) {
	o.mu.Lock()
	defer o.mu.Unlock()
	should := o.node.Owner(shard)
	not := &clusterv1.NotMine{Shard: world.ShardMessage(shard), Later: true}
	switch {
	case o.shards[shard] && o.node.LeaseValid():
		return true, nil
	case !o.node.LeaseValid():
		return false, not
	case should != o.node.ID():
		not.Owner, not.Later = should, should == ""
		return false, not
	}
	holder := o.store.holder(shard)
	if holder == "" || holder == o.node.ID() || !o.node.Alive(holder) {
		o.store.claim(shard, o.node.ID())
		o.shards[shard] = true
		return true, nil
	}
	if !o.asked[shard] {
		o.asked[shard] = true
		go o.node.RequestRelease(holder, shard, func(bool) {
			o.mu.Lock()
			defer o.mu.Unlock()
			delete(o.asked, shard)
		})
	}
	return false, not
}

func (o *owner) Act(from actions.Edge, act *clusterv1.RoutedAct) {
	if ok, not := o.serves(world.ShardOf(act.GetShard())); !ok {
		not.Session, not.Number = act.GetSession(), act.GetAct().GetNumber()
		from.NotMine(not)
		return
	}
	from.Outcome(&clusterv1.RoutedOutcome{Session: act.GetSession(), AgeUs: act.GetAgeUs(),
		Outcome: &starlingv1.Outcome{Number: act.GetAct().GetNumber(), Code: starlingv1.Code_APPLIED, Message: o.node.ID()}})
}

func (o *owner) Control(from actions.Edge, c *clusterv1.Control) {
	if ok, not := o.serves(world.ShardOf(c.GetShard())); !ok {
		not.Request = c.GetRequest()
		from.NotMine(not)
		return
	}
	from.ControlReply(&clusterv1.ControlReply{Request: c.GetRequest(), Code: starlingv1.Code_APPLIED})
	from.SessionNotice(&clusterv1.SessionNotice{Session: 1, Shard: c.GetShard()})
}

func (o *owner) Renew(_ actions.Edge, r *clusterv1.Renew) { o.serves(world.ShardOf(r.GetShard())) }

func (o *owner) ReadCell(from actions.Edge, r *clusterv1.ReadCell) {
	shard := world.ShardOf(r.GetShard())
	if ok, not := o.serves(shard); !ok {
		not.Request = r.GetRequest()
		from.NotMine(not)
		return
	}
	from.Baseline(pubsub.Message{Fence: pubsub.Fence{Shard: shard, Epoch: 1}, Cell: world.Cell(r.GetCell()), Sequence: 7,
		Baseline: true, Steps: []byte(o.node.ID()), Request: r.GetRequest(), Arrived: time.Now()})
}

func (o *owner) Parcel(e *clusterv1.ParcelEnvelope) {
	o.mu.Lock()
	o.parcels = append(o.parcels, e.GetOutgoing().GetNumber())
	o.mu.Unlock()
	o.node.SendParcelAck(world.ShardOf(e.GetSource()), &clusterv1.ParcelAck{Source: e.GetSource(), Target: e.GetOutgoing().GetTarget(), Number: e.GetOutgoing().GetNumber()})
}

func (o *owner) ParcelAck(a *clusterv1.ParcelAck) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acks = append(o.acks, a.GetNumber())
}

func (o *owner) Release(shard world.ShardID, done func()) {
	o.mu.Lock()
	delete(o.shards, shard)
	o.mu.Unlock()
	o.store.release(shard, o.node.ID())
	done()
}

func (o *owner) list() []actions.ShardStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []actions.ShardStatus
	for shard := range o.shards {
		all = append(all, actions.ShardStatus{Shard: shard, State: "serving", Epoch: 1, Actions: 5})
	}
	return all
}

// edge is a gateway's side: it keeps the last answers.
type edge struct {
	id string

	mu        sync.Mutex
	changed   chan struct{}
	outcomes  map[uint64]string // by session: who answered
	replies   map[uint64]bool
	baselines map[uint64]string
	refusals  map[uint64]int // by session or request
	notices   int
}

func newEdge(id string) *edge {
	return &edge{id: id, changed: make(chan struct{}), outcomes: map[uint64]string{}, replies: map[uint64]bool{},
		baselines: map[uint64]string{}, refusals: map[uint64]int{}}
}

func (e *edge) event(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *edge) Node() string { return e.id }
func (e *edge) Outcome(o *clusterv1.RoutedOutcome) {
	e.event(func() { e.outcomes[o.GetSession()] = o.GetOutcome().GetMessage() })
}
func (e *edge) ControlReply(r *clusterv1.ControlReply) {
	e.event(func() { e.replies[r.GetRequest()] = true })
}
func (e *edge) NotMine(n *clusterv1.NotMine) {
	e.event(func() { e.refusals[n.GetSession()+n.GetRequest()]++ })
}
func (e *edge) SessionNotice(*clusterv1.SessionNotice) { e.event(func() { e.notices++ }) }
func (e *edge) Baseline(m pubsub.Message) {
	e.event(func() { e.baselines[m.Request] = string(m.Steps) })
}

// try repeats an attempt, as gateways do, until the condition holds.
func (e *edge) try(t testing.TB, what string, attempt func(), condition func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		attempt()
		for waiting := true; waiting; {
			e.mu.Lock()
			ok, changed := condition(), e.changed
			e.mu.Unlock()
			if ok {
				return
			}
			select {
			case <-changed:
			case <-again.C:
				waiting = false
			case <-late:
				t.Fatalf("tried in vain: %s", what)
			}
		}
	}
}

// process is a node with its parts, reached by others through a link that can
// fail.
type process struct {
	*Node
	owner  *owner
	edge   *edge
	broker *direct.Broker
	link   *linkproxy.Proxy
}

type region struct {
	t     *testing.T
	table *directory.Memory
	store *store
}

func newRegion(t *testing.T) *region {
	return &region{t: t, table: directory.NewMemory(), store: &store{holders: map[world.ShardID]string{}}}
}

func quickConfig(id string, roles ...string) Config {
	c := DefaultConfig()
	c.ID, c.Roles = id, roles
	c.Directory.Interval, c.Directory.Death = 50*time.Millisecond, 600*time.Millisecond
	c.Directory.Margin, c.Directory.Timeout, c.Directory.Settle = 100*time.Millisecond, 250*time.Millisecond, 200*time.Millisecond
	c.Peer.Heartbeat, c.Peer.Silence = 100*time.Millisecond, 800*time.Millisecond
	c.Peer.BackoffMin, c.Peer.BackoffMax = 5*time.Millisecond, 50*time.Millisecond
	return c
}

func (r *region) start(id string, roles ...string) *process {
	return r.startWith(quickConfig(id, roles...))
}

func (r *region) startWith(cfg Config) *process {
	r.t.Helper()
	p := &process{}
	var err error
	if p.link, err = linkproxy.New("127.0.0.1:1"); err != nil {
		r.t.Fatal(err)
	}
	cfg.Advertise = p.link.Address()
	p.Node, err = New(Options{Config: cfg, Store: r.table, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
	parts := Parts{}
	if p.has(directory.RoleOwner) {
		p.broker = direct.New()
		p.owner = &owner{node: p.Node, store: r.store, shards: map[world.ShardID]bool{}, asked: map[world.ShardID]bool{}}
		parts.Owner, parts.Broker, parts.Shards = p.owner, p.broker, p.owner.list
		parts.LeaseRegained = func(_ uint64, verified func()) { p.owner.verify(); verified() }
	}
	if p.has(directory.RoleGateway) {
		p.edge = newEdge(cfg.ID)
		parts.Edge = p.edge
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Start(ctx, parts); err != nil {
		r.t.Fatal(err)
	}
	p.link.SetTarget(p.ListenAddress())
	r.t.Cleanup(p.end)
	return p
}

func (p *process) end() {
	p.Close()
	if p.broker != nil {
		_ = p.broker.Close()
	}
	p.link.Close()
}

// verify drops what is another's by now.
func (o *owner) verify() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for shard := range o.shards {
		if o.store.holder(shard) != o.node.ID() {
			delete(o.shards, shard)
		}
	}
}

func someShards(n int) []world.ShardID {
	list := make([]world.ShardID, n)
	for i := range list {
		list[i] = world.ShardID{Cell: 0x87411e5a4ffffff + uint64(i)<<24}
	}
	return list
}

func act(shard world.ShardID, session, number uint64) *clusterv1.RoutedAct {
	return &clusterv1.RoutedAct{Shard: world.ShardMessage(shard), Session: session, Act: &starlingv1.Act{Number: number, Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}}}
}

// actEverywhere acts once in each shard, resending as gateways do, and gives who
// answered.
func (p *process) actEverywhere(t testing.TB, shards []world.ShardID) map[world.ShardID]string {
	t.Helper()
	p.edge.event(func() { clear(p.edge.outcomes) })
	answered := map[world.ShardID]string{}
	for i, shard := range shards {
		session := uint64(i + 1)
		p.edge.try(t, "an outcome of shard "+shard.String(),
			func() { p.Router().Act(p.edge, act(shard, session, 1)) },
			func() bool { return p.edge.outcomes[session] != "" })
		p.edge.mu.Lock()
		answered[shard] = p.edge.outcomes[session]
		p.edge.mu.Unlock()
	}
	return answered
}

func count(answers map[world.ShardID]string) map[string]int {
	n := map[string]int{}
	for _, id := range answers {
		n[id]++
	}
	return n
}

// connected waits until every process sees every other one and has its streams.
func (r *region) connected(all ...*process) {
	r.t.Helper()
	for _, p := range all {
		await(r.t, p.ID()+" is connected", func() bool {
			v := p.View()
			for _, q := range all {
				if n := v.Node(q.ID()); n == nil || !n.Alive {
					return false
				}
			}
			ok, _ := p.Bus().Healthy()
			return ok
		})
	}
}

func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
