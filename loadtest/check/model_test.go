package check_test

import (
	"fmt"
	"slices"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/loadtest/check"
	"github.com/starling-vr/starling/world"
)

// model is a small world that keeps every promise: shards with logs, parcels
// between them, clients who act and watch all cells. What it does is drawn from
// outside.
type model struct {
	draw     func(n int) int // 0..n-1
	shards   map[world.ShardID]*modelShard
	order    []world.ShardID
	cells    []world.Cell
	clients  []*modelClient
	recorder *check.Recorder
	nextID   uint64
}

type modelShard struct {
	id        world.ShardID
	epoch     uint32
	sequence  uint64
	entries   []check.Entry
	entities  map[uint64]*modelEntity
	sessions  map[uint64]*modelSession
	outboxes  map[world.ShardID][]*clusterv1.Outgoing
	delivered map[world.ShardID]int
	marks     map[world.ShardID]int
	touched   map[world.Cell]uint64
}

type modelEntity struct {
	id         uint64
	cell       world.Cell
	version    *starlingv1.Version
	pose       *starlingv1.Pose
	holder     uint64
	attributes *starlingv1.Attributes
}

type modelSession struct {
	id         uint64
	avatar     uint64
	last       uint64
	moves      uint32
	remembered []*clusterv1.SessionOutcome
	client     *modelClient
}

type modelClient struct {
	history *check.Client
	session *modelSession
	at      map[world.Cell]uint64
	pending map[world.Cell][]*starlingv1.Steps
	to      map[world.Cell]uint64
	epoch   map[world.Cell]uint32
	gone    bool
}

// batch is an entry being made.
type batch struct {
	shard *modelShard
	*clusterv1.Batch
	order []world.Cell
	steps map[world.Cell][]*starlingv1.Step
	told  []func()
}

// modelCell is a cell of resolution 10: its digit at resolution 7 chooses the
// shard, the one at 10 the cell in it.
func modelCell(shard, cell uint64) world.Cell {
	const start = 0x8a4ba0a41a5ffff
	digit := func(index uint64, resolution, value uint64) uint64 {
		shift := 3 * (15 - resolution)
		return index&^(7<<shift) | value<<shift
	}
	return world.Cell(digit(digit(start, 7, shard), 10, cell))
}

func newModel(draw func(n int) int, shards, clients int) *model {
	m := &model{draw: draw, shards: make(map[world.ShardID]*modelShard), recorder: check.NewRecorder(), nextID: 100}
	for s := range shards {
		for c := range 2 {
			m.cells = append(m.cells, modelCell(uint64(s), uint64(c)))
		}
		id := m.shardOf(m.cells[2*s])
		m.order = append(m.order, id)
		m.shards[id] = &modelShard{
			id: id, epoch: 1, entities: make(map[uint64]*modelEntity), sessions: make(map[uint64]*modelSession),
			outboxes: make(map[world.ShardID][]*clusterv1.Outgoing), delivered: make(map[world.ShardID]int),
			marks: make(map[world.ShardID]int), touched: make(map[world.Cell]uint64),
		}
	}
	for i := range clients {
		m.join(fmt.Sprintf("client-%d", i))
	}
	return m
}

func (m *model) shardOf(c world.Cell) world.ShardID { return world.DefaultShardMap().Shard(0, c) }

func (m *model) id() uint64 { m.nextID++; return m.nextID }

func (m *model) begin(s *modelShard) *batch {
	return &batch{shard: s, Batch: new(clusterv1.Batch), steps: make(map[world.Cell][]*starlingv1.Step)}
}

func (b *batch) version(handovers uint32) *starlingv1.Version {
	return &starlingv1.Version{Handovers: handovers, Epoch: b.shard.epoch, Sequence: b.shard.sequence + 1}
}

func (b *batch) say(cell world.Cell, step *starlingv1.Step) {
	if b.steps[cell] == nil {
		b.order = append(b.order, cell)
	}
	b.steps[cell] = append(b.steps[cell], step)
}

