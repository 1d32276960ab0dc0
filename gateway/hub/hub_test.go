package hub

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/gateway/conn"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeConn is a connection whose socket takes what the test says.
type fakeConn struct {
	room   int // buffers it takes before it is full; negative: any number
	taken  [][]byte
	closed starlingv1.CloseCode
	last   time.Time
	json   bool
	writes int
	wrote  func() // may be nil
}

func (c *fakeConn) Write(frames [][]byte) int {
	c.writes++
	if c.wrote != nil {
		c.wrote()
	}
	n := len(frames)
	if c.room >= 0 {
		n = min(n, c.room)
		c.room -= n
	}
	for _, f := range frames[:n] {
		c.taken = append(c.taken, slices.Clone(f))
	}
	return n
}
func (c *fakeConn) Ping()                                       {}
func (c *fakeConn) Close(code starlingv1.CloseCode, why string) { c.closed = code }
func (c *fakeConn) LastRead() time.Time                         { return c.last }
func (c *fakeConn) LastProgress() time.Time                     { return c.last }
func (c *fakeConn) JSON() bool                                  { return c.json }
func (c *fakeConn) RemoteAddress() string                       { return "fake" }

// messages decodes what was taken since the last call.
func (c *fakeConn) messages(t testing.TB) (all []*starlingv1.ServerMessage) {
	t.Helper()
	for _, buffer := range c.taken {
		for len(buffer) > 0 {
			size, head := int(buffer[1]), 2
			if size == 126 {
				size, head = int(buffer[2])<<8|int(buffer[3]), 4
			}
			m := &starlingv1.ServerMessage{}
			if err := m.UnmarshalVT(buffer[head : head+size]); err != nil || m.Kind == nil {
				t.Fatalf("frame %x: %v, %v", buffer, m, err)
			}
			all = append(all, m)
			buffer = buffer[head+size:]
		}
	}
	c.taken = nil
	return all
}

// bench is some hubs without goroutines: the test turns the crank.
type bench struct {
	t       testing.TB
	hubs    *Hubs
	watched map[world.Cell]uint32
	reads   []readRequest
	now     time.Time
}

type readRequest struct {
	shard   world.ShardID
	cell    world.Cell
	request uint64
}

func (b *bench) Watch(_ world.ShardID, cell world.Cell, watchers uint32) { b.watched[cell] = watchers }
func (b *bench) Close()                                                  {}

func newBench(t testing.TB, hubs int) *bench {
	t.Helper()
	b := &bench{t: t, watched: map[world.Cell]uint32{}, now: time.Now()}
	metrics, err := NewMetrics(nil, 15*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Hubs: hubs, MaxBacklog: 100, AppendDisk: row, ReadCell: func(shard world.ShardID, cell world.Cell, request uint64) {
		b.reads = append(b.reads, readRequest{shard, cell, request})
	}}
	config.setDefaults()
	b.hubs = &Hubs{config: config, metrics: metrics}
	b.hubs.table = newTable(b.hubs)
	b.hubs.table.subscription = b
	for i := range hubs {
		b.hubs.hubs = append(b.hubs.hubs, newHub(b.hubs, i))
	}
	return b
}

// cellAt makes cells in a row; each has its own area, so that hubs differ.
func cellAt(i int) world.Cell { return world.Cell(0x8a00000000000000 | uint64(i+8)<<30) }

func indexOf(cell world.Cell) int { return int(uint64(cell)>>30&0xffff) - 8 }

// row is a disk in a world of one dimension.
func row(dst []world.Cell, center world.Cell, ring int) []world.Cell {
	for i := indexOf(center) - ring; i <= indexOf(center)+ring; i++ {
		dst = append(dst, cellAt(i))
	}
	return dst
}

// turn works until nothing is left to do.
func (b *bench) turn() {
	for again := true; again; {
		again = false
		for _, h := range b.hubs.hubs {
			select {
			case <-h.wake:
			default:
			}
			h.take()
			h.flushDue(time.Now(), 0)
		}
		for _, h := range b.hubs.hubs { // a client that moves leaves work to another
			again = again || len(h.inbox.messages)+len(h.inbox.work) > 0
		}
	}
}

func (b *bench) shard(cell world.Cell) world.ShardID {
	return world.DefaultShardMap().Shard(0, cell)
}

