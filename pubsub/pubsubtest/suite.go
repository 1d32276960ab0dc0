// Package pubsubtest is the conformance suite of pubsub.Bus: what every
// implementation owes its users.
package pubsubtest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Implementation is one bus under test.
type Implementation struct {
	// Open gives the owner's end and the gateway's end of a bus, which may be
	// the same. The test closes neither.
	Open func(t *testing.T) (owner, gateway pubsub.Bus)
	// Cut breaks the gateway's connections once; nil where there are none.
	Cut func(t *testing.T)
}

// Run runs the suite.
func Run(t *testing.T, impl Implementation) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Implementation)
	}{
		{"confirms before it delivers", confirmFirst},
		{"delivers what was published as it was", fidelity},
		{"keeps the order of a shard", order},
		{"serves shards side by side", manyShards},
		{"delivers to every subscriber", fanOut},
		{"asking again changes the number only", askAgain},
		{"unwatch stops", unwatch},
		{"a cell can be watched again", rewatch},
		{"digests reach who watches the shard", digests},
		{"callbacks may watch", watchFromCallback},
		{"a closed subscription hears nothing", closed},
		{"a reader follows its cell", follow},
		{"nothing is lost silently", cut},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, impl) })
	}
}

func shardNumber(n int) world.ShardID {
	return world.ShardID{Cell: 0x87411e000ffffff + uint64(n)<<24}
}

func cellNumber(n int) world.Cell { return world.Cell(0x8a411e000007fff + uint64(n)<<15) }

// Chain makes the messages of a shard as an owner would: each From is the
// cell's Sequence before.
type Chain struct {
	Fence    pubsub.Fence
	Sequence uint64
	cells    map[world.Cell]uint64
}

// NewChain starts a shard's chain in epoch 1.
func NewChain(shard world.ShardID) *Chain {
	return &Chain{Fence: pubsub.Fence{Shard: shard, Epoch: 1, Claim: 77}, cells: make(map[world.Cell]uint64)}
}

// Commit gives the messages of one batch that touches the cells.
func (c *Chain) Commit(cells ...world.Cell) []pubsub.Message {
	c.Sequence++
	var batch []pubsub.Message
	for _, cell := range cells {
		batch = append(batch, pubsub.Message{
			Fence: c.Fence, Cell: cell, From: c.cells[cell], Sequence: c.Sequence,
			Steps: fmt.Appendf(nil, "%d;", c.Sequence), Arrived: time.Now(),
		})
		c.cells[cell] = c.Sequence
	}
	return batch
}

// Digest tells where all cells stand.
func (c *Chain) Digest() pubsub.Digest {
	d := pubsub.Digest{Fence: c.Fence, Sent: time.Now()}
	for cell, sequence := range c.cells {
		d.Cells = append(d.Cells, pubsub.CellSequence{Cell: cell, Sequence: sequence})
	}
	return d
}

// checkChain wants n messages of the cell, without a gap.
func checkChain(t *testing.T, messages []pubsub.Message, n int) {
	t.Helper()
	if len(messages) != n {
		t.Fatalf("%d messages came, want %d", len(messages), n)
	}
	for i := 1; i < len(messages); i++ {
		if messages[i].From != messages[i-1].Sequence {
			t.Fatalf("message %d goes on from %d, the one before ended at %d", i, messages[i].From, messages[i-1].Sequence)
		}
	}
}

// subscribe watches the cells and waits for the confirmations.
func subscribe(t *testing.T, bus pubsub.Bus, shard world.ShardID, cells ...world.Cell) (*Recorder, pubsub.Subscription) {
	t.Helper()
	r := NewRecorder()
	s := bus.Subscribe(t.Name(), r)
	t.Cleanup(func() {
		s.Close()
		r.check(t)
	})
	for _, cell := range cells {
		s.Watch(shard, cell, 1)
	}
	for _, cell := range cells {
		r.WaitCount(t, EventWatching, cell, 1)
	}
	return r, s
}