func (b *batch) update(cell world.Cell, e *modelEntity, change starlingv1.Change, to world.Cell, by, number uint64) {
	u := &starlingv1.Update{Entity: e.id, Version: e.version, Change: change, Pose: e.pose, Holder: e.holder, To: uint64(to), By: by, Number: number}
	if change == starlingv1.Change_CREATED || change == starlingv1.Change_ENTERED || change == starlingv1.Change_PRESENT {
		u.Kind, u.Attributes = "thing", e.attributes
	}
	b.say(cell, &starlingv1.Step{Is: &starlingv1.Step_Update{Update: u}})
}

// commit appends the batch and tells everyone.
func (m *model) commit(b *batch) {
	s := b.shard
	s.sequence++
	for _, cell := range b.order {
		steps := &starlingv1.Steps{Steps: b.steps[cell]}
		data, err := steps.MarshalVT()
		if err != nil {
			panic(err)
		}
		b.Cells = append(b.Cells, &clusterv1.CellDelta{Cell: uint64(cell), Steps: data})
		s.touched[cell] = s.sequence
		for _, c := range m.clients {
			c.pending[cell] = append(c.pending[cell], steps)
			c.to[cell], c.epoch[cell] = s.sequence, s.epoch
		}
	}
	s.entries = append(s.entries, check.Entry{Epoch: s.epoch, Sequence: s.sequence, Batch: b.Batch})
	for _, tell := range b.told {
		tell()
	}
}

func (m *model) join(name string) {
	s := m.shards[m.order[m.draw(len(m.order))]]
	b := m.begin(s)
	c := &modelClient{
		history: m.recorder.Client(name), at: make(map[world.Cell]uint64), pending: make(map[world.Cell][]*starlingv1.Steps),
		to: make(map[world.Cell]uint64), epoch: make(map[world.Cell]uint32),
	}
	avatar := m.spawn(b, m.cellIn(s))
	c.session = &modelSession{id: m.id(), avatar: avatar.id, moves: 1, client: c}
	s.sessions[c.session.id] = c.session
	b.SessionsOpened = append(b.SessionsOpened, c.session.record(false))
	m.commit(b)
	m.clients = append(m.clients, c)
	m.welcome(c, false)
}

func (m *model) cellIn(s *modelShard) world.Cell {
	var mine []world.Cell
	for _, c := range m.cells {
		if m.shardOf(c) == s.id {
			mine = append(mine, c)
		}
	}
	return mine[m.draw(len(mine))]
}

func (m *model) spawn(b *batch, cell world.Cell) *modelEntity {
	e := &modelEntity{id: m.id(), cell: cell, version: b.version(0), pose: m.pose(), attributes: &starlingv1.Attributes{}}
	b.shard.entities[e.id] = e
	b.update(cell, e, starlingv1.Change_CREATED, 0, 0, 0)
	return e
}

func (m *model) pose() *starlingv1.Pose {
	return &starlingv1.Pose{Position: starling.Geographic(25+float64(m.draw(1000))/1e5, 121, 0)}
}

func (x *modelSession) record(arrived bool) *clusterv1.SessionOpened {
	return &clusterv1.SessionOpened{
		Session: x.id, Participant: fmt.Sprint(x.id), Avatar: x.avatar, Last: x.last, Moves: x.moves, Arrived: arrived,
		Remembered: slices.Clone(x.remembered), Generation: 1,
	}
}

// welcome gives a client a new connection, with baselines.
func (m *model) welcome(c *modelClient, resumed bool) {
	c.history.Welcomed(starling.Session{ID: c.session.id, Avatar: c.session.avatar, Resumed: resumed, Ring: 1})
	for _, cell := range m.cells {
		m.baseline(c, cell)
	}
}