func (b *bench) confirm() {
	for cell, n := range b.watched {
		if n > 0 {
			b.hubs.table.Watching(b.shard(cell), cell)
		}
	}
	b.turn()
}

// join takes a client in.
func (b *bench) join(avatar world.EntityID, cell world.Cell, ring int) (*Client, *fakeConn) {
	ws := &fakeConn{room: -1}
	c := b.hubs.Prepare(Newcomer{Conn: ws, Avatar: avatar, Cell: cell, Ring: ring})
	c.Begin(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{Avatar: uint64(avatar)}}})
	b.turn()
	return c, ws
}

func encodeSteps(steps ...*starlingv1.Step) []byte {
	out, err := (&starlingv1.Steps{Steps: steps}).MarshalVT()
	if err != nil {
		panic(err)
	}
	return out
}

func stateStep(entity uint64, change starlingv1.Change, sequence uint64) *starlingv1.Step {
	u := &starlingv1.Update{Entity: entity, Change: change, Version: &starlingv1.Version{Epoch: 1, Sequence: sequence},
		Pose: &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: float64(sequence)}}}}}
	if change != starlingv1.Change_CHANGED && change != starlingv1.Change_REMOVED && change != starlingv1.Change_LEFT {
		u.Kind = "avatar"
		u.Attributes = &starlingv1.Attributes{Values: map[string]*starlingv1.Value{"name": {Is: &starlingv1.Value_Text{Text: "x"}}}}
	}
	return &starlingv1.Step{Is: &starlingv1.Step_Update{Update: u}}
}

func eventStep(text string) *starlingv1.Step {
	return &starlingv1.Step{Is: &starlingv1.Step_Event{Event: &starlingv1.Event{What: &starlingv1.Event_Text{Text: text}}}}
}

func (b *bench) message(cell world.Cell, from, sequence uint64, steps ...*starlingv1.Step) pubsub.Message {
	return pubsub.Message{Fence: pubsub.Fence{Shard: b.shard(cell), Epoch: 1, Claim: 5}, Cell: cell, From: from, Sequence: sequence,
		Steps: encodeSteps(steps...), Arrived: time.Now()}
}

// answer answers the reads of a cell with a baseline.
func (b *bench) answer(cell world.Cell, sequence uint64, steps ...*starlingv1.Step) {
	for _, r := range b.reads {
		if r.cell == cell {
			m := b.message(cell, 0, sequence, steps...)
			m.Baseline, m.Request = true, r.request
			b.hubs.Baseline(m)
		}
	}
	b.reads = slices.DeleteFunc(b.reads, func(r readRequest) bool { return r.cell == cell })
	b.turn()
}

func (b *bench) publish(messages ...pubsub.Message) {
	b.hubs.table.Messages(messages)
	b.turn()
}

func frames(messages []*starlingv1.ServerMessage) (all []*starlingv1.CellFrame) {
	for _, m := range messages {
		if f := m.GetFrame(); f != nil {
			all = append(all, f)
		}
	}
	return all
}

func eventsOf(f *starlingv1.CellFrame) (texts []string) {
	for _, c := range f.Commits {
		for _, s := range c.Steps {
			if e := s.GetEvent(); e != nil {
				texts = append(texts, e.GetText())
			}
		}
	}
	return texts
}

