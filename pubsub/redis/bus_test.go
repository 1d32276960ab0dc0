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
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/pubsub/pubsubtest"
	"github.com/starling-vr/starling/pubsub/redis"
)

var (
	server = redistest.Shared[*redisproc.Server]{Start: func(ctx context.Context) (*redisproc.Server, error) {
		return redisproc.Start(ctx, redisproc.Options{})
	}}
	cluster = redistest.Shared[*redisproc.Cluster]{Start: func(ctx context.Context) (*redisproc.Cluster, error) {
		return redisproc.StartCluster(ctx, 3, 1, redisproc.Options{})
	}}
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := errors.Join(server.Close(), cluster.Close()); err != nil {
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

func config(addresses ...string) redis.Config {
	return redis.Config{Config: redisnodes.Config{Addresses: addresses}, Prefix: fmt.Sprintf("test-%d", prefixes.Add(1))}
}

func open(t testing.TB, c redis.Config) *redis.Bus {
	t.Helper()
	b, err := redis.Open(redistest.Context(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// killSubscribers breaks every subscriber connection of the servers.
func killSubscribers(t *testing.T, servers ...*redisproc.Server) {
	for _, s := range servers {
		client := s.Client()
		defer client.Close()
		if err := client.Do(redistest.Context(t), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConformance(t *testing.T) {
	t.Run("standalone", func(t *testing.T) {
		s := server.Get(t)
		pubsubtest.Run(t, pubsubtest.Implementation{
			Open: func(t *testing.T) (owner, gateway pubsub.Bus) {
				c := config(s.Address())
				return open(t, c), open(t, c)
			},
			Cut: func(t *testing.T) { killSubscribers(t, s) },
		})
	})
	t.Run("cluster", func(t *testing.T) {
		cl := cluster.Get(t)
		pubsubtest.Run(t, pubsubtest.Implementation{
			Open: func(t *testing.T) (owner, gateway pubsub.Bus) {
				c := config(cl.Addresses()...)
				return open(t, c), open(t, c)
			},
			Cut: func(t *testing.T) { killSubscribers(t, cl.Servers...) },
		})
	})
}
