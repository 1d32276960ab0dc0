package actions_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/memory"
)

// reluctant is an assignment in which the former holder lives and does not let
// its shards go.
type reluctant struct {
	actions.LocalAssignment
	gone  atomic.Bool // the holder is
	asked atomic.Int64
}

func (r *reluctant) Alive(node string) bool {
	return node == string(r.LocalAssignment) || !r.gone.Load()
}

func (r *reluctant) RequestRelease(_ string, _ world.ShardID, done func(bool)) {
	r.asked.Add(1)
	done(r.gone.Load())
}

// Guards against a shard that waits out a pause although it is known to be free:
// the directory changed, or its holder says so.
func TestAShardIsLoadedAtTheInstantItIsFree(t *testing.T) {
	for name, tell := range map[string]func(h *actions.Host, id world.ShardID){
		"the directory changed": func(h *actions.Host, _ world.ShardID) { h.AssignmentChanged() },
		"the holder says so": func(h *actions.Host, id world.ShardID) {
			h.Renew(newEdge("owner-0"), &clusterv1.Renew{Shard: world.ShardMessage(id), Gateway: "owner-0"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				id, _ := shardAt(t, taipei)
				log, assigned := memory.New(), &reluctant{LocalAssignment: "owner-1"}
				if _, err := log.Claim(context.Background(), id, "owner-0", 1, 0); err != nil {
					t.Fatal(err)
				}
				scheduler := invoke.New(invoke.Config{Workers: 1})
				h, err := actions.NewHost(actions.Options{Node: "owner-1", Log: log, Bus: newEdge("bus"), Scheduler: scheduler, Assignment: assigned, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				h.Serve(id)
				<-time.After(5*time.Second + 333*time.Microsecond) // of the bubble; not when a pause ends
				synctest.Wait()
				if n := assigned.asked.Load(); n < 40 || state(h) != "loading" {
					t.Fatalf("asked the holder %d times, %s", n, state(h))
				}
				assigned.gone.Store(true)
				tell(h, id)
				synctest.Wait() // no time passes
				if state(h) != "serving" {
					t.Errorf("the shard is %s", state(h))
				}
				if err := h.Close(context.Background()); err != nil {
					t.Error(err)
				}
				if err := scheduler.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func state(h *actions.Host) string {
	for _, s := range h.Shards() {
		return s.State
	}
	return "not here"
}

// Guards against readers that wait for the epochs of a store which is gone, and
// hold what a new one says for old.
func TestAShardBeginsAboveTheEpochsOfAStoreThatIsLost(t *testing.T) {
	begin := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	id, _ := shardAt(t, taipei)
	last := uint32(0)
	for _, claims := range []int{1, 3} {
		log := memory.New() // each time another
		for range claims {
			b := newBench(t, func(o *actions.Options) { o.Log, o.Clock = log, func() time.Time { return begin } })
			b.Serve(id)
			waitFor(t, "the claim", func() bool { return state(b.Host) == "serving" })
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			epoch := epochOf(t, log, id)
			if epoch <= last {
				t.Errorf("epoch %d after %d", epoch, last)
			}
			last = epoch
		}
		begin = begin.Add(time.Minute)
	}
}