func TestBaselineThenFramesEncodedOnce(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	_, one := b.join(1, here, 0)
	_, two := b.join(2, here, 0)
	b.confirm()
	b.answer(here, 10, stateStep(1, starlingv1.Change_PRESENT, 3))
	for _, ws := range []*fakeConn{one, two} {
		got := frames(ws.messages(t))
		if len(got) != 1 || !got[0].Baseline || got[0].Sequence != 10 || got[0].MissedEvents != 0 {
			t.Fatalf("baseline: %v", got)
		}
		u := got[0].Commits[0].Steps[0].GetUpdate()
		if u.Entity != 1 || u.Kind != "avatar" || u.Attributes.Values["name"].GetText() != "x" || u.Change != starlingv1.Change_PRESENT {
			t.Errorf("baseline tells %v", u)
		}
	}
	b.publish(b.message(here, 10, 11, stateStep(1, starlingv1.Change_CHANGED, 11)), b.message(here, 11, 12, eventStep("hi")))
	for _, ws := range []*fakeConn{one, two} {
		got := frames(ws.messages(t))
		if len(got) != 1 || got[0].From != 10 || got[0].Sequence != 12 || len(got[0].Commits) != 2 || got[0].Baseline {
			t.Fatalf("frame: %v", got)
		}
	}
	if n := counter(t, b.hubs.metrics.FramesEncoded); n != 1 {
		t.Errorf("%v frames encoded for two watchers", n)
	}
	if cell := b.hubs.hubs[0].cells[cellKey{0, here}]; len(cell.frames) != 0 {
		t.Errorf("%d frames kept after all had them", len(cell.frames))
	}
	_, late := b.join(3, here, 0)
	got := frames(late.messages(t))
	if len(got) != 1 || !got[0].Baseline || got[0].Sequence != 12 || len(eventsOf(got[0])) != 0 {
		t.Fatalf("a latecomer got %v", got)
	}
	if u := got[0].Commits[0].Steps[0].GetUpdate(); u.Pose.Position.GetGeo().Latitude != 11 || u.Kind != "avatar" || u.Change != starlingv1.Change_PRESENT {
		t.Errorf("the image holds %v", u)
	}
}

func TestOutcomesAndFramesShareAWrite(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	c, ws := b.join(1, here, 0)
	b.confirm()
	b.answer(here, 1)
	ws.messages(t)
	before := ws.writes
	b.hubs.table.Messages([]pubsub.Message{b.message(here, 1, 2, stateStep(1, starlingv1.Change_CREATED, 2))})
	c.Outcome(&starlingv1.Outcome{Number: 1, Code: starlingv1.Code_APPLIED})
	b.turn()
	if got := ws.messages(t); ws.writes != before+1 || len(got) != 2 || got[0].GetOutcome() == nil || got[1].GetFrame() == nil {
		t.Errorf("%d writes of %v", ws.writes-before, got)
	}
}

func TestGapReadsAgain(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	_, ws := b.join(1, here, 0)
	b.confirm()
	b.answer(here, 10)
	ws.messages(t)
	b.publish(b.message(here, 11, 12, eventStep("after a loss")))
	if len(b.reads) != 1 || len(ws.messages(t)) != 0 {
		t.Fatalf("reads %v", b.reads)
	}
	b.answer(here, 12, stateStep(4, starlingv1.Change_PRESENT, 12))
	if got := frames(ws.messages(t)); len(got) != 1 || !got[0].Baseline || got[0].Sequence != 12 {
		t.Errorf("got %v", got)
	}
}

func TestReadRefusedIsAskedAgain(t *testing.T) {
	b := newBench(t, 1)
	b.join(1, cellAt(1), 0)
	b.confirm()
	first := b.reads[0].request
	b.reads = nil
	b.hubs.ReadRefused(first)
	b.turn()
	b.hubs.hubs[0].tick(1, time.Now().Add(2*readRetry))
	if len(b.reads) != 1 || b.reads[0].request <= first {
		t.Errorf("reads %v after %d was refused", b.reads, first)
	}
}

func TestSlowReaderConflates(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	slow, stuck := b.join(1, here, 0)
	_, witness := b.join(2, here, 0)
	b.confirm()
	b.answer(here, 1)
	stuck.messages(t)
	stuck.room = 0
	sequence := uint64(1)
	const events = 70
	for i := range events {
		b.publish(b.message(here, sequence, sequence+1, stateStep(9, starlingv1.Change_CREATED, sequence+1), eventStep(string(rune('A'+i)))))
		sequence++
	}
	if got := frames(witness.messages(t)); len(got) != events+1 {
		t.Errorf("the other got %d frames", len(got))
	}
	if cell := b.hubs.hubs[0].cells[cellKey{0, here}]; len(cell.frames) != 0 || len(cell.events) > maxKeptEvents {
		t.Errorf("kept for a stuck reader: %d frames, %d events", len(cell.frames), len(cell.events))
	}
	stuck.room = -1
	slow.Writable()
	b.turn()
	got := frames(stuck.messages(t))
	if len(got) != 1 || !got[0].Baseline || got[0].Sequence != sequence || !got[0].Conflated {
		t.Fatalf("after the stall: %v", got)
	}
	if kept := eventsOf(got[0]); len(kept) != maxKeptEvents || kept[0] != string(rune('A'+events-maxKeptEvents)) || got[0].MissedEvents != events-maxKeptEvents {
		t.Errorf("%d events told, %d missed", len(kept), got[0].MissedEvents)
	}
	b.publish(b.message(here, sequence, sequence+1, eventStep("next")))
	if got := frames(stuck.messages(t)); len(got) != 1 || got[0].Baseline || got[0].From != sequence {
		t.Errorf("then %v", got)
	}
}