func (m *model) baseline(c *modelClient, cell world.Cell) {
	s := m.shards[m.shardOf(cell)]
	f := &starlingv1.CellFrame{Cell: uint64(cell), Epoch: s.epoch, Sequence: s.sequence, Baseline: true}
	steps := new(starlingv1.Steps)
	for _, e := range s.entities {
		if e.cell == cell {
			steps.Steps = append(steps.Steps, &starlingv1.Step{Is: &starlingv1.Step_Update{Update: &starlingv1.Update{
				Entity: e.id, Version: e.version, Change: starlingv1.Change_PRESENT, Pose: e.pose, Holder: e.holder, Kind: "thing", Attributes: e.attributes,
			}}})
		}
	}
	f.Commits = []*starlingv1.Steps{steps}
	c.at[cell], c.pending[cell] = s.sequence, nil
	c.history.Saw(f, time.UnixMicro(1))
}

// flush tells a client what is pending in a cell.
func (m *model) flush(c *modelClient, cell world.Cell) {
	if c.gone || len(c.pending[cell]) == 0 {
		return
	}
	s := m.shards[m.shardOf(cell)]
	c.history.Saw(&starlingv1.CellFrame{Cell: uint64(cell), Epoch: s.epoch, From: c.at[cell], Sequence: c.to[cell], Commits: c.pending[cell]}, time.UnixMicro(1))
	c.at[cell], c.pending[cell] = c.to[cell], nil
}

// act lets sessions of one shard act, all in one batch.
func (m *model) act() {
	s := m.shards[m.order[m.draw(len(m.order))]]
	b := m.begin(s)
	acted := false
	for range 1 + m.draw(3) {
		x := m.anySession(s)
		if x == nil {
			break
		}
		acted = true
		m.actOf(b, x)
	}
	if acted {
		m.commit(b)
	}
}

func (m *model) anySession(s *modelShard) *modelSession {
	var ids []uint64
	for id := range s.sessions {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	return s.sessions[ids[m.draw(len(ids))]]
}

func (m *model) actOf(b *batch, x *modelSession) {
	number := x.last + 1
	avatar := b.shard.entities[x.avatar]
	switch m.draw(8) {
	case 0:
		m.finish(b, x, starling.SpeakAct("hello"), starlingv1.Code_APPLIED)
		b.say(avatar.cell, &starlingv1.Step{Is: &starlingv1.Step_Event{Event: &starlingv1.Event{
			Actor: avatar.id, Number: number, Version: b.version(avatar.version.Handovers), What: &starlingv1.Event_Text{Text: "hello"},
		}}})
	case 1:
		m.finish(b, x, starling.MoveAct(&starlingv1.Move{Pose: m.pose()}), starlingv1.Code_TOO_FAST)
	case 2:
		m.finish(b, x, &starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "thing"}}}, starlingv1.Code_APPLIED)
		m.spawn(b, avatar.cell)
	case 3:
		m.grab(b, x, avatar)
	default:
		m.move(b, x, avatar)
	}
}

// finish makes the outcome of an action final, and lets the client know.
func (m *model) finish(b *batch, x *modelSession, act *starlingv1.Act, code starlingv1.Code) {
	x.last++
	act.Number = x.last
	out := &starlingv1.Outcome{Number: x.last, Code: code}
	record := &clusterv1.SessionOutcome{Session: x.id, Outcome: out}
	b.Outcomes = append(b.Outcomes, record)
	x.remembered = append(x.remembered, record)
	x.client.history.Sent(act, x.id)
	session := x.id
	b.told = append(b.told, func() { x.client.history.Told(out, session) })
}

func (m *model) grab(b *batch, x *modelSession, avatar *modelEntity) {
	var ids []uint64
	for id, e := range b.shard.entities {
		if e.holder == 0 && m.avatarOf(b.shard, id) == nil {
			ids = append(ids, id)
		}
	}
	act := &starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{}}}
	if len(ids) == 0 {
		m.finish(b, x, act, starlingv1.Code_NO_SUCH_ENTITY)
		return
	}
	slices.Sort(ids)
	e := b.shard.entities[ids[m.draw(len(ids))]]
	m.finish(b, x, act, starlingv1.Code_APPLIED)
	e.holder = avatar.id
	m.relocate(b, e, avatar.cell, avatar.id, x.last)
}

