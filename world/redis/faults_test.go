package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/redis"
)

var shard = world.ShardID{Cell: 0x87411e5a4ffffff}

func claim(t testing.TB, log world.Log, id uint64, atLeast uint32) world.Tail {
	t.Helper()
	tail, err := log.Claim(redistest.Context(t), shard, "owner", id, atLeast)
	if err != nil {
		t.Fatal(err)
	}
	return tail
}

// appendUntilError appends until the store fails and gives the last tail that
// was acknowledged.
func appendUntilError(t *testing.T, log world.Log, tail world.Tail) (world.Tail, error) {
	for {
		next, err := log.Append(t.Context(), shard, tail, fmt.Appendf(nil, "batch %d", tail.Sequence+1))
		if err != nil {
			return tail, err
		}
		tail = next
	}
}

// wantAll checks that every acknowledged batch is there, as it was.
func wantAll(t *testing.T, log world.Log, upTo uint64) {
	t.Helper()
	var next uint64 = 1
	for next <= upTo {
		entries, err := log.Read(redistest.Context(t), shard, next, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			t.Fatalf("batches %d to %d were acknowledged and are gone", next, upTo)
		}
		for _, e := range entries {
			if want := fmt.Sprintf("batch %d", next); e.Sequence != next || string(e.Data) != want {
				t.Fatalf("entry %d is %q, want %q", e.Sequence, e.Data, want)
			}
			next++
		}
	}
}

// eventually asks for the tail until the store answers, as an owner does.
func eventually(t *testing.T, log world.Log) world.Holder {
	t.Helper()
	ctx := redistest.Context(t)
	for {
		h, err := log.Tail(ctx, shard)
		if err == nil {
			return h
		}
		if !errors.Is(err, world.ErrUnavailable) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// whileAppending runs fault once some batches went through, and gives the last
// tail that was acknowledged and the error that ended it.
func whileAppending(t *testing.T, log world.Log, tail world.Tail, fault func() error) (world.Tail, error) {
	t.Helper()
	enough := make(chan struct{})
	var faulted sync.WaitGroup
	faulted.Go(func() {
		<-enough
		if err := fault(); err != nil {
			t.Error(err)
		}
	})
	for range 50 {
		next, err := log.Append(t.Context(), shard, tail, fmt.Appendf(nil, "batch %d", tail.Sequence+1))
		if err != nil {
			t.Fatal(err)
		}
		tail = next
	}
	close(enough)
	tail, err := appendUntilError(t, log, tail)
	faulted.Wait()
	return tail, err
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, world.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
}

func TestKillAtDiskLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redisproc.Options{AppendOnly: true})
	log := open(t, config(world.DurabilityDisk, server.Address()))
	acknowledged, err := whileAppending(t, log, claim(t, log, 7, 0), server.Kill)
	wantUnavailable(t, err)
	if err := server.Restart(redistest.Context(t)); err != nil {
		t.Fatal(err)
	}
	found := eventually(t, log)
	if found.Sequence < acknowledged.Sequence || found.Sequence > acknowledged.Sequence+1 {
		t.Fatalf("tail at %d after %d was acknowledged", found.Sequence, acknowledged.Sequence)
	}
	wantAll(t, log, found.Sequence)
	// The functions came back with the data; the same owner goes on.
	if _, err := log.Append(redistest.Context(t), shard, found.Tail, []byte("and on")); err != nil {
		t.Fatal(err)
	}
}

func TestAStoreThatForgotIsBehindAndLoadsFunctionsAgain(t *testing.T) {
	server := redistest.Start(t, redisproc.Options{})
	log := open(t, config(world.DurabilityMemory, server.Address()))
	acknowledged, err := whileAppending(t, log, claim(t, log, 7, 0), server.Kill)
	wantUnavailable(t, err)
	if err := server.Restart(redistest.Context(t)); err != nil {
		t.Fatal(err)
	}
	_ = eventually(t, log)
	_, err = log.Append(redistest.Context(t), shard, acknowledged, []byte("on"))
	var foreign *world.ForeignTailError
	if !errors.As(err, &foreign) || !foreign.Behind() {
		t.Fatalf("got %v, want a tail that is behind", err)
	}
	if tail := claim(t, log, 8, acknowledged.Epoch); tail.Epoch != acknowledged.Epoch+1 || tail.Sequence != 0 {
		t.Errorf("claimed %+v", tail)
	}
}

func TestMasterKilledAtReplicatedLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	cl := redistest.StartCluster(t, 3, 1, redisproc.Options{})
	ctx := redistest.Context(t)
	log := open(t, config(world.DurabilityReplicated, cl.Addresses()...))
	slot, err := cl.SlotOf(ctx, "{"+shard.String()+"}")
	if err != nil {
		t.Fatal(err)
	}
	old, err := cl.MasterOf(ctx, slot)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged, err := whileAppending(t, log, claim(t, log, 7, 0), old.Kill)
	wantUnavailable(t, err)
	// The new master has no replica: what it holds counts as committed only
	// when the old one came back as that.
	if err := cl.WaitReplaced(ctx, slot, old); err != nil {
		t.Fatal(err)
	}
	if err := old.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	found := eventually(t, log)
	if found.Sequence < acknowledged.Sequence || found.Sequence > acknowledged.Sequence+1 {
		t.Fatalf("tail at %d after %d was acknowledged", found.Sequence, acknowledged.Sequence)
	}
	wantAll(t, log, found.Sequence)
	if _, err := log.Append(ctx, shard, found.Tail, []byte("and on")); err != nil {
		t.Fatal(err)
	}
}

