package server_test

import (
	"strings"
	"testing"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
	"github.com/starling-vr/starling/world/redis"
)

// What was told survives the death of the master, whether it dies as a round goes out
// or before the batches are sealed; pollers rest again over rounds of the replica that
// took its place.
func TestMastersDieWhilePollersRest(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, 3, 1, redisproc.Options{})
	w := &restingWorld{t: t}
	w.begin(redis.Config{Config: redisnodes.Config{Addresses: nodes.Addresses()}, Durability: world.DurabilityReplicated},
		"store.redis.cluster=true", "store.redis.addresses="+strings.Join(nodes.Addresses(), ","))
	w.join(4)
	slot, err := nodes.SlotOf(redistest.Context(t), "{"+w.where().String()+"}")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []moment{roundIsDue, roundGoesOut} {
		ctx := redistest.Context(t)
		master, err := nodes.MasterOf(ctx, slot)
		if err != nil {
			t.Fatal(err)
		}
		before := w.open()
		struck := w.feed.at(t, at, master.Kill)
		w.awake()
		rest := w.play()
		struck()
		w.serves(before)
		if err := nodes.WaitReplaced(ctx, slot, master); err != nil {
			t.Fatal(err)
		}
		if err := master.Restart(ctx); err != nil { // nothing is committed without a replica
			t.Fatal(err)
		}
		w.goesOn()
		rest()
		w.awake()
		if err := nodes.WaitWhole(ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.end()
}

// where is the shard of the players.
func (w *restingWorld) where() world.ShardID {
	at := poseAt(0).GetPosition().GetGeo()
	cell, err := hex.Cell(at.Latitude, at.Longitude, w.shards().CellResolution)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.shards().Shard(0, cell)
}
