package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/logtest"
	"github.com/starling-vr/starling/world/redis"
)

var (
	memoryServer = redistest.Shared[*redisproc.Server]{Start: func(ctx context.Context) (*redisproc.Server, error) {
		return redisproc.Start(ctx, redisproc.Options{})
	}}
	diskServer = redistest.Shared[*redisproc.Server]{Start: func(ctx context.Context) (*redisproc.Server, error) {
		return redisproc.Start(ctx, redisproc.Options{AppendOnly: true})
	}}
	cluster = redistest.Shared[*redisproc.Cluster]{Start: func(ctx context.Context) (*redisproc.Cluster, error) {
		return redisproc.StartCluster(ctx, 3, 1, redisproc.Options{})
	}}
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := errors.Join(memoryServer.Close(), diskServer.Close(), cluster.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var prefixes atomic.Int64

// config is that of a world of its own in a shared Redis.
func config(durability world.Durability, addresses ...string) redis.Config {
	return redis.Config{
		Config:     redisnodes.Config{Addresses: addresses},
		Durability: durability, Interval: -1,
		Prefix: fmt.Sprintf("test-%d", prefixes.Add(1)),
	}
}

func open(t testing.TB, c redis.Config) *redis.Log {
	t.Helper()
	log, err := redis.Open(redistest.Context(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func store(t *testing.T, c redis.Config) logtest.Store {
	return logtest.Store{
		Log:    open(t, c),
		Reopen: func(t testing.TB) world.Log { return open(t, c) },
	}
}

func TestConformance(t *testing.T) {
	t.Run("standalone memory", func(t *testing.T) {
		t.Parallel()
		address := memoryServer.Get(t).Address()
		logtest.Run(t, func(t *testing.T) logtest.Store { return store(t, config(world.DurabilityMemory, address)) })
	})
	t.Run("standalone disk", func(t *testing.T) {
		t.Parallel()
		address := diskServer.Get(t).Address()
		logtest.Run(t, func(t *testing.T) logtest.Store { return store(t, config(world.DurabilityDisk, address)) })
	})
	t.Run("cluster memory", func(t *testing.T) {
		t.Parallel()
		addresses := cluster.Get(t).Addresses()
		logtest.Run(t, func(t *testing.T) logtest.Store { return store(t, config(world.DurabilityMemory, addresses...)) })
	})
	t.Run("cluster replicated", func(t *testing.T) {
		t.Parallel()
		addresses := cluster.Get(t).Addresses()
		logtest.Run(t, func(t *testing.T) logtest.Store { return store(t, config(world.DurabilityReplicated, addresses...)) })
	})
}
