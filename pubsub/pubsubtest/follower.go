package pubsubtest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Source is an owner of one cell that answers ReadCell.
type Source struct {
	bus pubsub.Publisher

	mu      sync.Mutex
	chain   *Chain
	cell    world.Cell
	content strings.Builder
}

// NewSource starts an owner that publishes on bus.
func NewSource(bus pubsub.Publisher, shard world.ShardID, cell world.Cell) *Source {
	return &Source{bus: bus, chain: NewChain(shard), cell: cell}
}

// Commit changes the cell, then publishes the change: never the other way round.
func (s *Source) Commit() {
	s.mu.Lock()
	batch := s.chain.Commit(s.cell)
	s.content.Write(batch[0].Steps)
	s.mu.Unlock()
	s.bus.Publish(batch)
}

func (s *Source) digest() {
	s.mu.Lock()
	d := s.chain.Digest()
	s.mu.Unlock()
	s.bus.PublishDigest(d)
}

func (s *Source) read(request uint64) pubsub.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pubsub.Message{Fence: s.chain.Fence, Cell: s.cell, Sequence: s.chain.Sequence,
		Baseline: true, Steps: []byte(s.content.String()), Request: request}
}

// Follower keeps an image of the source's cell with a CellReader.
type Follower struct {
	*Recorder
	source *Source

	mu      sync.Mutex
	reader  *pubsub.CellReader
	image   string
	request uint64
}

// NewFollower follows the source once it watches its cell.
func NewFollower(s *Source) *Follower {
	return &Follower{Recorder: NewRecorder(), source: s,
		reader: pubsub.NewCellReader(s.chain.Fence.Shard, s.cell, pubsub.CellReaderConfig{})}
}

func (f *Follower) do(result pubsub.CellResult) {
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

// Messages implements pubsub.Handler.
func (f *Follower) Messages(batch []pubsub.Message) {
	f.mu.Lock()
	for _, m := range batch {
		f.do(f.reader.Message(m, time.Now()))
	}
	f.mu.Unlock()
	f.Recorder.Messages(batch)
}

// Digest implements pubsub.Handler.
func (f *Follower) Digest(d pubsub.Digest) {
	f.mu.Lock()
	for _, c := range d.Cells {
		f.do(f.reader.Digest(d.Fence, c.Sequence, time.Now()))
	}
	f.mu.Unlock()
	f.Recorder.Digest(d)
}

// Watching implements pubsub.Handler.
func (f *Follower) Watching(shard world.ShardID, cell world.Cell) {
	f.mu.Lock()
	f.do(f.reader.Watching(time.Now()))
	f.mu.Unlock()
	f.Recorder.Watching(shard, cell)
}

// Lost implements pubsub.Handler.
func (f *Follower) Lost(shard world.ShardID, cell world.Cell) {
	f.mu.Lock()
	f.reader.Lost()
	f.mu.Unlock()
	f.Recorder.Lost(shard, cell)
}

// Converges publishes digests until the image is the source's content.
func (f *Follower) Converges(t testing.TB) {
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
	s := NewSource(owner, shardNumber(0), cellNumber(1))
	f := NewFollower(s)
	for range 10 {
		s.Commit()
	}
	sub := gateway.Subscribe(t.Name(), f)
	defer sub.Close()
	sub.Watch(shardNumber(0), cellNumber(1), 1)
	for range 500 {
		s.Commit()
	}
	f.Converges(t)
	f.check(t)
}

func cut(t *testing.T, impl Implementation) {
	owner, gateway := impl.Open(t)
	s := NewSource(owner, shardNumber(0), cellNumber(1))
	f := NewFollower(s)
	sub := gateway.Subscribe(t.Name(), f)
	defer sub.Close()
	sub.Watch(shardNumber(0), cellNumber(1), 1)
	f.WaitCount(t, EventWatching, cellNumber(1), 1)
	for round := range 3 {
		for range 100 {
			s.Commit()
		}
		if impl.Cut != nil {
			impl.Cut(t)
		}
		for range 100 {
			s.Commit()
		}
		if impl.Cut != nil {
			f.WaitCount(t, EventLost, cellNumber(1), round+1)
			f.WaitCount(t, EventWatching, cellNumber(1), round+2)
		}
	}
	s.Commit()
	f.Converges(t)
	f.check(t)
}
