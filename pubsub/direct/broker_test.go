package direct_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/direct"
	"github.com/starling-vr/starling/pubsub/pubsubtest"
	"github.com/starling-vr/starling/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) *direct.Broker {
	b := direct.New()
	t.Cleanup(func() { b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	pubsubtest.Run(t, pubsubtest.Implementation{
		Open: func(t *testing.T) (owner, gateway pubsub.Bus) {
			b := open(t)
			return b, b
		},
	})
}

var (
	shard = world.ShardID{Cell: 0x87411e5a4ffffff}
	here  = world.Cell(0x8a411e5a4007fff)
	there = world.Cell(0x8a411e5a400ffff)
)

func watching(t testing.TB, b *direct.Broker, name string, cell world.Cell, n uint32) (*pubsubtest.Recorder, pubsub.Subscription) {
	t.Helper()
	r := pubsubtest.NewRecorder()
	s := b.Subscribe(name, r)
	s.Watch(shard, cell, n)
	r.WaitCount(t, pubsubtest.EventWatching, cell, 1)
	return r, s
}

func TestOnlyWatchedCellsAreDelivered(t *testing.T) {
	b := open(t)
	r, _ := watching(t, b, "gateway", here, 1)
	chain := pubsubtest.NewChain(shard)
	b.Publish(chain.Commit(there, here))
	b.Publish(chain.Commit(there))
	if events := r.Events(); len(events) != 2 || events[1].Cell != here {
		t.Errorf("got %v, want the confirmation and one message of the watched cell", events)
	}
}

func TestOneCallPerBatch(t *testing.T) {
	b := open(t)
	_, s := watching(t, b, "gateway", here, 1)
	calls := newCalls()
	counting := b.Subscribe("counting", calls)
	defer s.Close()
	for _, cell := range []world.Cell{here, there} {
		counting.Watch(shard, cell, 1)
		calls.wait(t)
	}
	b.Publish(pubsubtest.NewChain(shard).Commit(here, there))
	if calls.batches != 1 || calls.messages != 2 {
		t.Errorf("%d messages in %d calls, want 2 in 1", calls.messages, calls.batches)
	}
}

func TestWatchersAreSummed(t *testing.T) {
	b := open(t)
	_, first := watching(t, b, "first", here, 3)
	second, _ := watching(t, b, "second", here, 4)
	if n := b.Watchers(shard, here); n != 7 {
		t.Errorf("%d watchers, want 7", n)
	}
	if n := b.WatchedCells(shard); n != 1 {
		t.Errorf("%d watched cells, want 1", n)
	}
	b.PublishDigest(pubsub.Digest{Fence: pubsub.Fence{Shard: shard}, Cells: []pubsub.CellSequence{{Cell: here}, {Cell: there}}})
	second.WaitCount(t, pubsubtest.EventDigest, 0, 1)
	events := second.Events()
	digest := events[len(events)-1].Digest
	if digest.Cells[0].Watchers != 7 || digest.Cells[1].Watchers != 0 {
		t.Errorf("digest tells %d and %d watchers, want 7 and 0", digest.Cells[0].Watchers, digest.Cells[1].Watchers)
	}
	first.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if n := b.WatchedCells(shard); n != 0 {
		t.Errorf("%d watched cells after the end, want 0", n)
	}
}

// calls counts callbacks; Watching is signalled.
type calls struct {
	batches, messages int
	confirmed         chan struct{}
}

func (c *calls) wait(t *testing.T) {
	t.Helper()
	<-c.confirmed
}

func (c *calls) Messages(batch []pubsub.Message) {
	c.batches++
	c.messages += len(batch)
}
func (c *calls) Digest(pubsub.Digest)               {}
func (c *calls) Lost(world.ShardID, world.Cell)     {}
func (c *calls) Watching(world.ShardID, world.Cell) { c.confirmed <- struct{}{} }

func newCalls() *calls { return &calls{confirmed: make(chan struct{}, 16)} }

func TestPublishDoesNotAllocate(t *testing.T) {
	b := open(t)
	c := newCalls()
	b.Subscribe("gateway", c).Watch(shard, here, 1)
	c.wait(t)
	batch := pubsubtest.NewChain(shard).Commit(here, there)
	if n := testing.AllocsPerRun(100, func() { b.Publish(batch) }); n > 0 {
		t.Errorf("%v allocations a batch, want 0", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	broker := open(b)
	c := newCalls()
	broker.Subscribe("gateway", c).Watch(shard, here, 1)
	<-c.confirmed
	batch := pubsubtest.NewChain(shard).Commit(here)
	b.ReportAllocs()
	for b.Loop() {
		broker.Publish(batch)
	}
}
