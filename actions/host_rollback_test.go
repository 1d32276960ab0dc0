package actions_test

import (
	"context"
	"testing"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/logtest"
	"github.com/starling-vr/starling/world/memory"
)

// The store goes back to before the claim, and another owner takes the shard
// from there. Guards against an owner with a higher epoch that puts the end of
// its own history on top of the other one's.
func TestAStoreThatWentBackAndWasClaimedByAnotherIsTheOthers(t *testing.T) {
	store := memory.New()
	empty := store.Capture()
	id, _ := shardAt(t, taipei)
	if _, err := store.Claim(context.Background(), id, "long ago", 1, 5); err != nil {
		t.Fatal(err)
	}
	first := newBench(t, func(o *actions.Options) { o.Log, o.RetainAll = store, true })
	first.attach(t, id, 7, geoPose(taipei))
	for number := uint64(1); number <= 5; number++ {
		first.act(t, id, 7, speak(number, "hello"))
	}
	store.Restore(empty)
	second := newBench(t, func(o *actions.Options) { o.Log, o.RetainAll, o.Node = store, true, "owner-2" })
	second.attach(t, id, 8, geoPose(taipei))
	second.act(t, id, 8, speak(1, "hello"))
	first.Act(first.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: 7, Act: speak(6, "lost")})
	waitFor(t, "the shard to be dropped", func() bool {
		for _, s := range first.Shards() {
			if s.Shard == id && s.Epoch == 7 {
				return false
			}
		}
		return true
	})
	for number := uint64(1); number <= 6; number++ {
		if logged(t, store, id, 7, number) != 0 {
			t.Errorf("action %d is in the other owner's log", number)
		}
	}
}

// Guards against an owner that cannot give back what the one before it wrote.
func TestAStoreThatLosesTheEndRightAfterATakeOverGetsItBack(t *testing.T) {
	store := memory.New()
	id, _ := shardAt(t, taipei)
	first := newBench(t, func(o *actions.Options) { o.Log, o.RetainAll = store, true })
	first.attach(t, id, 7, geoPose(taipei))
	first.act(t, id, 7, speak(1, "hello"))
	earlier := store.Capture()
	first.act(t, id, 7, speak(2, "hello"))
	second := newBench(t, func(o *actions.Options) { o.Log, o.RetainAll, o.Node = store, true, "owner-2" })
	second.act(t, id, 7, speak(3, "hello"))
	store.Restore(earlier)
	if out := second.act(t, id, 7, speak(4, "hello")); out.Code != starlingv1.Code_APPLIED {
		t.Errorf("%v", out)
	}
	for number := uint64(1); number <= 4; number++ {
		if n := logged(t, store, id, 7, number); n != 1 {
			t.Errorf("action %d is %d times in the log", number, n)
		}
	}
}

// The process stands still between its claim and the end of the loading, and
// another takes over. Guards against serving the image that was read before.
func TestAShardThatWasLoadingWhenTheLeaseWasLostIsClaimedAnew(t *testing.T) {
	store := memory.New()
	faulty := logtest.NewFaulty(store)
	b := newBench(t, func(o *actions.Options) { o.Log = faulty })
	id, cell := shardAt(t, taipei)
	release := faulty.Hold(logtest.Snapshot)
	defer release()
	b.Serve(id)
	waitFor(t, "the claim", func() bool { return epochOf(t, store, id) != 0 })
	first := epochOf(t, store, id)
	if _, err := store.Claim(context.Background(), id, "owner-2", 99, 0); err != nil {
		t.Fatal(err)
	}
	b.Verify(func() {})
	release()
	b.read(t, id, cell)
	if got := b.edge.images[b.next].Epoch; got != first+2 {
		t.Errorf("the reading is of epoch %d, want %d", got, first+2)
	}
}

// Guards against parcels that stay where they are because the store was away at
// the very moment in which their owner was lost.
func TestRecoverOutlastsTheStore(t *testing.T) {
	store := memory.New()
	id, _ := shardAt(t, taipei)
	if _, err := store.Claim(context.Background(), id, "lost", 1, 0); err != nil {
		t.Fatal(err)
	}
	faulty := logtest.NewFaulty(store)
	faulty.Next(logtest.Shards, logtest.LoseCall)
	faulty.Next(logtest.Tail, logtest.LoseCall, logtest.LoseCall)
	b := newBench(t, func(o *actions.Options) { o.Log = faulty })
	if err := b.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the shard to be served", func() bool { return len(b.Shards()) == 1 })
}

// lossy is a network over which nothing arrives.
type lossy struct{}

func (lossy) SendParcel(world.ShardID, *clusterv1.ParcelEnvelope) {}
func (lossy) SendParcelAck(world.ShardID, *clusterv1.ParcelAck)   {}

// All processes are stopped in order while a parcel is under way. Guards against
// one that stays where it is, with a session that waits for it, until somebody
// happens to come by.
func TestParcelsOfAShardThatWasLetGoAreFound(t *testing.T) {
	store := memory.New()
	first := newBench(t, func(o *actions.Options) { o.Log, o.Network = store, lossy{} })
	id, _ := shardAt(t, taipei)
	first.control(t, id, &clusterv1.Control{Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
		Session: 7, Participant: "ann", Gateway: first.edge.node, Pose: geoPose(taipei), Generation: 1}}})
	released := make(chan struct{})
	first.Release(id, func() { close(released) })
	<-released
	second := newBench(t, func(o *actions.Options) { o.Log, o.Node = store, "owner-2" })
	if err := second.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the registration to arrive", func() bool {
		holder, err := store.Tail(context.Background(), world.RegisterOf("ann"))
		return err == nil && holder.Sequence > 0
	})
}
