package shard_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/starling-vr/starling/actions/builtin"
	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// simulation runs several shards, their logs, a network that loses, doubles and
// reorders, owners that crash and load again, clients, and watchers of all cells.
type simulation struct {
	random    *rand.Rand
	now       time.Time
	faults    bool
	corner    world.Geo // where three shards meet
	lookup    func(string) *shard.Function
	owners    map[world.ShardID]*owner
	order     []world.ShardID
	network   []shard.Tell
	clients   []*client
	views     map[world.ShardID]map[world.Cell]*view
	logs      map[world.ShardID][]world.Entry
	fatal     func(format string, args ...any)
	crashes   int
	nextID    func() uint64 // of scripts; nil: random
	toClients []shard.Tell  // what clients were told, for scripts
	crossed   int
}

// owner is a shard in memory; machine is nil after a crash.
type owner struct {
	id       world.ShardID
	machine  *shard.Shard
	flight   *shard.Sealed
	tail     world.Tail
	snapshot []byte
	at       uint64
	missed   int // digests lost one after another
}

type view struct {
	fence    pubsub.Fence
	sequence uint64
	events   uint64 // that the cell ever had
	known    map[uint64]*starlingv1.Update
	stale    bool
}

type client struct {
	session  uint64
	name     string
	avatar   uint64
	start    *starlingv1.Pose // each Attach is for the same
	home     world.ShardID
	next     uint64
	asked    []*starlingv1.Act // not yet final, in order
	sent     time.Time
	final    map[uint64]*starlingv1.Outcome
	leaving  uint64 // number of its last action to leave that has an outcome
	over     bool
	attached bool
	holding  []uint64
}

func functions() func(string) *shard.Function {
	all := make(map[string]*shard.Function)
	for _, f := range builtin.All() {
		all[f.Name] = &f
	}
	all["explode"] = &shard.Function{Name: "explode", Run: func(c *shard.Call) shard.Result {
		if e, _, ok := c.Target(c.Act().GetCall().GetTarget()); ok && e.Holder() == 0 && e.Kind() != shard.AvatarKind {
			_ = c.Hold(c.Actor(), e)
			_ = c.Despawn(e)
		}
		_ = c.SetInteger(c.Actor(), "n", 1)
		_, _ = c.Spawn("thing", c.Actor().Pose(), nil, true)
		panic("on purpose")
	}}
	return func(name string) *shard.Function { return all[name] }
}

func newSimulation(seed uint64, fatal func(string, ...any)) *simulation {
	m := &simulation{
		random: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1_700_000_000, 0), lookup: functions(),
		owners: make(map[world.ShardID]*owner), views: make(map[world.ShardID]map[world.Cell]*view),
		logs: make(map[world.ShardID][]world.Entry), fatal: fatal, faults: true,
	}
	cell, err := hex.Cell(25.0330, 121.5654, 7)
	if err != nil {
		panic(err)
	}
	corners, err := hex.Boundary(cell)
	if err != nil {
		panic(err)
	}
	m.corner = corners[seed%uint64(len(corners))]
	return m
}

func (m *simulation) chance(p float64) bool { return m.faults && m.random.Float64() < p }

// owner gives the shard's owner, loading it if it must.
func (m *simulation) owner(id world.ShardID) *owner {
	o := m.owners[id]
	if o == nil {
		o = &owner{id: id}
		m.owners[id] = o
		m.order = append(m.order, id)
		m.views[id] = make(map[world.Cell]*view)
	}
	if o.machine == nil {
		m.load(o)
	}
	return o
}

func (m *simulation) config(id world.ShardID) shard.Config {
	return shard.Config{
		Shard: id, Map: world.DefaultShardMap(), Node: "owner", Functions: m.lookup,
		Limits: shard.Limits{Speed: 1000, SpeedBurst: 10000, Reach: 60},
		NewID: func() uint64 {
			if m.nextID != nil {
				return m.nextID()
			}
			return m.random.Uint64() | 1
		},
	}
}

