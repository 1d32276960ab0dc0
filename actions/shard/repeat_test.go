package shard_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	"github.com/starling-vr/starling/world"
)

// opened makes a shard whose only parcel, a registration, is under way.
func opened(t *testing.T, now time.Time) (s *shard.Shard, register world.ShardID, first []shard.Tell) {
	t.Helper()
	s = newShard(homeOf(t, middle), shard.Limits{})
	open(s, now, 1, "somebody", 1)
	return s, world.RegisterOf("somebody"), settled(s, now)
}

func parcels(tells []shard.Tell) (n int) {
	for _, tell := range tells {
		if tell.Parcel != nil {
			n++
		}
	}
	return n
}

// tickFor lets time pass as an owner does, and gives when parcels were sent.
func tickFor(s *shard.Shard, from time.Time, d time.Duration) (sent []time.Duration) {
	for at := time.Duration(0); at <= d; at += 10 * time.Millisecond {
		if now := from.Add(at); s.TickDue(now) {
			s.Tick(now)
			if parcels(settled(s, now)) > 0 {
				sent = append(sent, at)
			}
		}
	}
	return sent
}

// Guards against a whole second of waiting for what got lost while a shard was
// between two owners, and against a storm towards one that is away for long.
func TestALostParcelGoesAgainSoonAndThenMoreSeldom(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s, _, first := opened(t, now)
	if parcels(first) != 1 {
		t.Fatalf("told %v", first)
	}
	sent := tickFor(s, now, 6*time.Second)
	bounds := []time.Duration{100, 100, 200, 400, 800, 1000, 1000, 1000}
	last := time.Duration(0)
	for i, at := range sent {
		least := bounds[min(i, len(bounds)-1)] * time.Millisecond
		if pause := at - last; pause < least || pause > least+120*time.Millisecond {
			t.Errorf("repeat %d after %v, want %v and a look's time", i+1, pause, least)
		}
		last = at
	}
	if len(sent) < 6 {
		t.Errorf("repeated at %v only", sent)
	}
}

func TestAnAcknowledgedParcelIsNotRepeated(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s, register, first := opened(t, now)
	target := newShard(register, shard.Limits{})
	for _, tell := range first {
		if tell.Parcel != nil {
			target.Parcel(now, tell.Parcel)
		}
	}
	for _, tell := range settled(target, now) {
		if tell.Ack != nil {
			s.ParcelAck(now, tell.Ack)
		}
	}
	if sent := tickFor(s, now, 3*time.Second); len(sent) > 0 {
		t.Errorf("repeated at %v", sent)
	}
}

// Guards against polling where the way is known to be open again.
func TestParcelsGoAgainAtOnceWhenTheWayToTheirTargetChanges(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s, register, _ := opened(t, now)
	tickFor(s, now, 5*time.Second) // the pauses are long by now
	now = now.Add(5 * time.Second)
	if s.RoutesChanged(func(id world.ShardID) bool { return id != register }) {
		t.Error("the way to another shard changed, and something is due")
	}
	if !s.RoutesChanged(func(id world.ShardID) bool { return id == register }) || !s.TickDue(now) {
		t.Fatal("nothing is due")
	}
	sent := tickFor(s, now, 120*time.Millisecond)
	if want := []time.Duration{0, 100 * time.Millisecond}; !slices.Equal(sent, want) {
		t.Errorf("sent at %v, want %v", sent, want)
	}
}

// What a new owner finds in the outbox may have been lost with the old one.
func TestALoadedShardSendsItsOutboxAtOnce(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := newShard(homeOf(t, middle), shard.Limits{})
	open(s, now, 1, "somebody", 1)
	sealed, _ := s.Seal(now)
	s.Committed()
	loaded, err := shard.Load(shard.Config{Shard: s.ID(), Map: world.DefaultShardMap(), Node: "next", Functions: functions(), NewID: func() uint64 { return 1 }},
		world.Tail{Epoch: 2, Claim: 2, Sequence: 1}, 0, nil, []world.Entry{{Epoch: 1, Sequence: 1, Data: sealed.Data}}, now)
	if err != nil {
		t.Fatal(err)
	}
	if sent := tickFor(loaded, now, 0); len(sent) != 1 {
		t.Error(fmt.Sprint("sent at ", sent))
	}
}
