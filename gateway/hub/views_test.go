package hub

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// truth is the world as the owner has it.
type truth struct {
	sequence uint64
	cells    map[world.Cell]*truthCell
	at       map[uint64]world.Cell // where entities are
}

type truthCell struct {
	sequence uint64
	holds    map[uint64]uint64 // entity: sequence of its last change
}

func (w *truth) cell(id world.Cell) *truthCell {
	c := w.cells[id]
	if c == nil {
		c = &truthCell{holds: map[uint64]uint64{}}
		w.cells[id] = c
	}
	return c
}

// commit changes cells and gives the messages that tell of it.
func (w *truth) commit(b *bench, steps map[world.Cell][]*starlingv1.Step) (out []pubsub.Message) {
	for _, id := range slices.Sorted(maps.Keys(steps)) {
		c := w.cell(id)
		for _, s := range steps[id] {
			if u := s.GetUpdate(); u != nil {
				if u.Change == starlingv1.Change_LEFT || u.Change == starlingv1.Change_REMOVED {
					delete(c.holds, u.Entity)
				} else {
					c.holds[u.Entity] = w.sequence
				}
			}
		}
		out = append(out, b.message(id, c.sequence, w.sequence, steps[id]...))
		c.sequence = w.sequence
	}
	return out
}

// view is what a client knows, by the rules of the protocol.
type view struct {
	conn   *fakeConn
	client *Client
	avatar uint64
	ring   int
	cells  map[world.Cell]*truthCell
	events int // told or counted as missed
}

func (v *view) read(t *rapid.T, b *bench) {
	for _, f := range frames(v.conn.messages(b.t)) {
		id := world.Cell(f.Cell)
		c := v.cells[id]
		switch {
		case f.Unwatched:
			if c == nil {
				t.Fatalf("client %d: cell %x left that was never told", v.avatar, id)
			}
			delete(v.cells, id)
			continue
		case f.Baseline:
			c = &truthCell{holds: map[uint64]uint64{}}
			v.cells[id] = c
		case c == nil:
			t.Fatalf("client %d: cell %x begins without a baseline: %v", v.avatar, id, f)
		case f.From != c.sequence:
			t.Fatalf("client %d: cell %x goes from %d, the view is at %d", v.avatar, id, f.From, c.sequence)
		}
		c.sequence = f.Sequence
		v.events += int(f.MissedEvents) + len(eventsOf(f))
		for _, commit := range f.Commits {
			for _, s := range commit.Steps {
				u := s.GetUpdate()
				switch {
				case u == nil:
				case u.Change == starlingv1.Change_LEFT || u.Change == starlingv1.Change_REMOVED:
					delete(c.holds, u.Entity)
				default:
					c.holds[u.Entity] = u.Version.Sequence
				}
			}
		}
	}
}

// Whatever happens to entities, watchers, sockets and the bus: every view
// follows one chain of frames, and equals the world after quiet.
func TestViewsEqualTheWorld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { runViews(t, rt) })
}

const places = 6

