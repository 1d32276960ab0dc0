package server_test

import (
	"sync"
	"testing"

	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/redis"
)

// Shards leave a process that stops while its pollers rest and its batches are not
// sealed; what it told is in the log, and its players go on at the other.
func TestShardsAreReleasedWhilePollersRest(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redisproc.Options{AppendOnly: true})
	store := redis.Config{Config: redisnodes.Config{Addresses: []string{r.Address()}}, Durability: world.DurabilityDisk}
	first, second := &restingWorld{t: t}, &restingWorld{t: t}
	first.begin(store, "store.redis.addresses="+r.Address(), "region.id=first")
	second.begin(store, "store.redis.addresses="+r.Address(), "region.id=second")
	var mu sync.Mutex
	at := first.Server
	first.options = func() starling.Options {
		return starling.Options{URL: func() string {
			mu.Lock()
			defer mu.Unlock()
			return "ws://" + at.Address() + server.Endpoint
		}}
	}
	first.join(4)
	stopped := make(chan struct{})
	struck := first.feed.at(t, roundIsDue, func() error {
		mu.Lock()
		at = second.Server
		mu.Unlock()
		go func() {
			defer close(stopped)
			stop(t, first.Server)
		}()
		return nil
	})
	rest := first.play()
	struck()
	<-stopped
	second.players, second.recorder = first.players, first.recorder
	second.goesOn()
	rest()
	second.end()
}