func (m *simulation) load(o *owner) {
	log := m.logs[o.id]
	o.tail = world.Tail{Epoch: o.tail.Epoch + 1, Claim: m.random.Uint64(), Sequence: uint64(len(log))}
	machine, err := shard.Load(m.config(o.id), o.tail, o.at, o.snapshot, log[o.at:], m.now)
	if err != nil {
		m.fatal("load: %v", err)
	}
	o.machine = machine
	machine.Invariants()
	m.readAgain(o)
}

// readAgain does what watchers do on a new epoch and after a cut connection.
func (m *simulation) readAgain(o *owner) {
	cells := m.views[o.id]
	for _, v := range cells {
		v.stale = true
	}
	for _, named := range o.machine.WholeDigest(m.now).Cells {
		if cells[named.Cell] == nil {
			cells[named.Cell] = &view{stale: true}
		}
	}
}

// crash loses what is in memory. A batch in flight may have reached the log.
func (m *simulation) crash(o *owner) {
	if o.machine == nil {
		return
	}
	m.crashes++
	if o.flight != nil && m.random.IntN(2) == 0 {
		m.write(o, *o.flight)
	}
	o.machine, o.flight = nil, nil
}

func (m *simulation) write(o *owner, b shard.Sealed) {
	if b.Sequence != uint64(len(m.logs[o.id]))+1 {
		m.fatal("batch %d after %d", b.Sequence, len(m.logs[o.id]))
	}
	m.logs[o.id] = append(m.logs[o.id], world.Entry{Epoch: o.tail.Epoch, Sequence: b.Sequence, Data: b.Data})
}

// advance seals, or commits what is in flight.
func (m *simulation) advance(o *owner) {
	if o.machine == nil {
		return
	}
	if o.flight == nil {
		if b, ok := o.machine.Seal(m.now); ok {
			o.flight = &b
			if m.random.IntN(10) == 0 {
				m.snapshotAfter(o)
			}
		}
		return
	}
	m.write(o, *o.flight)
	o.flight = nil
	release := o.machine.Committed()
	for _, message := range release.Messages {
		m.publish(message)
	}
	m.tell(release.Tells)
	o.machine.Told()
	m.soon(o)
}

// snapshotAfter keeps a snapshot right after a seal, and crashes at once if the
// batch then gets lost: the snapshot must be of committed state only.
func (m *simulation) snapshotAfter(o *owner) {
	at, data, ok := o.machine.Snapshot()
	if !ok {
		return
	}
	m.write(o, *o.flight)
	o.flight = nil
	release := o.machine.Committed()
	for _, message := range release.Messages {
		m.publish(message)
	}
	m.tell(release.Tells)
	o.machine.Told()
	o.at, o.snapshot = at, data
	m.soon(o)
}

func (m *simulation) soon(o *owner) {
	m.tell(o.machine.Immediate(nil))
}

// tell sends things on their way; the network may do with them what it likes,
// except that what is said to one client comes in order.
func (m *simulation) tell(tells []shard.Tell) {
	for _, t := range tells {
		if t.Parcel == nil && t.Ack == nil {
			m.toClient(t)
			continue
		}
		if m.chance(0.1) {
			continue
		}
		m.network = append(m.network, t)
		if m.chance(0.1) {
			m.network = append(m.network, t)
		}
	}
}

func (m *simulation) deliver() {
	if len(m.network) == 0 {
		return
	}
	i := 0
	if m.faults {
		i = m.random.IntN(len(m.network))
	}
	t := m.network[i]
	m.network = slices.Delete(m.network, i, i+1)
	o := m.owner(t.Target)
	if t.Parcel != nil {
		wire, _ := t.Parcel.MarshalVT() // as if over a network: nobody shares memory
		parcel := new(clusterv1.ParcelEnvelope)
		if err := parcel.UnmarshalVT(wire); err != nil {
			m.fatal("%v", err)
		}
		if parcel.Outgoing.Parcel.GetHandOver() != nil {
			m.crossed++
		}
		o.machine.Parcel(m.now, parcel)
	} else {
		o.machine.ParcelAck(m.now, t.Ack)
	}
	m.soon(o)
}

