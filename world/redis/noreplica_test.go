package redis_test

import (
	"testing"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
)

// A process must be able to start while a replica is away: it can serve the
// shards of the other masters.
func TestStartsWhileAMasterRefusesWrites(t *testing.T) {
	server := redistest.Start(t, redisproc.Options{Arguments: []string{"--min-replicas-to-write", "1"}})
	log := open(t, config(world.DurabilityReplicated, server.Address()))
	_, err := log.Claim(redistest.Context(t), shard, "owner", 7, 0)
	wantUnavailable(t, err)
}
