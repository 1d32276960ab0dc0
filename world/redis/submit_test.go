package redis_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/logtest"
	"github.com/starling-vr/starling/world/redis"
)

// A submitted append ends whatever becomes of the node, and says truly what is
// known of it; those that come after the fault go over a new connection.
func TestSubmittedAppendsOutliveTheirConnection(t *testing.T) {
	for name, fault := range map[string]struct{ begin, end func(*redisproc.Server) error }{
		"killed": {(*redisproc.Server).Kill, func(s *redisproc.Server) error { return s.Restart(t.Context()) }},
		"paused": {(*redisproc.Server).Pause, (*redisproc.Server).Continue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redisproc.Options{AppendOnly: true})
			c := config(world.DurabilityDisk, server.Address())
			c.Timeout = 500 * time.Millisecond
			log := logtest.Submitting(open(t, c))
			acknowledged, err := whileAppending(t, log, claim(t, log, 7, 0), func() error { return fault.begin(server) })
			wantUnavailable(t, err)
			if err := fault.end(server); err != nil {
				t.Fatal(err)
			}
			found := eventually(t, log)
			if found.Sequence < acknowledged.Sequence || found.Sequence > acknowledged.Sequence+1 {
				t.Fatalf("tail at %d after %d was acknowledged", found.Sequence, acknowledged.Sequence)
			}
			wantAll(t, log, found.Sequence)
			tail := found.Tail
			for ctx := redistest.Context(t); ; { // the first ones may meet what is left of the fault
				_, err := log.Append(ctx, shard, tail, []byte("and on"))
				if err == nil {
					return
				}
				var foreign *world.ForeignTailError
				switch {
				case ctx.Err() != nil:
					t.Fatal(err)
				case errors.As(err, &foreign):
					tail = foreign.Found.Tail // one that was not acknowledged came through
				default:
					wantUnavailable(t, err)
					tail = eventually(t, log).Tail
				}
			}
		})
	}
}

// A node that lost its functions gets them again, and the append goes through.
func TestSubmittedAppendsLoadFunctionsAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redisproc.Options{})
	log := logtest.Submitting(open(t, config(world.DurabilityMemory, server.Address())))
	tail := claim(t, log, 7, 0)
	client := server.Client()
	defer func() { _ = client.Close() }()
	if err := client.FunctionFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(redistest.Context(t), shard, tail, []byte("after the flush")); err != nil {
		t.Fatal(err)
	}
}

// After each round trip it is said once that all of its outcomes were told.
func TestRoundsSayThatAllIsTold(t *testing.T) {
	t.Parallel()
	const shards = 20
	log := open(t, config(world.DurabilityMemory, memoryServer.Get(t).Address()))
	var told, ended atomic.Int64
	rounds := make(chan int64, 10*shards)
	log.AfterRound(func() float64 {
		if n := ended.Load(); n > told.Swap(n) {
			rounds <- n
		} else {
			t.Errorf("a round without outcomes, after %d", n)
		}
		return 0
	})
	appends := make([]world.Append, shards)
	for i := range appends {
		a := &appends[i]
		a.Shard = world.ShardID{Place: world.PlaceID(i + 1)}
		tail, err := log.Claim(redistest.Context(t), a.Shard, "me", 7, 0)
		if err != nil {
			t.Fatal(err)
		}
		a.Expect, a.Batch = tail, []byte("something")
		a.Done = func(a *world.Append) {
			if a.Err != nil {
				t.Error(a.Err)
			}
			ended.Add(1)
		}
	}
	for i := range appends {
		log.Submit(&appends[i])
	}
	ctx := redistest.Context(t)
	for n := int64(0); n < shards; {
		select {
		case n = <-rounds:
		case <-ctx.Done():
			t.Fatalf("told of %d of %d", n, shards)
		}
	}
}

// Nodes that want a password get it before the first append.
func TestSubmittedAppendsLogIn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redisproc.Options{})
	client := server.Client()
	defer func() { _ = client.Close() }()
	if err := client.ConfigSet(t.Context(), "requirepass", "open sesame").Err(); err != nil {
		t.Fatal(err)
	}
	c := config(world.DurabilityMemory, server.Address())
	c.Password = "open sesame"
	log := logtest.Submitting(open(t, c))
	if _, err := log.Append(redistest.Context(t), shard, claim(t, log, 7, 0), []byte("let in")); err != nil {
		t.Fatal(err)
	}
}

// Rounds are the further apart, the more time there is to spare, and never
// where no interval is wanted.
func TestTheIntervalOfRounds(t *testing.T) {
	for _, c := range []struct {
		interval, longest time.Duration
		ease              float64
		want              time.Duration
	}{
		{0, 0, 0, redis.DefaultInterval},
		{0, 0, 1, redis.DefaultMaxInterval},
		{2 * time.Millisecond, 4 * time.Millisecond, 0.5, 3 * time.Millisecond},
		{2 * time.Millisecond, 4 * time.Millisecond, 7, 4 * time.Millisecond},
		{8 * time.Millisecond, 0, 1, 8 * time.Millisecond},
		{-1, 0, 1, -1},
	} {
		if got := redis.IntervalAt(redis.Config{Interval: c.interval, MaxInterval: c.longest}, c.ease); got != c.want {
			t.Errorf("%v to %v, ease %.1f: %v, want %v", c.interval, c.longest, c.ease, got, c.want)
		}
	}
}