func confirmFirst(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, cell := shardNumber(0), cellNumber(1)
	chain := NewChain(shard)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				owner.Publish(chain.Commit(cell))
			}
		}
	}()
	r, _ := subscribe(t, gateway, shard, cell)
	r.WaitCount(t, EventMessage, cell, 10)
	close(stop)
	<-done
	if first := r.Events()[0]; first.Kind != EventWatching {
		t.Errorf("a %s came before the confirmation", first.Kind)
	}
	messages := r.Of(cell)
	checkChain(t, messages, len(messages))
}

func fidelity(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, cell := world.ShardID{Place: 9}, cellNumber(1)
	r, _ := subscribe(t, gateway, shard, cell)
	sent := pubsub.Message{
		Fence: pubsub.Fence{Shard: shard, Epoch: 3, Claim: 1<<63 + 5}, Cell: cell, From: 7, Sequence: 1 << 40, Events: 1 << 33,
		Steps: []byte{0, 1, 2, 255}, Arrived: time.Now().Add(-time.Second),
	}
	owner.Publish([]pubsub.Message{sent})
	r.WaitCount(t, EventMessage, cell, 1)
	got := r.Of(cell)[0]
	if got.Fence != sent.Fence || got.Cell != sent.Cell || got.From != sent.From || got.Sequence != sent.Sequence ||
		got.Events != sent.Events || got.Baseline || !bytes.Equal(got.Steps, sent.Steps) {
		t.Errorf("sent %+v, got %+v", sent, got)
	}
	// The age travels, not the time of day; the way itself may be left out.
	if off := got.Arrived.Sub(sent.Arrived); off < -time.Millisecond || off > Patience {
		t.Errorf("it arrived %v apart from when it did", off)
	}
}

func order(t *testing.T, impl Implementation) {
	const batches, cells = 500, 4
	owner, gateway := impl.Open(t)
	shard := shardNumber(0)
	all := []world.Cell{cellNumber(0), cellNumber(1), cellNumber(2), cellNumber(3)}
	r, _ := subscribe(t, gateway, shard, all...)
	chain := NewChain(shard)
	for i := range batches {
		owner.Publish(chain.Commit(all[i%cells], all[(i+1)%cells]))
	}
	var last uint64
	for _, cell := range all {
		r.WaitCount(t, EventMessage, cell, batches*2/cells)
		checkChain(t, r.Of(cell), batches*2/cells)
	}
	for _, e := range r.Events() {
		if e.Kind != EventMessage {
			continue
		}
		if e.Message.Sequence < last {
			t.Fatalf("sequence %d came after %d", e.Message.Sequence, last)
		}
		last = e.Message.Sequence
	}
}

func manyShards(t *testing.T, impl Implementation) {
	const shards, batches = 12, 50
	owner, gateway := impl.Open(t)
	r, s := subscribe(t, gateway, shardNumber(0))
	var publishing sync.WaitGroup
	for i := range shards {
		cell := cellNumber(i)
		s.Watch(shardNumber(i), cell, 1)
		r.WaitCount(t, EventWatching, cell, 1)
		publishing.Go(func() {
			chain := NewChain(shardNumber(i))
			for range batches {
				owner.Publish(chain.Commit(cell))
			}
		})
	}
	publishing.Wait()
	for i := range shards {
		r.WaitCount(t, EventMessage, cellNumber(i), batches)
		checkChain(t, r.Of(cellNumber(i)), batches)
	}
}

func fanOut(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, cell := shardNumber(0), cellNumber(1)
	var recorders []*Recorder
	for range 5 {
		r, _ := subscribe(t, gateway, shard, cell)
		recorders = append(recorders, r)
	}
	chain := NewChain(shard)
	for range 20 {
		owner.Publish(chain.Commit(cell))
	}
	for _, r := range recorders {
		r.WaitCount(t, EventMessage, cell, 20)
		checkChain(t, r.Of(cell), 20)
	}
}

