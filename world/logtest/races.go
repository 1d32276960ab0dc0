package logtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/starling-vr/starling/world"
)

// racer is one of several owners of a shard that know nothing of each other.
type racer struct {
	log     world.Log
	shard   world.ShardID
	name    string
	random  *rand.Rand
	claims  []world.Tail // what was claimed, as known
	written []world.Tail // acknowledged batches
	unknown map[string]bool
}

// data is unlike that of any other batch.
func (r *racer) data(tail world.Tail) string {
	return fmt.Sprintf("%s %d/%x/%d", r.name, tail.Epoch, tail.Claim, tail.Sequence)
}

// run claims and appends until it has claimed so often; each claim ends when
// another fences it, or after some batches.
func (r *racer) run(ctx context.Context, claims int) error {
	for range claims {
		tail, err := r.claim(ctx)
		if err != nil {
			return err
		}
		r.claims = append(r.claims, tail)
		for range 1 + r.random.IntN(12) {
			next := tail
			next.Sequence++
			if err = r.append(ctx, tail, next); err != nil {
				break
			}
			r.written = append(r.written, next)
			tail = next
		}
		var foreign *world.ForeignTailError
		if err != nil && !errors.As(err, &foreign) {
			return err
		}
		if foreign != nil && foreign.Behind() {
			return fmt.Errorf("the store lost nothing, and %w", foreign)
		}
	}
	return nil
}

// claim claims anew until a reply comes or the tail shows that it worked.
func (r *racer) claim(ctx context.Context) (world.Tail, error) {
	for {
		id := r.random.Uint64()
		tail, err := r.log.Claim(ctx, r.shard, r.name, id, 0)
		if err == nil {
			return tail, nil
		}
		if !errors.Is(err, world.ErrUnavailable) || ctx.Err() != nil {
			return world.Tail{}, err
		}
		holder, err := r.tail(ctx)
		if err != nil {
			return world.Tail{}, err
		}
		if holder.Claim == id {
			return holder.Tail, nil
		}
	}
}

// append follows the rule of lost replies: read the tail before anything else.
func (r *racer) append(ctx context.Context, tail, next world.Tail) error {
	for {
		got, err := r.log.Append(ctx, r.shard, tail, []byte(r.data(next)))
		if err == nil {
			if got != next {
				return fmt.Errorf("appended after %+v, and got %+v", tail, got)
			}
			return nil
		}
		if !errors.Is(err, world.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		holder, err := r.tail(ctx)
		switch {
		case err != nil:
			return err
		case holder.Tail == next:
			return nil
		case holder.Tail != tail:
			r.unknown[r.data(next)] = true
			return &world.ForeignTailError{Shard: r.shard, Expect: tail, Found: holder}
		}
	}
}

func (r *racer) tail(ctx context.Context) (world.Holder, error) {
	for {
		holder, err := r.log.Tail(ctx, r.shard)
		if err == nil || !errors.Is(err, world.ErrUnavailable) || ctx.Err() != nil {
			return holder, err
		}
	}
}

func racingOwners(t *testing.T, s Store) { race(t, s.Log, s.Log) }

func racingOwnersLossy(t *testing.T, s Store) {
	link := NewFaulty(s.Log)
	link.Random(rand.New(rand.NewPCG(11, 12)), 0.1, 0.1)
	race(t, s.Log, link)
	if link.Lost() == 0 {
		t.Error("nothing was lost")
	}
}

// race lets owners race over link, and checks what log then holds.
func race(t *testing.T, log, link world.Log) {
	const racers, claims = 6, 12
	all := make([]*racer, racers)
	var running sync.WaitGroup
	ctx := soon(t)
	for i := range all {
		r := &racer{
			log: link, shard: mapShard, name: fmt.Sprintf("racer-%d", i),
			random: rand.New(rand.NewPCG(21, uint64(i))), unknown: map[string]bool{},
		}
		all[i] = r
		running.Go(func() {
			if err := r.run(ctx, claims); err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
		})
	}
	running.Wait()
	if t.Failed() {
		return
	}
	checkRace(t, readAll(t, log, mapShard, 1), all)
}

// reporter is what a checker says its findings to.
type reporter interface {
	Errorf(format string, arguments ...any)
	Logf(format string, arguments ...any)
}

// checkRace: entries are the acknowledged ones, once each, and of those of
// unknown fate some; epochs never fall; and after a claim nobody before it wrote.
func checkRace(t reporter, entries []world.Entry, all []*racer) {
	at := map[string]world.Entry{}
	unknown := map[string]bool{}
	for i, e := range entries {
		if i > 0 && e.Epoch < entries[i-1].Epoch {
			t.Errorf("entry %d of epoch %d follows one of %d", e.Sequence, e.Epoch, entries[i-1].Epoch)
		}
		if before, twice := at[string(e.Data)]; twice {
			t.Errorf("%q is there twice: %d and %d", e.Data, before.Sequence, e.Sequence)
		}
		at[string(e.Data)] = e
	}
	acknowledged := 0
	owners := map[uint32]string{}
	for _, r := range all {
		for _, w := range r.written {
			acknowledged++
			e, there := at[r.data(w)]
			if !there || e.Sequence != w.Sequence || e.Epoch != w.Epoch {
				t.Errorf("%s was acknowledged, and entry %d is %q", r.data(w), e.Sequence, e.Data)
			}
			delete(at, r.data(w))
		}
		for _, c := range r.claims {
			if other := owners[c.Epoch]; other != "" {
				t.Errorf("epoch %d was given to %s and to %s", c.Epoch, other, r.name)
			}
			owners[c.Epoch] = r.name
			for _, e := range entries {
				if (e.Sequence > c.Sequence) != (e.Epoch >= c.Epoch) {
					t.Errorf("entry %d is of epoch %d, and %d was claimed at %d", e.Sequence, e.Epoch, c.Epoch, c.Sequence)
				}
			}
		}
		for data := range r.unknown {
			unknown[data] = true
		}
	}
	for data, e := range at {
		if !unknown[data] {
			t.Errorf("entry %d, %q, was never acknowledged", e.Sequence, data)
		}
	}
	t.Logf("%d batches acknowledged, %d of unknown fate of which %d are there", acknowledged, len(unknown), len(at))
}

func manyShards(t *testing.T, s Store) {
	const shards, batches = 48, 20
	id := func(n int) world.ShardID { return world.ShardID{Cell: 0x874ba0a00ffffff + uint64(n)<<24} }
	var running sync.WaitGroup
	for n := range shards {
		running.Go(func() {
			ctx := t.Context()
			tail, err := s.Log.Claim(ctx, id(n), "owner", uint64(n), 0)
			for i := 0; i < batches && err == nil; i++ {
				tail, err = s.Log.Append(ctx, id(n), tail, fmt.Appendf(nil, "%d of %d", i, n))
			}
			if err == nil {
				err = s.Log.WriteSnapshot(ctx, id(n), tail, batches, []byte("state"), batches/2)
			}
			if err != nil {
				t.Errorf("shard %d: %v", n, err)
			}
		})
	}
	running.Wait()
	for n := range shards {
		entries := readAll(t, s.Log, id(n), batches/2+1)
		if len(entries) != batches/2 {
			t.Errorf("shard %d has %d entries", n, len(entries))
		}
		for _, e := range entries {
			if want := fmt.Sprintf("%d of %d", e.Sequence-1, n); string(e.Data) != want {
				t.Errorf("entry %d is %q, want %q", e.Sequence, e.Data, want)
			}
		}
	}
}
