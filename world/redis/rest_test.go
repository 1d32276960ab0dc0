package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
)

// stuck is a feed that says when it is collected, and does not return until it is
// let go.
type stuck struct {
	entered chan struct{}
	free    chan struct{}
	rests   chan bool
}

func (s *stuck) Rest(on bool) { s.rests <- on }

func (s *stuck) Collect() {
	select {
	case s.entered <- struct{}{}:
	case <-s.free:
	}
	<-s.free
}

func newStuck() *stuck {
	return &stuck{entered: make(chan struct{}), free: make(chan struct{}), rests: make(chan bool, 1<<16)}
}

// one is an append that is made again and again.
type one struct {
	world.Append
	ended chan error
}

func newOne(t *testing.T, log world.Log) *one {
	o := &one{ended: make(chan error, 1)}
	o.Append = world.Append{Shard: shard, Expect: claim(t, log, 7, 0), Batch: []byte("again"), Done: func(a *world.Append) {
		a.Expect.Sequence++
		o.ended <- a.Err
	}}
	return o
}

func (o *one) await(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case err := <-o.ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatal("an append did not end")
	}
}

func (s *stuck) awaitRest(ctx context.Context, t *testing.T, want bool) {
	t.Helper()
	for {
		select {
		case on := <-s.rests:
			if on == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("the feed was not told to rest: %v", want)
		}
	}
}

// Appends go on while a feed does not return from a collection, and nobody is left
// resting.
func TestRoundsGoOnWhileAFeedHangs(t *testing.T) {
	t.Parallel()
	c := config(world.DurabilityMemory, memoryServer.Get(t).Address())
	c.Interval = 20 * time.Millisecond
	log := open(t, c)
	s, o, ctx := newStuck(), newOne(t, log), redistest.Context(t)
	defer close(s.free)
	log.BeforeRound(s)
	for hangs := false; !hangs; {
		log.Submit(&o.Append)
		o.await(ctx, t)
		select {
		case <-s.entered:
			hangs = true
		default:
		}
	}
	for range 3 {
		log.Submit(&o.Append)
		o.await(ctx, t)
	}
	s.awaitRest(ctx, t, false)
	select {
	case <-s.entered:
		t.Error("collected a second time meanwhile")
	default:
	}
}

// A feed looks after itself while Redis does not answer, and once the log is closed.
func TestFeedsLookAfterThemselvesWithoutRounds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redisproc.Options{})
	c := config(world.DurabilityMemory, server.Address())
	c.Interval, c.Timeout = 20*time.Millisecond, time.Minute
	log := open(t, c)
	s, o, ctx := newStuck(), newOne(t, log), redistest.Context(t)
	close(s.free)
	log.BeforeRound(s)
	rest := func() {
		for {
			log.Submit(&o.Append)
			o.await(ctx, t)
			select {
			case on := <-s.rests:
				if on {
					return
				}
			default:
			}
		}
	}
	rest()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	log.Submit(&o.Append)
	s.awaitRest(ctx, t, false)
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	o.await(ctx, t)
	rest()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	s.awaitRest(ctx, t, false)
}