func askAgain(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, cell := shardNumber(0), cellNumber(1)
	r, s := subscribe(t, gateway, shard, cell)
	chain := NewChain(shard)
	for i := range 50 {
		s.Watch(shard, cell, uint32(i+1))
		owner.Publish(chain.Commit(cell))
	}
	r.WaitCount(t, EventMessage, cell, 50)
	checkChain(t, r.Of(cell), 50)
	if n := count(r.Events(), EventWatching, cell); n != 1 {
		t.Errorf("%d confirmations for one watch", n)
	}
}

func unwatch(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, first, second := shardNumber(0), cellNumber(1), cellNumber(2)
	r, s := subscribe(t, gateway, shard, first)
	s.Watch(shard, first, 0)
	s.Watch(shard, second, 1)
	r.WaitCount(t, EventWatching, second, 1)
	owner.Publish(NewChain(shard).Commit(first, second))
	r.WaitCount(t, EventMessage, second, 1)
	if n := len(r.Of(first)); n > 0 {
		t.Errorf("%d messages of a cell that is watched no more", n)
	}
}

func rewatch(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, cell := shardNumber(0), cellNumber(1)
	r, s := subscribe(t, gateway, shard, cell)
	chain := NewChain(shard)
	for i := range 5 {
		s.Watch(shard, cell, 0)
		s.Watch(shard, cell, 1)
		r.WaitCount(t, EventWatching, cell, i+2)
		owner.Publish(chain.Commit(cell))
		r.WaitCount(t, EventMessage, cell, i+1)
	}
}

func digests(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, cell := shardNumber(0), cellNumber(1)
	r, _ := subscribe(t, gateway, shard, cell)
	other, _ := subscribe(t, gateway, shardNumber(1), cellNumber(2))
	chain := NewChain(shard)
	owner.Publish(chain.Commit(cell))
	sent := chain.Digest()
	owner.PublishDigest(sent)
	r.WaitCount(t, EventDigest, 0, 1)
	events := r.Events()
	got := events[len(events)-1].Digest
	if got.Fence != sent.Fence || len(got.Cells) != 1 || got.Cells[0].Cell != cell || got.Cells[0].Sequence != 1 {
		t.Errorf("sent %+v, got %+v", sent, got)
	}
	if n := count(other.Events(), EventDigest, 0); n > 0 {
		t.Errorf("%d digests of a shard of which nothing is watched", n)
	}
}

// chaser watches the next cell as soon as one is confirmed, under the lock that
// its callbacks take.
type chaser struct {
	*Recorder
	mu           sync.Mutex
	subscription pubsub.Subscription
}

func (c *chaser) Watching(shard world.ShardID, cell world.Cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cell < cellNumber(5) {
		c.subscription.Watch(shard, cell+1<<15, 1)
	}
	c.Recorder.Watching(shard, cell)
}

func watchFromCallback(t *testing.T, impl Implementation) {
	_, gateway := impl.Open(t)
	c := &chaser{Recorder: NewRecorder()}
	c.mu.Lock()
	c.subscription = gateway.Subscribe(t.Name(), c)
	c.subscription.Watch(shardNumber(0), cellNumber(0), 1)
	c.mu.Unlock()
	c.WaitCount(t, EventWatching, cellNumber(5), 1)
	c.mu.Lock()
	c.subscription.Close()
	c.mu.Unlock()
	c.check(t)
}

func closed(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	shard, cell := shardNumber(0), cellNumber(1)
	gone, s := subscribe(t, gateway, shard, cell)
	s.Close()
	s.Close()
	s.Watch(shard, cell, 1)
	// What comes after a later confirmation comes after the end, too.
	r, _ := subscribe(t, gateway, shard, cell)
	owner.Publish(NewChain(shard).Commit(cell))
	r.WaitCount(t, EventMessage, cell, 1)
	if n := len(gone.Of(cell)); n > 0 {
		t.Errorf("%d messages after the end", n)
	}
}
