package directory_test

import (
	"context"
	"testing"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/regions/directory"
)

// Every store must behave alike: the same suite over all of them.
func TestStores(t *testing.T) {
	t.Run("memory", func(t *testing.T) { testStore(t, directory.NewMemory()) })
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t, redisproc.Options{})
		testStore(t, openRedis(t, directory.RedisConfig{Addresses: []string{server.Address()}}))
	})
	t.Run("redis over a unix socket", func(t *testing.T) {
		server := redistest.Start(t, redisproc.Options{UnixSocket: true})
		testStore(t, openRedis(t, directory.RedisConfig{Addresses: []string{"unix:" + server.UnixSocket()}, Prefix: "other"}))
	})
	t.Run("redis cluster", func(t *testing.T) {
		cluster := redistest.StartCluster(t, 3, 1, redisproc.Options{})
		testStore(t, openRedis(t, directory.RedisConfig{Addresses: cluster.Addresses(), Cluster: true}))
	})
}

func openRedis(t *testing.T, cfg directory.RedisConfig) directory.Store {
	t.Helper()
	s, err := directory.NewRedis(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func testStore(t *testing.T, s directory.Store) {
	ctx := redistest.Context(t)
	a := &directory.Record{ID: "a", Incarnation: 1<<63 + 1, Counter: 1, Roles: []directory.Role{directory.RoleOwner}, Address: "h:1", Load: directory.Load{Shards: 2}}
	b := &directory.Record{ID: "b", Incarnation: 2, Counter: 1}
	if l := beat(ctx, t, s, nil); len(l.Records) != 0 || len(l.Drains) != 0 {
		t.Fatalf("a new table holds %+v", l)
	}
	if l := beat(ctx, t, s, a); counter(l, "a") != 1 {
		t.Fatal("a reading must show the writing before it")
	}
	beat(ctx, t, s, b)
	a.Counter = 2
	l := beat(ctx, t, s, a)
	if len(l.Records) != 2 || counter(l, "a") != 2 || counter(l, "b") != 1 {
		t.Fatalf("records %+v", l.Records)
	}
	for _, r := range l.Records {
		if r.ID == "a" && (r.Incarnation != a.Incarnation || !r.Has(directory.RoleOwner) || r.Address != "h:1" || r.Load != a.Load) {
			t.Fatalf("wrote %+v, read %+v", a, r)
		}
	}
	testDrains(ctx, t, s)
	testRemove(ctx, t, s)
}

func testDrains(ctx context.Context, t *testing.T, s directory.Store) {
	t.Helper()
	set := func(id string, incarnation uint64, drain bool) {
		if err := s.SetDrain(ctx, id, incarnation, drain); err != nil {
			t.Fatal(err)
		}
	}
	set("a", 1<<63+1, true)
	set("b", 2, true)
	set("b", 2, false)
	set("b", 2, false)
	if l := beat(ctx, t, s, nil); len(l.Drains) != 1 || l.Drains["a"] != 1<<63+1 {
		t.Fatalf("drains %v", l.Drains)
	}
}

func testRemove(ctx context.Context, t *testing.T, s directory.Store) {
	t.Helper()
	remove := func(id string, incarnation, counter uint64) {
		if err := s.Remove(ctx, id, incarnation, counter); err != nil {
			t.Fatal(err)
		}
	}
	remove("a", 1<<63+1, 1)
	remove("a", 7, 2)
	remove("nobody", 1, 1)
	if l := beat(ctx, t, s, nil); counter(l, "a") != 2 {
		t.Fatal("a record that has changed since must stay")
	}
	remove("a", 1<<63+1, 2)
	if l := beat(ctx, t, s, nil); counter(l, "a") != 0 || len(l.Drains) != 0 || counter(l, "b") != 1 {
		t.Fatalf("after removing: %+v", l)
	}
}

func beat(ctx context.Context, t *testing.T, s directory.Store, own *directory.Record) directory.Listing {
	t.Helper()
	l, err := s.Beat(ctx, own)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func counter(l directory.Listing, id string) uint64 {
	for _, r := range l.Records {
		if r.ID == id {
			return r.Counter
		}
	}
	return 0
}
