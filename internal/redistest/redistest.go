// Package redistest gives tests real Redis servers. The processes are ended
// with the test, and with the test binary whatever becomes of it.
package redistest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/redisproc"
)

// startTimeout is generous: a busy machine starts six servers slowly.
const startTimeout = 60 * time.Second

// Start starts a server for one test.
func Start(t testing.TB, options redisproc.Options) *redisproc.Server {
	t.Helper()
	s, err := redisproc.Start(Context(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, s.Close) })
	return s
}

// StartCluster starts a Cluster for one test.
func StartCluster(t testing.TB, masters, replicas int, options redisproc.Options) *redisproc.Cluster {
	t.Helper()
	c, err := redisproc.StartCluster(Context(t), masters, replicas, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, c.Close) })
	return c
}

func closeOrFail(t testing.TB, close func() error) {
	if err := close(); err != nil {
		t.Error(err)
	}
}

// Context is a context for one test's dealings with Redis.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	t.Cleanup(cancel)
	return ctx
}

// Shared keeps one server or Cluster for all tests of a binary. TestMain calls
// Close at the end.
type Shared[T interface{ Close() error }] struct {
	// Start makes it, at the first Get.
	Start func(context.Context) (T, error)

	once  sync.Once
	value T
	err   error
	made  bool
}

// Get starts it the first time.
func (s *Shared[T]) Get(t testing.TB) T {
	t.Helper()
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		s.value, s.err = s.Start(ctx)
		s.made = s.err == nil
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.value
}

// Close ends it if it was started.
func (s *Shared[T]) Close() error {
	if !s.made {
		return nil
	}
	return s.value.Close()
}