func runViews(t *testing.T, rt *rapid.T) {
	b := newBench(t, 2)
	w := &truth{sequence: 1, cells: map[world.Cell]*truthCell{}, at: map[uint64]world.Cell{}}
	var views []*view
	place := func() world.Cell { return cellAt(rapid.IntRange(1, places).Draw(rt, "place")) }
	deliver := func(messages []pubsub.Message) {
		if rapid.IntRange(0, 9).Draw(rt, "lost") > 0 {
			b.hubs.table.Messages(messages)
		}
		b.turn()
	}
	answerOne := func(id world.Cell) {
		c := w.cell(id)
		var steps []*starlingv1.Step
		for entity, sequence := range c.holds {
			steps = append(steps, stateStep(entity, starlingv1.Change_PRESENT, sequence))
		}
		b.answer(id, c.sequence, steps...)
	}
	moveEntity := func(entity uint64, to world.Cell) {
		w.sequence++
		from := w.at[entity]
		w.at[entity] = to
		steps := map[world.Cell][]*starlingv1.Step{}
		switch from {
		case 0:
			steps[to] = append(steps[to], stateStep(entity, starlingv1.Change_CREATED, w.sequence))
		case to:
			steps[to] = append(steps[to], stateStep(entity, starlingv1.Change_CHANGED, w.sequence))
		default:
			left := stateStep(entity, starlingv1.Change_LEFT, w.sequence)
			left.GetUpdate().To = uint64(to)
			steps[from] = append(steps[from], left)
			steps[to] = append(steps[to], stateStep(entity, starlingv1.Change_ENTERED, w.sequence))
		}
		deliver(w.commit(b, steps))
		for _, v := range views {
			if v.avatar == entity {
				v.client.Moved(to)
				b.turn()
			}
		}
	}
	someView := func() *view {
		if len(views) == 0 {
			rt.Skip("nobody there")
		}
		return rapid.SampledFrom(views).Draw(rt, "view")
	}
	rt.Repeat(map[string]func(*rapid.T){
		"move": func(rt *rapid.T) { moveEntity(uint64(rapid.IntRange(1, 8).Draw(rt, "entity")), place()) },
		"remove": func(rt *rapid.T) {
			entity := uint64(rapid.IntRange(20, 23).Draw(rt, "entity"))
			if at := w.at[entity]; at != 0 {
				w.sequence++
				delete(w.at, entity)
				deliver(w.commit(b, map[world.Cell][]*starlingv1.Step{at: {stateStep(entity, starlingv1.Change_REMOVED, w.sequence)}}))
				return
			}
			moveEntity(entity, place())
		},
		"event": func(rt *rapid.T) {
			w.sequence++
			deliver(w.commit(b, map[world.Cell][]*starlingv1.Step{place(): {eventStep("e")}}))
		},
		"join": func(rt *rapid.T) {
			if len(views) >= 5 {
				rt.Skip("enough")
			}
			avatar := uint64(1 + len(views))
			if w.at[avatar] == 0 {
				moveEntity(avatar, place())
			}
			v := &view{avatar: avatar, ring: rapid.IntRange(0, 2).Draw(rt, "ring"), cells: map[world.Cell]*truthCell{}}
			v.client, v.conn = b.join(world.EntityID(avatar), w.at[avatar], v.ring)
			views = append(views, v)
		},
		"ring": func(rt *rapid.T) {
			v := someView()
			v.ring = rapid.IntRange(0, 2).Draw(rt, "ring")
			v.client.SetRing(v.ring)
			b.turn()
		},
		"stall": func(rt *rapid.T) { someView().conn.room = rapid.IntRange(0, 3).Draw(rt, "room") },
		"drain": func(rt *rapid.T) {
			v := someView()
			v.conn.room = -1
			v.client.Writable()
			b.turn()
		},
		"confirm": func(rt *rapid.T) { b.confirm() },
		"answer":  func(rt *rapid.T) { answerOne(place()) },
		"bus lost": func(rt *rapid.T) {
			cell := place()
			b.hubs.table.Lost(b.shard(cell), cell)
			b.turn()
		},
		"": func(rt *rapid.T) {
			for _, v := range views {
				v.read(rt, b)
			}
		},
	})
	for _, v := range views {
		v.conn.room = -1
		v.client.Writable()
	}
	b.confirm()
	for range 3 {
		for i := -3; i <= places+3; i++ {
			answerOne(cellAt(i))
		}
		w.sequence++
		for i := 1; i <= places; i++ { // what was lost shows as a gap
			b.publish(w.commit(b, map[world.Cell][]*starlingv1.Step{cellAt(i): {eventStep("last")}})...)
		}
	}
	for i := -3; i <= places+3; i++ {
		answerOne(cellAt(i))
	}
	for _, v := range views {
		v.read(rt, b)
		want := row(nil, w.at[v.avatar], v.ring)
		if len(v.cells) != len(want) {
			rt.Fatalf("client %d at %d ring %d watches %d cells", v.avatar, indexOf(w.at[v.avatar]), v.ring, len(v.cells))
		}
		for _, id := range want {
			got := v.cells[id]
			if got == nil {
				rt.Fatalf("client %d does not know cell %d", v.avatar, indexOf(id))
			}
			if !maps.Equal(got.holds, w.cell(id).holds) {
				rt.Fatalf("client %d: cell %d holds %v, the view %v", v.avatar, indexOf(id), w.cell(id).holds, got.holds)
			}
		}
	}
	for _, h := range b.hubs.hubs {
		for key, c := range h.cells {
			if len(c.frames) != 0 {
				rt.Fatalf("cell %d keeps %d frames after quiet", indexOf(key.cell), len(c.frames))
			}
		}
	}
}

// FuzzSteps: whatever the bytes, walking over them ends, and an image tells
// only what can be decoded.
func FuzzSteps(f *testing.F) {
	f.Add(encodeSteps(stateStep(1, starlingv1.Change_CREATED, 2), eventStep("x"), stateStep(1, starlingv1.Change_CHANGED, 3)))
	f.Add(encodeSteps(stateStep(1, starlingv1.Change_PRESENT, 2), stateStep(1, starlingv1.Change_REMOVED, 3)))
	f.Add([]byte{0x0a, 0x05, 0x0a, 0x03, 0x09, 0x01})
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, steps []byte) {
		m := newImage()
		good := (&starlingv1.Steps{}).UnmarshalVT(steps) == nil
		for rest := steps; len(rest) > 0; {
			s, next, ok := nextStep(rest)
			if !ok {
				break
			}
			rest = next
			if s.update != nil {
				m.apply(s.update)
			}
		}
		out := m.appendSteps(nil)
		var decoded starlingv1.Steps
		err := decoded.UnmarshalVT(out)
		if good && err != nil {
			t.Fatalf("image %x of good steps: %v", out, err)
		}
		if err == nil && len(decoded.Steps) != len(m.entities) {
			t.Fatalf("%d steps of %d entities", len(decoded.Steps), len(m.entities))
		}
		if len(out) > m.bytes {
			t.Fatalf("%d bytes, counted %d", len(out), m.bytes)
		}
	})
}
