package shard_test

import (
	"testing"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// An entity was shown frozen in the cell that it left, and comes back into
// another cell before its leaving is acknowledged. Guards against a ghost: those
// who watch the first cell must be told that it is not there.
func TestWhoReadAnEntityFrozenIsToldThatItCameBackElsewhere(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	id, away := homeOf(t, middle), world.ShardID{Cell: 5}
	back, _ := hex.Cell(middle.Lat, middle.Lng, 10)
	left := hex.Disk(back, 1)[1]
	snapshot, err := (&clusterv1.Snapshot{Format: 1, Outgoing: []*clusterv1.Outgoing{
		envelope(id, away, 1, thing(5, 1, 0, left, 0)).Outgoing,
	}}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	s, err := shard.Load(shard.Config{Shard: id, Map: world.DefaultShardMap(), Functions: functions(), NewID: func() uint64 { return 5 }},
		world.Tail{Epoch: 2, Claim: 2, Sequence: 9}, 9, snapshot, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	s.ReadCell("gateway", &clusterv1.ReadCell{Cell: uint64(left)})
	if len(settled(s, now)[0].Baseline.Steps) == 0 {
		t.Fatal("it is not shown where it left")
	}
	s.Parcel(now, envelope(away, id, 1, thing(5, 2, back, 0, 0)))
	if _, ok := s.Seal(now); !ok {
		t.Fatal("nothing to commit")
	}
	told := map[world.Cell]starlingv1.Change{}
	for _, m := range s.Committed().Messages {
		steps := new(starlingv1.Steps)
		if err := steps.UnmarshalVT(m.Steps); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps.Steps {
			told[m.Cell] = step.GetUpdate().GetChange()
		}
	}
	if told[left] != starlingv1.Change_LEFT || told[back] != starlingv1.Change_ENTERED {
		t.Errorf("told %v: want LEFT in %x and ENTERED in %x", told, left, back)
	}
}