func (m *model) avatarOf(s *modelShard, id uint64) *modelSession {
	for _, x := range s.sessions {
		if x.avatar == id {
			return x
		}
	}
	return nil
}

// move sets the avatar down in any cell of the world, with what it holds.
func (m *model) move(b *batch, x *modelSession, avatar *modelEntity) {
	m.finish(b, x, starling.MoveAct(&starlingv1.Move{Pose: m.pose()}), starlingv1.Code_APPLIED)
	to := m.cells[m.draw(len(m.cells))]
	avatar.pose = m.pose()
	moved := []*modelEntity{avatar}
	for _, e := range b.shard.entities {
		if e.holder == avatar.id {
			moved = append(moved, e)
		}
	}
	for _, e := range moved {
		m.relocate(b, e, to, avatar.id, x.last)
	}
	if target := m.shardOf(to); target != b.shard.id {
		m.handOver(b, x, moved, target)
	}
}

func (m *model) relocate(b *batch, e *modelEntity, to world.Cell, by, number uint64) {
	from := e.cell
	next := *e
	next.version, next.cell = b.version(e.version.Handovers), to
	*e = next
	if from == to {
		b.update(to, e, starlingv1.Change_CHANGED, 0, by, number)
		return
	}
	b.update(from, e, starlingv1.Change_LEFT, to, by, number)
	if m.shardOf(to) == b.shard.id {
		b.update(to, e, starlingv1.Change_ENTERED, 0, by, number)
	}
}

func (m *model) handOver(b *batch, x *modelSession, moved []*modelEntity, target world.ShardID) {
	x.moves++
	parcel := &clusterv1.HandOver{Session: x.record(false)}
	for _, e := range moved {
		v := &starlingv1.Version{Handovers: e.version.Handovers + 1, Epoch: e.version.Epoch, Sequence: e.version.Sequence}
		parcel.Entities = append(parcel.Entities, &clusterv1.EntityRecord{Cell: uint64(e.cell), Update: &starlingv1.Update{
			Entity: e.id, Version: v, Change: starlingv1.Change_PRESENT, Pose: e.pose, Holder: e.holder, Kind: "thing", Attributes: e.attributes,
		}})
		delete(b.shard.entities, e.id)
	}
	delete(b.shard.sessions, x.id)
	b.SessionsClosed = append(b.SessionsClosed, &clusterv1.SessionClosed{Session: x.id, Why: clusterv1.SessionClosed_MOVED, ForwardTo: shardMessage(target)})
	out := &clusterv1.Outgoing{Target: shardMessage(target), Number: uint64(len(b.shard.outboxes[target]) + 1),
		Parcel: &clusterv1.Parcel{Is: &clusterv1.Parcel_HandOver{HandOver: parcel}}}
	b.shard.outboxes[target] = append(b.shard.outboxes[target], out)
	b.Outgoing = append(b.Outgoing, out)
}

func shardMessage(id world.ShardID) *clusterv1.ShardId {
	return &clusterv1.ShardId{Place: uint64(id.Place), Cell: id.Cell}
}

// deliver lets a shard accept some of what another sent it.
func (m *model) deliver(source, target world.ShardID) {
	from, to := m.shards[source], m.shards[target]
	box := from.outboxes[target]
	have := to.marks[source]
	if have == len(box) {
		return
	}
	b := m.begin(to)
	upTo := have + 1 + m.draw(len(box)-have)
	for _, out := range box[have:upTo] {
		m.accept(b, out.GetParcel().GetHandOver())
	}
	to.marks[source] = upTo
	b.Watermarks = append(b.Watermarks, &clusterv1.Watermark{Source: shardMessage(source), Number: uint64(upTo)})
	m.commit(b)
}

