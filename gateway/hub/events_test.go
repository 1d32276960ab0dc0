package hub

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// talk is a cell as its owners have it: nothing but events, each of which tells
// its number.
type talk struct {
	cell     world.Cell
	fence    pubsub.Fence
	sequence uint64
	last     uint64 // that touched the cell
	events   uint64
	history  map[position]uint64 // events up to there
}

func (o *talk) remember() {
	o.history[position{epoch: o.fence.Epoch, sequence: o.sequence}] = o.events
}

// commit says so many events; without any it touches another cell of the shard.
func (o *talk) commit(b *bench, events int) pubsub.Message {
	o.sequence++
	steps := []*starlingv1.Step{stateStep(77, starlingv1.Change_PRESENT, o.sequence)}
	for range events {
		o.events++
		steps = append(steps, eventStep(strconv.FormatUint(o.events, 10)))
	}
	o.remember()
	m := b.message(o.cell, o.last, o.sequence, steps...)
	m.Fence, m.Events = o.fence, o.events
	o.last = o.sequence
	return m
}

func (o *talk) takeOver() {
	o.fence.Epoch++
	o.fence.Claim += 3
	o.last = o.sequence
	o.remember()
}

// answer is the baseline for the last request of the cell, if there is one.
func (o *talk) answer(b *bench) {
	var left []readRequest
	for _, r := range b.reads {
		if r.cell != o.cell {
			left = append(left, r)
			continue
		}
		b.hubs.Baseline(pubsub.Message{Fence: o.fence, Cell: o.cell, Sequence: o.sequence, Events: o.events, Baseline: true,
			Request: r.request, Steps: encodeSteps(stateStep(77, starlingv1.Change_PRESENT, o.sequence))})
	}
	b.reads = left
	b.turn()
}

// listener is a participant who counts what it is told.
type listener struct {
	conn   *fakeConn
	client *Client
	cells  map[world.Cell]*heard
}

type heard struct {
	began  uint64 // events before it watched
	told   uint64
	missed uint64
	last   uint64 // number of the last one told
}

func (l *listener) read(t *rapid.T, b *bench, owners map[world.Cell]*talk) {
	for _, f := range frames(l.conn.messages(b.t)) {
		id := world.Cell(f.Cell)
		if f.Unwatched {
			delete(l.cells, id)
			continue
		}
		now, ok := owners[id].history[position{epoch: f.Epoch, sequence: f.Sequence}]
		if !ok {
			t.Fatalf("cell %d never was at %d of epoch %d", indexOf(id), f.Sequence, f.Epoch)
		}
		h := l.cells[id]
		if h == nil {
			h = &heard{began: now, last: now}
			l.cells[id] = h
		}
		for _, text := range eventsOf(f) {
			n, _ := strconv.ParseUint(text, 10, 64)
			if n <= h.last {
				t.Fatalf("cell %d: event %d told after %d", indexOf(id), n, h.last)
			}
			h.told, h.last = h.told+1, n
		}
		h.missed += uint64(f.MissedEvents)
		if h.told+h.missed != now-h.began {
			t.Fatalf("cell %d at %d of epoch %d: %d events told and %d missed, there were %d", indexOf(id), f.Sequence, f.Epoch, h.told, h.missed, now-h.began)
		}
	}
}