func TestStallWithoutChangesCostsNothing(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	c, ws := b.join(1, here, 0)
	b.confirm()
	b.answer(here, 1)
	ws.messages(t)
	ws.room = 0
	c.Outcome(&starlingv1.Outcome{Number: 1})
	b.turn()
	ws.room = -1
	c.Writable()
	b.turn()
	if got := ws.messages(t); len(got) != 1 || got[0].GetOutcome().GetNumber() != 1 {
		t.Errorf("after the stall: %v", got)
	}
}

func TestSlowReaderIsClosed(t *testing.T) {
	b := newBench(t, 1)
	c, ws := b.join(1, cellAt(1), 0)
	b.confirm()
	b.answer(cellAt(1), 1)
	ws.room, ws.last = 0, time.Now()
	c.Outcome(&starlingv1.Outcome{Number: 1})
	b.turn()
	h := b.hubs.hubs[0]
	h.sweep(time.Now().Add(9 * time.Second))
	if ws.closed != 0 {
		t.Error("closed too early")
	}
	h.sweep(time.Now().Add(11 * time.Second))
	if ws.closed != starlingv1.CloseCode_SLOW_READER || len(h.clients) != 0 {
		t.Errorf("closed as %v, %d clients left", ws.closed, len(h.clients))
	}
	_, chatty := b.join(2, cellAt(1), 0)
	chatty.room = 0
	for c := range h.clients {
		for n := range uint64(102) {
			c.Outcome(&starlingv1.Outcome{Number: n + 1})
		}
	}
	b.turn()
	if chatty.closed != starlingv1.CloseCode_SLOW_READER {
		t.Error("answers pile up without bound")
	}
}

func TestWatchersAreTold(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	_, ws := b.join(1, here, 0)
	b.confirm()
	b.answer(here, 5)
	ws.messages(t)
	digest := pubsub.Digest{Fence: pubsub.Fence{Shard: b.shard(here), Epoch: 1, Claim: 5}, Cells: []pubsub.CellSequence{{Cell: here, Sequence: 5, Watchers: 17}}}
	b.hubs.table.Digest(digest)
	b.hubs.table.Digest(digest)
	b.turn()
	if got := frames(ws.messages(t)); len(got) != 1 || got[0].Watchers != 17 || got[0].From != 5 || got[0].Sequence != 5 {
		t.Errorf("got %v", got)
	}
}

func TestCellsWithoutWatchersAreForgotten(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	c, _ := b.join(1, here, 1)
	h := b.hubs.hubs[0]
	if len(b.watched) != 3 || len(h.cells) != 3 {
		t.Fatalf("watched %v", b.watched)
	}
	c.Remove()
	b.turn()
	h.tick(5, time.Now().Add(time.Second))
	if len(h.cells) != 3 {
		t.Error("forgotten at once")
	}
	h.tick(10, time.Now().Add(3*time.Second))
	if len(h.cells) != 0 || len(h.byShard) != 0 || len(b.hubs.table.cells) != 0 {
		t.Errorf("left: %v, %v", h.cells, b.hubs.table.cells)
	}
	for cell, n := range b.watched {
		if n != 0 {
			t.Errorf("cell %x still watched for %d", cell, n)
		}
	}
}

func TestJSONFrame(t *testing.T) {
	b := newBench(t, 1)
	here := cellAt(1)
	ws := &fakeConn{room: -1, json: true}
	c := b.hubs.Prepare(Newcomer{Conn: ws, Avatar: 1, Cell: here})
	c.Begin(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{}}})
	b.turn()
	b.confirm()
	b.answer(here, 1, stateStep(1, starlingv1.Change_PRESENT, 1))
	for _, buffer := range ws.taken {
		if buffer[0] != 0x80|conn.OpText {
			t.Errorf("frame %q", buffer)
		}
	}
	if len(ws.taken) != 2 {
		t.Errorf("%d buffers", len(ws.taken))
	}
}
