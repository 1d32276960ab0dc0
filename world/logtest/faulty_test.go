package logtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/memory"
)

func TestFaulty(t *testing.T) {
	link := NewFaulty(memory.New())
	if link.Durability() != world.DurabilityMemory {
		t.Error("another durability than the log's")
	}
	o := claim(t, link, mapShard, "owner")
	o.append(t, "1")

	link.SetUnavailable(true)
	for name, err := range everyCall(t.Context(), link, mapShard, o.tail) {
		if !errors.Is(err, world.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	link.SetUnavailable(false)
	wantHolder(t, link, mapShard, world.Holder{Tail: o.tail, Owner: "owner"})

	for _, operation := range []Operation{Claim, Append, Tail, Read, WriteSnapshot, Snapshot, Release, Shards} {
		link.Next(operation, LoseCall)
	}
	for name, err := range everyCall(t.Context(), link, mapShard, o.tail) {
		if !errors.Is(err, world.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantHolder(t, link, mapShard, world.Holder{Tail: o.tail, Owner: "owner"})
	o.append(t, "2")

	link.Choose(func(operation Operation, shard world.ShardID) Fault {
		if operation == Append && shard == mapShard {
			return LoseReply
		}
		return None
	})
	if _, err := link.Append(t.Context(), mapShard, o.tail, []byte("3")); !errors.Is(err, world.ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	link.Choose(nil)
	wantEntries(t, link, mapShard, 1, "1", "2", "3")
	if err := link.Close(); err != nil {
		t.Error(err)
	}
}

func TestFaultyHolds(t *testing.T) {
	link := NewFaulty(memory.New())
	o := claim(t, link, mapShard, "owner")
	release := link.Hold(Append)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := link.Append(ended, mapShard, o.tail, []byte("given up")); !errors.Is(err, world.ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := link.Append(t.Context(), mapShard, o.tail, []byte("held"))
		done <- err
	}()
	wantEntries(t, link, mapShard, 1)
	release()
	release() // harmless
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantEntries(t, link, mapShard, 1, "held")
}

// complaints collects what a checker finds.
type complaints []string

func (c *complaints) Errorf(format string, arguments ...any) {
	*c = append(*c, fmt.Sprintf(format, arguments...))
}
func (c *complaints) Logf(string, ...any) {}

// The checker of races is held against histories that are wrong on purpose.
func TestCheckRaceSeesPlantedFaults(t *testing.T) {
	tail := func(epoch uint32, sequence uint64) world.Tail {
		return world.Tail{Epoch: epoch, Claim: uint64(epoch) * 7, Sequence: sequence}
	}
	type history struct {
		entries []world.Entry
		a, b    *racer
	}
	good := func() history {
		a := &racer{name: "a", claims: []world.Tail{tail(1, 0), tail(3, 3)}, written: []world.Tail{tail(1, 1), tail(1, 2), tail(3, 4)}}
		b := &racer{name: "b", claims: []world.Tail{tail(2, 2)}, written: []world.Tail{tail(2, 3)}, unknown: map[string]bool{}}
		b.unknown[b.data(tail(2, 4))] = true
		h := history{a: a, b: b}
		for _, e := range []struct {
			by *racer
			at world.Tail
		}{{a, tail(1, 1)}, {a, tail(1, 2)}, {b, tail(2, 3)}, {a, tail(3, 4)}} {
			h.entries = append(h.entries, world.Entry{Epoch: e.at.Epoch, Sequence: e.at.Sequence, Data: []byte(e.by.data(e.at))})
		}
		return h
	}
	for _, c := range []struct {
		name  string
		plant func(*history)
		clean bool
	}{
		{"nothing", func(*history) {}, true},
		{"a lost batch", func(h *history) { h.entries = h.entries[:3] }, false},
		{"a batch twice", func(h *history) {
			again := h.entries[3]
			again.Sequence++
			h.entries = append(h.entries, again)
		}, false},
		{"a batch of nobody", func(h *history) {
			h.entries = append(h.entries, world.Entry{Epoch: 3, Sequence: 5, Data: []byte("?")})
		}, false},
		{"a batch changed", func(h *history) { h.entries[1].Data = []byte("?") }, false},
		{"another order", func(h *history) {
			h.entries[2].Data, h.entries[3].Data = h.entries[3].Data, h.entries[2].Data
		}, false},
		{"a write after the fence", func(h *history) {
			late := tail(1, 5)
			h.a.written = append(h.a.written, late)
			h.entries = append(h.entries, world.Entry{Epoch: 1, Sequence: 5, Data: []byte(h.a.data(late))})
		}, false},
		{"an epoch for two", func(h *history) { h.b.claims[0].Epoch = 3 }, false},
		{"a claim that loses the end", func(h *history) { h.a.claims[1].Sequence = 2 }, false},
	} {
		h := good()
		c.plant(&h)
		var found complaints
		checkRace(&found, h.entries, []*racer{h.a, h.b})
		if (len(found) == 0) != c.clean {
			t.Errorf("%s: found %q", c.name, found)
		}
	}
}