// toClient does a gateway's work.
func (m *simulation) toClient(t shard.Tell) {
	if m.nextID != nil {
		m.toClients = append(m.toClients, t)
		return
	}
	switch {
	case t.Outcome != nil:
		if m.chance(0.05) {
			return // lost: the client asks again
		}
		if c := m.client(t.Outcome.Session); c != nil {
			m.outcome(c, t.Outcome)
		}
	case t.Notice != nil:
		if c := m.client(t.Notice.Session); c != nil && t.Notice.Ended {
			c.over = true
		} else if c != nil && t.Notice.Arrived {
			c.home = world.ShardOf(t.Notice.Shard)
		}
	case t.Reply != nil:
		m.reply(t.Reply)
	case t.Baseline != nil:
		m.baseline(*t.Baseline)
	}
}

func (m *simulation) client(session uint64) *client {
	for _, c := range m.clients {
		if c.session == session {
			return c
		}
	}
	return nil
}

func (m *simulation) reply(r *clusterv1.ControlReply) {
	c := m.clients[r.Request]
	if r.MovedTo != nil {
		c.home = world.ShardOf(r.MovedTo)
		return
	}
	if r.Attached != nil {
		c.attached, c.avatar = true, r.Attached.Avatar
	}
}

func (m *simulation) outcome(c *client, o *clusterv1.RoutedOutcome) {
	if o.MovedTo != nil {
		c.home = world.ShardOf(o.MovedTo)
		c.sent = time.Time{}
		return
	}
	out := o.Outcome
	if out.Code >= 200 {
		return // it is sent again in time
	}
	if before := c.final[out.Number]; before != nil {
		if before.Code != out.Code || before.Entity != out.Entity {
			m.fatal("action %d of %s ended as %v and as %v", out.Number, c.name, before, out)
		}
		return
	}
	i := slices.IndexFunc(c.asked, func(a *starlingv1.Act) bool { return a.Number == out.Number })
	if i < 0 {
		m.fatal("%s got the outcome of %d, which it never asked", c.name, out.Number)
	}
	act := c.asked[i]
	c.asked = slices.Delete(c.asked, i, i+1) // an earlier one may be lost: it is asked again
	c.final[out.Number] = out
	if act.GetLeave() != nil {
		c.leaving = out.Number
	}
	if out.Code == starlingv1.Code_FAILED && act.GetCall().GetFunction() != "explode" {
		m.fatal("%v failed: %s", act, out.Message)
	}
	if act.GetGrab() != nil && out.Code == starlingv1.Code_APPLIED {
		c.holding = append(c.holding, out.Entity)
	}
}

// publish brings a message to the watchers of a cell.
func (m *simulation) publish(message pubsub.Message) {
	if m.chance(0.02) {
		return // lost: the next one, or a digest, shows the gap
	}
	cells := m.views[message.Shard]
	v := cells[message.Cell]
	if v == nil {
		v = &view{stale: true}
		cells[message.Cell] = v
	}
	switch {
	case v.stale, message.Epoch < v.fence.Epoch:
	case message.Fence != v.fence, message.From > v.sequence:
		v.stale = true
	case message.Sequence <= v.sequence:
	case message.From < v.sequence:
		m.fatal("a message from %d to %d at %d", message.From, message.Sequence, v.sequence)
	default:
		if v.apply(message, m.fatal); v.events != message.Events {
			m.fatal("the message to %d says that the cell had %d events, it is %d", message.Sequence, message.Events, v.events)
		}
	}
}

func (v *view) apply(message pubsub.Message, fatal func(string, ...any)) {
	steps := new(starlingv1.Steps)
	if err := steps.UnmarshalVT(message.Steps); err != nil {
		fatal("steps: %v", err)
	}
	v.sequence = message.Sequence
	for _, step := range steps.Steps {
		u := step.GetUpdate()
		if u == nil {
			v.events++
			continue
		}
		before := v.known[u.Entity]
		switch u.Change {
		case starlingv1.Change_LEFT, starlingv1.Change_REMOVED:
			delete(v.known, u.Entity)
			continue
		case starlingv1.Change_CHANGED:
			if before == nil {
				fatal("an unknown entity changed: %v", u)
				return
			}
			if u.Attributes == nil {
				u.Attributes = before.Attributes
			}
			u.Kind = before.Kind
		}
		v.known[u.Entity] = u
	}
}

