package shard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

var middle = world.Geo{Lat: 25.0330, Lng: 121.5654}

func homeOf(t testing.TB, at world.Geo) world.ShardID {
	t.Helper()
	cell, err := hex.Cell(at.Lat, at.Lng, 10)
	if err != nil {
		t.Fatal(err)
	}
	return world.DefaultShardMap().Shard(0, cell)
}

// newShard makes an empty shard whose ids are 1000, 1001, ...
func newShard(id world.ShardID, limits shard.Limits) *shard.Shard {
	next := uint64(999)
	return shard.New(shard.Config{Shard: id, Map: world.DefaultShardMap(), Node: "owner", Limits: limits, Functions: functions(),
		NewID: func() uint64 { next++; return next }}, world.Tail{Epoch: 1, Claim: 1})
}

// settled commits what ran, if anything did, and gives all that is told.
func settled(s *shard.Shard, now time.Time) []shard.Tell {
	var tells []shard.Tell
	if _, ok := s.Seal(now); ok {
		tells = append(tells, s.Committed().Tells...)
		s.Told()
	}
	return s.Immediate(tells)
}

func open(s *shard.Shard, now time.Time, session uint64, name string, generation uint64) {
	s.Control(now, "gateway", &clusterv1.Control{Request: session, Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
		Session: session, Participant: name, Gateway: "gateway", Pose: pose(middle), Generation: generation}}})
}

// A parcel that got lost makes the target leave aside all that were sent after
// it. Guards against a backlog that only shrinks by one round of repeats a
// second, and so grows for good where more than that is sent.
func TestABusyOutboxRecoversFromOneLostParcel(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	source, register := newShard(homeOf(t, middle), shard.Limits{}), newShard(world.ShardID{Cell: 3}, shard.Limits{})
	lost := false
	deliver := func(tells []shard.Tell) {
		for len(tells) > 0 {
			var next []shard.Tell
			for _, tell := range tells {
				switch {
				case tell.Parcel != nil && !lost:
					lost = true
				case tell.Parcel != nil:
					register.Parcel(now, tell.Parcel)
				case tell.Ack != nil:
					source.ParcelAck(now, tell.Ack)
				}
			}
			next = append(next, settled(register, now)...)
			tells = append(next, settled(source, now)...)
		}
	}
	session := uint64(0)
	for n := 0; session < 2000; n++ {
		name := fmt.Sprint("participant ", n)
		if shard.RegisterOf(name) != register.ID() {
			continue
		}
		session++
		open(source, now, session, name, 1)
		deliver(settled(source, now))
		if session%200 == 0 { // 200 a second
			now = now.Add(time.Second)
			source.Tick(now)
			deliver(settled(source, now))
		}
	}
	for range 2 {
		now = now.Add(time.Second)
		source.Tick(now)
		deliver(settled(source, now))
	}
	if left := source.Statistics().Outbox; left != 0 {
		t.Errorf("%d of %d parcels were not taken", left, session)
	}
}

