package pubsubtest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// source is an owner of one cell that answers ReadCell.
type source struct {
	bus pubsub.Publisher

	mu      sync.Mutex
	chain   *Chain
	cell    world.Cell
	content strings.Builder
}

func newSource(bus pubsub.Publisher, shard world.ShardID, cell world.Cell) *source {
	return &source{bus: bus, chain: NewChain(shard), cell: cell}
}

// commit changes the cell, then publishes the change: never the other way round.
func (s *source) commit() {
	s.mu.Lock()
	batch := s.chain.Commit(s.cell)
	s.content.Write(batch[0].Steps)
	s.mu.Unlock()
	s.bus.Publish(batch)
}

func (s *source) digest() {
	s.mu.Lock()
	d := s.chain.Digest()
	s.mu.Unlock()
	s.bus.PublishDigest(d)
}

func (s *source) read(request uint64) pubsub.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pubsub.Message{Fence: s.chain.Fence, Cell: s.cell, Sequence: s.chain.Sequence,
		Baseline: true, Steps: []byte(s.content.String()), Request: request}
}

// follower keeps an image of the source's cell with a CellReader.
type follower struct {
	*Recorder
	source *source

	mu      sync.Mutex
	reader  *pubsub.CellReader
	image   string
	request uint64
}

func newFollower(s *source) *follower {
	return &follower{Recorder: NewRecorder(), source: s,
		reader: pubsub.NewCellReader(s.chain.Fence.Shard, s.cell, pubsub.CellReaderConfig{})}
}

func (f *follower) do(result pubsub.CellResult) {
	for _, m := range result.Apply {
		if m.Baseline {
			f.image = ""
		}
		f.image += string(m.Steps)
	}
	if result.Read {
		f.request++
		f.reader.Requested(f.request)
		f.do(f.reader.Baseline(f.source.read(f.request), time.Now()))
	}
}

func (f *follower) Messages(batch []pubsub.Message) {
	f.mu.Lock()
	for _, m := range batch {
		f.do(f.reader.Message(m, time.Now()))
	}
	f.mu.Unlock()
	f.Recorder.Messages(batch)
}

func (f *follower) Digest(d pubsub.Digest) {
	f.mu.Lock()
	for _, c := range d.Cells {
		f.do(f.reader.Digest(d.Fence, c.Sequence, time.Now()))
	}
	f.mu.Unlock()
	f.Recorder.Digest(d)
}

func (f *follower) Watching(shard world.ShardID, cell world.Cell) {
	f.mu.Lock()
	f.do(f.reader.Watching(time.Now()))
	f.mu.Unlock()
	f.Recorder.Watching(shard, cell)
}

func (f *follower) Lost(shard world.ShardID, cell world.Cell) {
	f.mu.Lock()
	f.reader.Lost()
	f.mu.Unlock()
	f.Recorder.Lost(shard, cell)
}

// converges publishes digests until the image is the source's content.
func (f *follower) converges(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(Patience)
	for {
		f.mu.Lock()
		f.do(f.reader.Tick(time.Now()))
		same := f.image == f.source.content.String() && f.reader.State() == pubsub.CellLive
		f.mu.Unlock()
		if same {
			return
		}
		f.source.digest()
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("the image still differs after %v of digests; %s", Patience, f.summary())
		}
	}
}

func follow(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	s := newSource(owner, shardNumber(0), cellNumber(1))
	f := newFollower(s)
	for range 10 {
		s.commit()
	}
	sub := gateway.Subscribe(t.Name(), f)
	defer sub.Close()
	sub.Watch(shardNumber(0), cellNumber(1), 1)
	for range 500 {
		s.commit()
	}
	f.converges(t)
	f.check(t)
}

func cut(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	s := newSource(owner, shardNumber(0), cellNumber(1))
	f := newFollower(s)
	sub := gateway.Subscribe(t.Name(), f)
	defer sub.Close()
	sub.Watch(shardNumber(0), cellNumber(1), 1)
	f.WaitCount(t, EventWatching, cellNumber(1), 1)
	for round := range 3 {
		for range 100 {
			s.commit()
		}
		if impl.Cut != nil {
			impl.Cut(t)
		}
		for range 100 {
			s.commit()
		}
		if impl.Cut != nil {
			f.WaitCount(t, EventLost, cellNumber(1), round+1)
			f.WaitCount(t, EventWatching, cellNumber(1), round+2)
		}
	}
	s.commit()
	f.converges(t)
	f.check(t)
}