func (m *model) accept(b *batch, h *clusterv1.HandOver) {
	for _, record := range h.Entities {
		u := record.Update
		e := &modelEntity{id: u.Entity, cell: world.Cell(record.Cell), version: b.version(u.Version.Handovers), pose: u.Pose, holder: u.Holder, attributes: u.Attributes}
		b.shard.entities[e.id] = e
		b.update(e.cell, e, starlingv1.Change_ENTERED, 0, 0, 0)
	}
	for _, c := range m.clients {
		if x := c.session; x.id == h.Session.Session {
			b.shard.sessions[x.id] = x
			b.SessionsOpened = append(b.SessionsOpened, x.record(true))
		}
	}
}

// acknowledge lets a source forget what its target has.
func (m *model) acknowledge(source, target world.ShardID) {
	from, has := m.shards[source], m.shards[target].marks[source]
	if from.delivered[target] == has {
		return
	}
	from.delivered[target] = has
	b := m.begin(from)
	b.Delivered = append(b.Delivered, &clusterv1.Delivered{Target: shardMessage(target), Number: uint64(has)})
	m.commit(b)
}

// takeOver gives a shard a new owner: a new epoch, and baselines for all.
func (m *model) takeOver() {
	s := m.shards[m.order[m.draw(len(m.order))]]
	s.epoch++
	for _, c := range m.clients {
		for _, cell := range m.cells {
			if !c.gone && m.shardOf(cell) == s.id {
				m.flushAs(c, cell)
				m.baseline(c, cell)
			}
		}
	}
}

// flushAs drops what was pending: the baseline stands for it.
func (m *model) flushAs(c *modelClient, cell world.Cell) { c.pending[cell] = nil }

// leave ends a session.
func (m *model) leave() {
	s := m.shards[m.order[m.draw(len(m.order))]]
	x := m.anySession(s)
	if x == nil || len(s.sessions) < 2 {
		return
	}
	b := m.begin(s)
	avatar := s.entities[x.avatar]
	m.finish(b, x, &starlingv1.Act{Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}}, starlingv1.Code_APPLIED)
	for _, e := range s.entities {
		if e.holder == avatar.id {
			e.holder = 0
			m.relocate(b, e, e.cell, avatar.id, x.last)
		}
	}
	avatar.version = b.version(avatar.version.Handovers)
	b.update(avatar.cell, avatar, starlingv1.Change_REMOVED, 0, avatar.id, x.last)
	delete(s.entities, avatar.id)
	delete(s.sessions, x.id)
	b.SessionsClosed = append(b.SessionsClosed, &clusterv1.SessionClosed{Session: x.id, Why: clusterv1.SessionClosed_LEFT})
	m.commit(b)
	x.client.gone = true
	x.client.history.Ended()
}

// step does one thing at random.
func (m *model) step() {
	a, b := m.order[m.draw(len(m.order))], m.order[m.draw(len(m.order))]
	c := m.clients[m.draw(len(m.clients))]
	switch m.draw(12) {
	case 0, 1:
		m.deliver(a, b)
	case 2:
		m.acknowledge(a, b)
	case 3, 4:
		m.flush(c, m.cells[m.draw(len(m.cells))])
	case 5:
		if !c.gone {
			m.welcome(c, true)
		}
	case 6:
		m.takeOver()
	case 7:
		if m.draw(4) == 0 {
			m.leave()
		}
	default:
		m.act()
	}
}

// rest lets everything under way arrive.
func (m *model) rest() {
	for _, a := range m.order {
		for _, b := range m.order {
			for m.shards[b].marks[a] < len(m.shards[a].outboxes[b]) {
				m.deliver(a, b)
			}
			m.acknowledge(a, b)
		}
	}
	for _, c := range m.clients {
		for _, cell := range m.cells {
			m.flush(c, cell)
		}
	}
}

func (m *model) input(quiet bool) check.Input {
	in := check.Input{
		Clients: m.recorder.Histories(), Map: world.DefaultShardMap(), Quiet: quiet,
		Disk: func(world.Cell, int) []world.Cell { return m.cells },
	}
	for _, id := range m.order {
		in.Shards = append(in.Shards, check.Shard{ID: id, Entries: m.shards[id].entries})
	}
	return in
}