// A failover at memory may lose the end. The epoch of a claim that was lost
// with it is issued a second time; the claim id tells the two apart.
func TestAnEpochIssuedTwiceAfterAFailover(t *testing.T) {
	t.Parallel()
	cl := redistest.StartCluster(t, 3, 1, redisproc.Options{})
	ctx := redistest.Context(t)
	c := config(world.DurabilityMemory, cl.Addresses()...)
	log := open(t, c)
	slot, err := cl.SlotOf(ctx, "{"+shard.String()+"}")
	if err != nil {
		t.Fatal(err)
	}
	old, err := cl.MasterOf(ctx, slot)
	if err != nil {
		t.Fatal(err)
	}
	first := claim(t, log, 7, 0)
	cutReplication(t, old)
	lost := claim(t, log, 8, 0)
	for range 5 {
		next, err := log.Append(ctx, shard, lost, []byte("lost"))
		if err != nil {
			t.Fatal(err)
		}
		lost = next
	}
	if err := old.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cl.WaitReplaced(ctx, slot, old); err != nil {
		t.Fatal(err)
	}
	_ = eventually(t, log)
	_, err = log.Append(ctx, shard, lost, []byte("on"))
	var foreign *world.ForeignTailError
	if !errors.As(err, &foreign) {
		t.Fatalf("got %v, want a foreign tail", err)
	}
	if !foreign.Behind() || foreign.Found.Tail != first {
		t.Errorf("%v is not taken for a store that lost its end", foreign)
	}
	again := claim(t, log, 9, 0)
	if again.Epoch != lost.Epoch {
		t.Fatalf("epoch %d, want %d a second time", again.Epoch, lost.Epoch)
	}
	_, err = log.Append(ctx, shard, lost, []byte("on"))
	if !errors.As(err, &foreign) || foreign.Behind() {
		t.Errorf("got %v: the first owner of the epoch takes itself for the second", err)
	}
}

// cutReplication waits until the replica has all, then keeps it away from the
// master: it knows no password.
func cutReplication(t *testing.T, master *redisproc.Server) {
	t.Helper()
	ctx := redistest.Context(t)
	client := master.Client()
	defer client.Close()
	pipe := client.Pipeline()
	pipe.Set(ctx, "{"+shard.String()+"}", "", 0)
	pipe.Do(ctx, "WAIT", 1, 0)
	pipe.ConfigSet(ctx, "requirepass", "unknown to the replica")
	pipe.Do(ctx, "CLIENT", "KILL", "TYPE", "replica")
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestAPausedRedisIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redisproc.Options{})
	log := open(t, config(world.DurabilityMemory, server.Address()))
	tail := claim(t, log, 7, 0)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := log.Append(ctx, shard, tail, []byte("batch 1"))
	wantUnavailable(t, err)
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	// It may have been written when the server went on: the tail tells.
	if found := eventually(t, log); found.Sequence > 1 {
		t.Errorf("one append made %d entries", found.Sequence)
	}
}

func TestWithoutReplicaNothingIsCommittedAtReplicated(t *testing.T) {
	server := memoryServer.Get(t)
	c := config(world.DurabilityReplicated, server.Address())
	c.ReplicaTimeout = 20 * time.Millisecond
	log := open(t, c)
	_, err := log.Claim(t.Context(), shard, "owner", 7, 0)
	wantUnavailable(t, err)
	_, err = log.Tail(t.Context(), shard)
	wantUnavailable(t, err)
}

func TestSlotsMoveUnderAppends(t *testing.T) {
	cl := cluster.Get(t)
	ctx := redistest.Context(t)
	log := open(t, config(world.DurabilityReplicated, cl.Addresses()...))
	slot, err := cl.SlotOf(ctx, "{"+shard.String()+"}")
	if err != nil {
		t.Fatal(err)
	}
	tail := claim(t, log, 7, 0)
	moved := make(chan error, 1)
	go func() {
		for range 3 {
			if _, err := cl.MoveSlot(ctx, slot); err != nil {
				moved <- err
				return
			}
		}
		moved <- nil
	}()
	for going := true; going; {
		select {
		case err := <-moved:
			if err != nil {
				t.Fatal(err)
			}
			going = false
		default:
		}
		next, err := log.Append(ctx, shard, tail, fmt.Appendf(nil, "batch %d", tail.Sequence+1))
		if errors.Is(err, world.ErrUnavailable) {
			next, err = eventually(t, log).Tail, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		tail = next
	}
	wantAll(t, log, tail.Sequence)
}

func TestSettingsThatBreakThePromiseAreRefused(t *testing.T) {
	for _, c := range []struct {
		name       string
		options    redisproc.Options
		durability world.Durability
		setting    string
	}{
		{"eviction", redisproc.Options{MaxMemoryPolicy: "allkeys-lru"}, world.DurabilityMemory, "maxmemory-policy"},
		{"no append-only file", redisproc.Options{}, world.DurabilityDisk, "appendonly"},
		{"fsync each second", redisproc.Options{Arguments: []string{"--appendonly", "yes", "--appendfsync", "everysec"}},
			world.DurabilityDisk, "appendfsync"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t, c.options)
			_, err := redis.Open(redistest.Context(t), config(c.durability, server.Address()))
			var setting *redis.SettingError
			if !errors.As(err, &setting) || setting.Setting != c.setting || !strings.Contains(err.Error(), "set it to") {
				t.Errorf("got %v, want a word about %s", err, c.setting)
			}
		})
	}
}