func (m *simulation) baseline(message pubsub.Message) {
	v := m.views[message.Shard][message.Cell]
	if v == nil || message.Epoch < v.fence.Epoch || message.Fence == v.fence && message.Sequence < v.sequence {
		return
	}
	if message.Events < v.events {
		m.fatal("events went back from %d to %d", v.events, message.Events)
	}
	v.fence, v.events, v.known, v.stale = message.Fence, message.Events, make(map[uint64]*starlingv1.Update), false
	v.apply(message, m.fatal)
}

func (m *simulation) readStale() {
	for _, id := range m.order {
		for _, cell := range slices.Sorted(maps.Keys(m.views[id])) {
			if m.views[id][cell].stale {
				o := m.owner(id)
				o.machine.ReadCell("gateway", &clusterv1.ReadCell{Shard: world.ShardMessage(id), Cell: uint64(cell)})
				m.soon(o)
			}
		}
	}
}

// near gives a random position around the corner.
func (m *simulation) near(metres float64) world.Geo {
	scale := metres / 111_000
	return world.Geo{Lat: m.corner.Lat + (m.random.Float64()*2-1)*scale, Lng: m.corner.Lng + (m.random.Float64()*2-1)*scale}
}

func pose(at world.Geo) *starlingv1.Pose {
	return &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: at.Lat, Longitude: at.Lng}}}}
}

func (m *simulation) shardOf(at world.Geo) world.ShardID {
	cell, err := hex.Cell(at.Lat, at.Lng, 10)
	if err != nil {
		panic(err)
	}
	return world.DefaultShardMap().Shard(0, cell)
}

func (m *simulation) addClient() {
	at := m.near(60)
	c := &client{
		session: m.random.Uint64() | 1, name: fmt.Sprintf("p%d", len(m.clients)), home: m.shardOf(at),
		next: 1, final: make(map[uint64]*starlingv1.Outcome), start: pose(at),
	}
	m.clients = append(m.clients, c)
	m.attach(c, c.start)
}

func (m *simulation) attach(c *client, at *starlingv1.Pose) {
	o := m.owner(c.home)
	o.machine.Control(m.now, "gateway", &clusterv1.Control{
		Request: uint64(slices.Index(m.clients, c)), Shard: world.ShardMessage(c.home),
		Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
			Session: c.session, Participant: c.name, Gateway: "gateway", Pose: at, Generation: 1, Resume: at == nil,
			Scopes: []string{"spawn:any", "set:any"},
		}},
	})
	m.soon(o)
}

// act makes up an action.
func (m *simulation) act(c *client) {
	if !c.attached {
		m.attach(c, c.start)
		return
	}
	if c.over || len(c.asked) >= 5 {
		return
	}
	act := &starlingv1.Act{Number: c.next}
	c.next++
	target := m.anyEntity()
	switch m.random.IntN(12) {
	case 0:
		act.Function = &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "hello"}}}
	case 1:
		act.Function = &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: target}}
	case 2, 3:
		act.Function = &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: target}}
	case 4:
		if len(c.holding) > 0 {
			act.Function = &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: c.holding[0], Position: pose(m.near(40)).Position}}
			c.holding = c.holding[1:]
			break
		}
		fallthrough
	case 5:
		act.Function = &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "thing", Pose: pose(m.near(60))}}
	case 6:
		act.Function = &starlingv1.Act_Despawn{Despawn: &starlingv1.Despawn{Target: target}}
	case 7:
		act.Function = &starlingv1.Act_SetAttribute{SetAttribute: &starlingv1.SetAttribute{
			Target: target, Name: "n", Value: &starlingv1.Value{Is: &starlingv1.Value_Integer{Integer: int64(c.next)}},
		}}
	case 8:
		act.Function = &starlingv1.Act_Call{Call: &starlingv1.Call{Function: "explode", Target: target}}
	default:
		act.Function = &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose(m.near(60))}}
	}
	if m.random.IntN(300) == 0 {
		act.Function = &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}
	}
	c.asked = append(c.asked, act)
	m.send(c, act)
}

