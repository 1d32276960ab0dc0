package logtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/starling-vr/starling/world"
)

// Submitting gives the log with appends that go through Submit.
func Submitting(log world.Appender) world.Log { return submitting{log} }

type submitting struct{ world.Log }

// Append implements world.Log.
func (s submitting) Append(ctx context.Context, shard world.ShardID, expect world.Tail, batch []byte) (world.Tail, error) {
	if err := ctx.Err(); err != nil {
		return world.Tail{}, fmt.Errorf("%w: %w", world.ErrUnavailable, err)
	}
	done := make(chan struct{})
	a := &world.Append{Shard: shard, Expect: expect, Batch: batch, Done: func(*world.Append) { close(done) }}
	s.Log.(world.Appender).Submit(a)
	<-done // not ctx: the batch is the log's until then
	if a.Err != nil {
		return world.Tail{}, a.Err
	}
	expect.Sequence++
	return expect, nil
}

// submitted has many shards append through one Submit after the other, each the
// next batch from within Done of the one before, with strangers among them.
func submitted(t *testing.T, s Store) {
	const shards, batches = 40, 25
	log := s.Log.(world.Appender)
	var under sync.WaitGroup
	owners := make([]*owner, shards)
	failed := make([]error, shards)
	for i := range owners {
		owners[i] = claim(t, s.Log, world.ShardID{Place: world.PlaceID(i + 1)}, "owner")
	}
	var appends []*world.Append
	for i, o := range owners {
		under.Add(1)
		a := &world.Append{Shard: o.shard, Expect: o.tail, Batch: fmt.Appendf(nil, "%d of %d", 0, i)}
		a.Done = func(a *world.Append) {
			a.Expect.Sequence++
			if failed[i] = a.Err; a.Err != nil || a.Expect.Sequence == o.tail.Sequence+batches {
				under.Done()
				return
			}
			a.Batch = fmt.Appendf(nil, "%d of %d", a.Expect.Sequence, i)
			log.Submit(a)
		}
		appends = append(appends, a)
		if i%4 == 0 {
			under.Add(1)
			stranger := &world.Append{Shard: o.shard, Expect: world.Tail{Epoch: 7, Claim: 7}, Batch: []byte("foreign")}
			stranger.Done = func(a *world.Append) {
				defer under.Done()
				if foreign := (*world.ForeignTailError)(nil); !errors.As(a.Err, &foreign) || foreign.Expect != a.Expect {
					t.Errorf("a stranger got %v", a.Err)
				}
			}
			appends = append(appends, stranger)
		}
	}
	for _, a := range appends {
		log.Submit(a)
	}
	under.Wait()
	for i, o := range owners {
		if failed[i] != nil {
			t.Fatalf("shard %d: %v", i, failed[i])
		}
		want := make([]string, batches)
		for n := range want {
			want[n] = fmt.Sprintf("%d of %d", n, i)
		}
		wantEntries(t, s.Log, o.shard, 1, want...)
	}
}

// sealed has appends ask for their batches: as late as the log can, again by
// somebody who can wait where they were not ready, and never told of where there is
// nothing to append after all.
func sealed(t *testing.T, s Store) {
	log := s.Log.(world.Appender)
	const shards = 30
	var under sync.WaitGroup
	appends := make([]*asked, shards)
	for i := range appends {
		o := claim(t, s.Log, world.ShardID{Place: world.PlaceID(i + 1)}, "owner")
		a := &asked{t: t, tail: o.tail, kind: i % 3, withdraw: under.Done}
		a.Append = world.Append{Shard: o.shard, Seal: a.seal, Done: func(*world.Append) { a.dones++; under.Done() }}
		appends[i] = a
		under.Add(1)
		log.Submit(&a.Append)
	}
	under.Wait()
	for _, a := range appends {
		switch {
		case a.Err != nil:
			t.Fatal(a.Err)
		case a.kind == withdrawn && a.dones != 0:
			t.Error("told of an append that was withdrawn")
		case a.kind != withdrawn:
			wantEntries(t, s.Log, a.Shard, 1, "when it was asked for")
		}
	}
}

// asked is an append that is asked for its batch.
type asked struct {
	world.Append
	t        *testing.T
	tail     world.Tail
	kind     int
	dones    int
	withdraw func()
}

const (
	atOnce = iota
	onlyWaiting
	withdrawn
)

func (a *asked) seal(_ *world.Append, wait bool) world.Sealing {
	switch {
	case a.kind == withdrawn:
		a.withdraw()
		return world.Withdrawn
	case a.kind == onlyWaiting && !wait && a.Append.Batch == nil:
		return world.NotYet
	}
	a.Expect, a.Batch = a.tail, []byte("when it was asked for")
	return world.Sealed
}
