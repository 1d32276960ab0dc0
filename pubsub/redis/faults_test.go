package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/pubsub/pubsubtest"
	"github.com/starling-vr/starling/pubsub/redis"
	"github.com/starling-vr/starling/world"
)

var (
	shard = world.ShardID{Cell: 0x87411e5a4ffffff}
	cell  = world.Cell(0x8a411e5a4007fff)
)

// follow gives a source and a follower of it that is confirmed.
func follow(t *testing.T, c redis.Config) (*pubsubtest.Source, *pubsubtest.Follower, *redis.Bus) {
	t.Helper()
	owner, gateway := open(t, c), open(t, c)
	s := pubsubtest.NewSource(owner, shard, cell)
	f := pubsubtest.NewFollower(s)
	sub := gateway.Subscribe(t.Name(), f)
	t.Cleanup(sub.Close)
	sub.Watch(shard, cell, 1)
	f.WaitCount(t, pubsubtest.EventWatching, cell, 1)
	return s, f, gateway
}

func TestSlotsMoveAndMastersFail(t *testing.T) {
	t.Parallel()
	cl := redistest.StartCluster(t, 3, 1, redisproc.Options{})
	ctx := redistest.Context(t)
	s, f, gateway := follow(t, config(cl.Addresses()...))
	slot, err := cl.SlotOf(ctx, "{"+shard.String()+"}")
	if err != nil {
		t.Fatal(err)
	}
	s.Commit()
	if _, err := cl.MoveSlot(ctx, slot); err != nil {
		t.Fatal(err)
	}
	f.WaitCount(t, pubsubtest.EventLost, cell, 1)
	f.WaitCount(t, pubsubtest.EventWatching, cell, 2)
	for range 100 {
		s.Commit()
	}
	f.Converges(t)

	if _, err := cl.FailOver(ctx, slot); err != nil {
		t.Fatal(err)
	}
	f.WaitCount(t, pubsubtest.EventLost, cell, 2)
	f.WaitCount(t, pubsubtest.EventWatching, cell, 3)
	for range 100 {
		s.Commit()
	}
	f.Converges(t)
	waitHealth(t, gateway, true)
}

// waitHealth waits until the bus says so, and gives its reason.
func waitHealth(t *testing.T, b *redis.Bus, want bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), pubsubtest.Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, why := b.Healthy()
		if ok == want {
			return why
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("healthy is still %v (%s)", ok, why)
		}
	}
}

// A Redis that is there and says nothing is the fault that a closed connection
// does not show.
func TestAPausedRedisIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redisproc.Options{})
	s, f, gateway := follow(t, config(server.Address()))
	s.Commit()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		s.Commit()
	}
	if why := waitHealth(t, gateway, false); !strings.Contains(why, server.Address()) {
		t.Errorf("the reason is %q, want the node named", why)
	}
	f.WaitCount(t, pubsubtest.EventLost, cell, 1)
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	f.WaitCount(t, pubsubtest.EventWatching, cell, 2)
	waitHealth(t, gateway, true)
	f.Converges(t)
}

func TestWhatDoesNotFitIsCountedAndTold(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redisproc.Options{})
	c := config(server.Address())
	registry := prometheus.NewRegistry()
	c.QueueBytes, c.Registerer = 1000, registry
	owner := open(t, c)
	gateway := open(t, withoutMetrics(c))
	r := pubsubtest.NewRecorder()
	sub := gateway.Subscribe(t.Name(), r)
	defer sub.Close()
	sub.Watch(shard, cell, 1)
	r.WaitCount(t, pubsubtest.EventWatching, cell, 1)
	chain := pubsubtest.NewChain(shard)
	const total = 5000
	for range total {
		owner.Publish(chain.Commit(cell))
	}
	// The digest tells the last sequence, whatever of it came through.
	r.Wait(t, "the digest of what was lost, or the last message", func(events []pubsubtest.Event) bool {
		for _, e := range events {
			switch e.Kind {
			case pubsubtest.EventMessage:
				if e.Message.Sequence == total {
					return true
				}
			case pubsubtest.EventDigest:
				if e.Digest.Cells[0].Sequence == total {
					return true
				}
			}
		}
		return false
	})
	if counted(t, registry, "starling_pubsub_redis_lost_messages_total") == 0 {
		t.Error("nothing was counted as lost")
	}
}

// withoutMetrics is the same bus, seen from a process that keeps none.
func withoutMetrics(c redis.Config) redis.Config {
	c.Registerer = nil
	return c
}

func counted(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}