// anyEntity names an entity and the cell where it was seen, perhaps long ago.
func (m *simulation) anyEntity() *starlingv1.Target {
	var found []*starlingv1.Target
	for _, id := range m.order {
		cells := m.views[id]
		for _, cell := range slices.Sorted(maps.Keys(cells)) {
			for _, entity := range slices.Sorted(maps.Keys(cells[cell].known)) {
				found = append(found, &starlingv1.Target{Entity: entity, Cell: uint64(cell)})
			}
		}
	}
	if len(found) == 0 {
		return &starlingv1.Target{Entity: 1}
	}
	return found[m.random.IntN(len(found))]
}

func (m *simulation) send(c *client, act *starlingv1.Act) {
	c.sent = m.now
	if m.chance(0.05) {
		return
	}
	wire, _ := act.MarshalVT()
	sent := new(starlingv1.Act)
	if err := sent.UnmarshalVT(wire); err != nil {
		m.fatal("%v", err)
	}
	o := m.owner(c.home)
	o.machine.Act(m.now, &shard.Act{Gateway: "gateway", Session: world.SessionID(c.session), Act: sent, Arrived: m.now})
	m.soon(o)
	if m.chance(0.05) {
		o.machine.Act(m.now, &shard.Act{Gateway: "gateway", Session: world.SessionID(c.session), Act: sent, Arrived: m.now})
		m.soon(o)
	}
}

// again sends what has had no outcome for long.
func (m *simulation) again() {
	for _, c := range m.clients {
		if c.over || len(c.asked) == 0 || m.now.Sub(c.sent) < 300*time.Millisecond {
			continue
		}
		for _, act := range slices.Clone(c.asked) {
			m.send(c, act)
		}
	}
}

func (m *simulation) renew() {
	for _, c := range m.clients {
		if c.attached && !c.over {
			o := m.owner(c.home)
			o.machine.Renew(m.now, &clusterv1.Renew{Gateway: "gateway", Sessions: []uint64{c.session}})
			m.soon(o)
		}
	}
}

func (m *simulation) tick() {
	for _, id := range m.order {
		o := m.owner(id)
		if digest, due := o.machine.Tick(m.now); due {
			m.digest(o, digest)
		}
		m.soon(o)
	}
}

// digest brings a digest to the watchers. A change is named in three of them:
// when three are lost in a row, the connection was cut, and who watches knows.
func (m *simulation) digest(o *owner, digest pubsub.Digest) {
	cells := m.views[o.id]
	if m.chance(0.5) {
		if o.missed++; o.missed == 3 {
			o.missed = 0
			m.readAgain(o)
		}
		return
	}
	o.missed = 0
	for _, named := range digest.Cells {
		if v := cells[named.Cell]; v == nil {
			cells[named.Cell] = &view{stale: true}
		} else if v.sequence < named.Sequence {
			v.stale = true
		}
	}
}

func (m *simulation) step() {
	switch r := m.random.IntN(100); {
	case r < 30:
		m.act(m.clients[m.random.IntN(len(m.clients))])
	case r < 60:
		m.advance(m.owner(m.order[m.random.IntN(len(m.order))]))
	case r < 85:
		m.deliver()
	case r < 90:
		m.now = m.now.Add(time.Duration(m.random.IntN(60)) * time.Millisecond)
		m.tick()
		m.again()
	case r < 93:
		m.readStale()
	case r < 94:
		m.renew()
	case r < 95 && m.faults && m.random.IntN(3) == 0:
		m.crash(m.owner(m.order[m.random.IntN(len(m.order))]))
	}
}

// quiet ends the faults and lets everything come to rest.
func (m *simulation) quiet() {
	m.faults = false
	for range 400 {
		for range len(m.network) {
			m.deliver()
		}
		for _, id := range slices.Clone(m.order) {
			m.advance(m.owner(id))
			m.advance(m.owner(id))
		}
		m.now = m.now.Add(30 * time.Millisecond)
		m.tick()
		m.again()
		m.readStale()
		m.renew()
	}
	for _, id := range m.order {
		m.owner(id).machine.Invariants()
	}
}