// Whatever happens to the bus, to owners, to sockets and to who watches what: a
// participant is told each event, or that it missed it, and none twice. Guards
// against events in messages that a baseline stands for.
func TestEveryEventIsToldOrCountedAsMissed(t *testing.T) {
	told, missed := uint64(0), uint64(0)
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, 2)
		owners := map[world.Cell]*talk{}
		for i := -4; i <= places+4; i++ {
			o := &talk{cell: cellAt(i), fence: pubsub.Fence{Shard: b.shard(cellAt(i)), Epoch: 1, Claim: 5}, sequence: 9, history: map[position]uint64{}}
			o.remember()
			owners[o.cell] = o
		}
		var flying []pubsub.Message
		var listeners []*listener
		someone := func() *listener {
			if len(listeners) == 0 {
				rt.Skip("nobody there")
			}
			return rapid.SampledFrom(listeners).Draw(rt, "listener")
		}
		place := func() *talk { return owners[cellAt(rapid.IntRange(1, places).Draw(rt, "place"))] }
		settle := func() {
			b.confirm()
			for len(b.reads) > 0 {
				owners[b.reads[0].cell].answer(b)
			}
		}
		actions := map[string]func(*rapid.T){
			"say":                   func(rt *rapid.T) { b.publish(place().commit(b, rapid.IntRange(0, 3).Draw(rt, "events"))) },
			"say, the bus loses it": func(rt *rapid.T) { place().commit(b, rapid.IntRange(0, 3).Draw(rt, "events")) },
			"say, the bus is slow": func(rt *rapid.T) {
				flying = append(flying, place().commit(b, rapid.SampledFrom([]int{0, 1, 1, 1, 2, 90}).Draw(rt, "events")))
			},
			"deliver": func(rt *rapid.T) {
				if len(flying) > 0 {
					i := rapid.IntRange(0, len(flying)-1).Draw(rt, "which")
					b.publish(flying[i])
					if !rapid.Bool().Draw(rt, "doubled") {
						flying = append(flying[:i], flying[i+1:]...)
					}
				}
			},
			"elsewhere": func(rt *rapid.T) {
				o := place()
				o.sequence++
				o.remember()
			},
			"take over": func(rt *rapid.T) { place().takeOver() },
			"digest": func(rt *rapid.T) {
				o := place()
				b.hubs.table.Digest(pubsub.Digest{Fence: o.fence, Cells: []pubsub.CellSequence{{Cell: o.cell, Sequence: o.last}}})
				b.turn()
			},
			"lost": func(rt *rapid.T) {
				o := place()
				b.hubs.table.Lost(o.fence.Shard, o.cell)
				b.turn()
			},
			"confirm": func(rt *rapid.T) { b.confirm() },
			"settle":  func(rt *rapid.T) { settle() },
			"answer":  func(rt *rapid.T) { place().answer(b) },
			"join": func(rt *rapid.T) {
				if len(listeners) >= 4 {
					rt.Skip("enough")
				}
				l := &listener{cells: map[world.Cell]*heard{}}
				l.client, l.conn = b.join(world.EntityID(1+len(listeners)), place().cell, rapid.IntRange(0, 2).Draw(rt, "ring"))
				listeners = append(listeners, l)
			},
			"walk": func(rt *rapid.T) {
				someone().client.Moved(place().cell)
				b.turn()
			},
			"ring": func(rt *rapid.T) {
				someone().client.SetRing(rapid.IntRange(0, 2).Draw(rt, "ring"))
				b.turn()
			},
			"stall": func(rt *rapid.T) { someone().conn.room = rapid.IntRange(0, 3).Draw(rt, "room") },
			"drain": func(rt *rapid.T) {
				l := someone()
				l.conn.room = -1
				l.client.Writable()
				b.turn()
			},
			"": func(rt *rapid.T) {
				for _, l := range listeners {
					l.read(rt, b, owners)
				}
			},
		}
		for range 5 {
			rt.Repeat(actions)
		}
		for _, l := range listeners {
			l.conn.room = -1
			l.client.Writable()
		}
		b.turn()
		for _, o := range owners {
			b.hubs.table.Lost(o.fence.Shard, o.cell)
		}
		settle()
		for i, l := range listeners {
			l.read(rt, b, owners)
			for cell, h := range l.cells {
				if got, want := h.told+h.missed, owners[cell].events-h.began; got != want {
					rt.Fatalf("listener %d, cell %d: told %d, missed %d; there were %d", i, indexOf(cell), h.told, h.missed, want)
				}
				told += h.told
				missed += h.missed
			}
		}
	})
	t.Logf("%d events told, %d counted as missed", told, missed)
	if told == 0 || missed == 0 {
		t.Error("the test exercised nothing")
	}
}

// The first message of a new owner makes the cell be read again; what it says is
// told nevertheless.
func TestEventsThatCameWhileReadingAreTold(t *testing.T) {
	b := newBench(t, 1)
	o := &talk{cell: cellAt(1), fence: pubsub.Fence{Shard: b.shard(cellAt(1)), Epoch: 1, Claim: 5}, sequence: 9, history: map[position]uint64{}}
	_, one := b.join(1, o.cell, 0)
	_, two := b.join(2, o.cell, 0)
	b.confirm()
	o.answer(b)
	b.publish(o.commit(b, 1))
	one.messages(t)
	two.messages(t)
	o.commit(b, 2) // lost with the owner
	o.takeOver()
	b.publish(o.commit(b, 1))
	o.answer(b)
	for _, c := range []*fakeConn{one, two} {
		got := frames(c.messages(t))
		if len(got) != 1 || !got[0].Baseline || got[0].MissedEvents != 2 {
			t.Fatalf("got %v, want one baseline that says that two events were missed", got)
		}
		if events := eventsOf(got[0]); len(events) != 1 || events[0] != "4" {
			t.Errorf("told events %v, want the fourth", events)
		}
	}
}

// A store that lost the end of a log takes the count of events back.
func TestALogThatLostItsEndIsSaidToHaveMissedEvents(t *testing.T) {
	b := newBench(t, 1)
	o := &talk{cell: cellAt(1), fence: pubsub.Fence{Shard: b.shard(cellAt(1)), Epoch: 1, Claim: 5}, sequence: 9, history: map[position]uint64{}}
	_, c := b.join(1, o.cell, 0)
	b.confirm()
	o.answer(b)
	b.publish(o.commit(b, 3))
	c.messages(t)
	o.events = 1
	o.takeOver()
	b.publish(o.commit(b, 1))
	o.answer(b)
	if got := frames(c.messages(t)); len(got) != 1 || !got[0].Baseline || got[0].MissedEvents == 0 {
		t.Fatalf("got %v, want a baseline that says that something was missed", got)
	}
	b.publish(o.commit(b, 1))
	if got := frames(c.messages(t)); len(got) != 1 || got[0].MissedEvents != 0 || len(eventsOf(got[0])) != 1 {
		t.Errorf("then got %v, want a frame with one event", got)
	}
}
