package redis_test

import (
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
)

// supply is a feed that has so many appends, one for each collection.
type supply struct {
	t     *testing.T
	log   world.Appender
	left  int
	next  world.Append
	rests chan bool
	done  chan uint64
}

func (s *supply) Rest(on bool) { s.rests <- on }

func (s *supply) Collect() {
	if s.left > 0 {
		s.left--
		s.log.Submit(&s.next)
	}
}

func (s *supply) ended(a *world.Append) {
	if a.Err != nil {
		s.t.Error(a.Err)
	}
	a.Expect.Sequence++
	s.done <- a.Expect.Sequence
}

// While round trips follow each other, what a feed has is collected before each of
// them, and goes with it; when nothing more comes the feed looks after itself.
func TestFeedsAreCollectedBeforeRounds(t *testing.T) {
	t.Parallel()
	c := config(world.DurabilityMemory, memoryServer.Get(t).Address())
	c.Interval = 20 * time.Millisecond
	log := open(t, c)
	s := &supply{t: t, log: log, rests: make(chan bool, 1024), done: make(chan uint64, 1024)}
	tail := claim(t, log, 7, 0)
	s.next = world.Append{Shard: shard, Expect: tail, Batch: []byte("collected"), Done: s.ended}
	const collections = 5
	s.left = collections
	log.BeforeRound(s)
	ctx := redistest.Context(t)
	last := tail.Sequence
	for resting := false; !resting; {
		log.Submit(&s.next)
		for resting = false; last < tail.Sequence+1; {
			select {
			case last = <-s.done:
			case <-ctx.Done():
				t.Fatal("an append did not end")
			}
		}
		tail.Sequence = last
		select {
		case resting = <-s.rests:
		default:
		}
	}
	for resting := true; resting || last < tail.Sequence+collections; {
		select {
		case last = <-s.done:
		case resting = <-s.rests:
		case <-ctx.Done():
			t.Fatalf("%d of %d collections, resting %v", last-tail.Sequence, collections, resting)
		}
	}
}
