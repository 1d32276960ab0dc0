package pubsubtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Patience is how long a test waits for something that must happen.
const Patience = 20 * time.Second

// EventKind is the callback that an Event stands for.
type EventKind string

// The callbacks of pubsub.Handler.
const (
	EventMessage  EventKind = "message"
	EventDigest   EventKind = "digest"
	EventWatching EventKind = "watching"
	EventLost     EventKind = "lost"
)

// Event is one callback.
type Event struct {
	Kind    EventKind
	Shard   world.ShardID
	Cell    world.Cell
	Message pubsub.Message
	Digest  pubsub.Digest
}

// Recorder is a handler that keeps what it hears.
type Recorder struct {
	mu     sync.Mutex
	events []Event
	inside map[world.ShardID]bool
	faults []string
	came   chan struct{} // closed and replaced when something came
}

// NewRecorder makes an empty one.
func NewRecorder() *Recorder {
	return &Recorder{came: make(chan struct{}), inside: make(map[world.ShardID]bool)}
}

func (r *Recorder) add(shard world.ShardID, events ...Event) {
	r.enter(shard)
	defer r.leave(shard)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, events...)
	close(r.came)
	r.came = make(chan struct{})
}

// enter notes callbacks of one shard that run at the same time.
func (r *Recorder) enter(shard world.ShardID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inside[shard] {
		r.faults = append(r.faults, fmt.Sprintf("two callbacks of shard %v at once", shard))
	}
	r.inside[shard] = true
}

func (r *Recorder) leave(shard world.ShardID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside[shard] = false
}

// Messages records a batch.
func (r *Recorder) Messages(batch []pubsub.Message) {
	events := make([]Event, len(batch))
	for i, m := range batch {
		events[i] = Event{Kind: EventMessage, Shard: m.Shard, Cell: m.Cell, Message: m}
	}
	r.add(batch[0].Shard, events...)
}

// Digest records a digest.
func (r *Recorder) Digest(d pubsub.Digest) {
	d.Cells = append([]pubsub.CellSequence(nil), d.Cells...)
	r.add(d.Shard, Event{Kind: EventDigest, Shard: d.Shard, Digest: d})
}

// Watching records a confirmation.
func (r *Recorder) Watching(shard world.ShardID, cell world.Cell) {
	r.add(shard, Event{Kind: EventWatching, Shard: shard, Cell: cell})
}

// Lost records a loss.
func (r *Recorder) Lost(shard world.ShardID, cell world.Cell) {
	r.add(shard, Event{Kind: EventLost, Shard: shard, Cell: cell})
}

// Events gives what came so far.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...)
}

// Messages of one cell so far.
func (r *Recorder) Of(cell world.Cell) []pubsub.Message {
	var messages []pubsub.Message
	for _, e := range r.Events() {
		if e.Kind == EventMessage && e.Cell == cell {
			messages = append(messages, e.Message)
		}
	}
	return messages
}

// Wait waits until the events so far satisfy done.
func (r *Recorder) Wait(t testing.TB, what string, done func([]Event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		r.mu.Lock()
		ok, came := done(r.events), r.came
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-came:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s; came: %s", Patience, what, r.summary())
		}
	}
}

// WaitCount waits until n events of a kind came for a cell.
func (r *Recorder) WaitCount(t testing.TB, kind EventKind, cell world.Cell, n int) {
	t.Helper()
	r.Wait(t, fmt.Sprintf("%d × %s of cell %x", n, kind, uint64(cell)), func(events []Event) bool {
		return count(events, kind, cell) >= n
	})
}

func count(events []Event, kind EventKind, cell world.Cell) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind && e.Cell == cell {
			n++
		}
	}
	return n
}

func (r *Recorder) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf("%d events:", len(r.events))
	for _, e := range r.events[max(0, len(r.events)-20):] {
		text += fmt.Sprintf(" %s %x/%d", e.Kind, uint64(e.Cell), e.Message.Sequence)
	}
	return text
}

func (r *Recorder) check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fault := range r.faults {
		t.Error(fault)
	}
}
