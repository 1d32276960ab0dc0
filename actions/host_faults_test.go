package actions_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/logtest"
	"github.com/starling-vr/starling/world/memory"
)

func speak(number uint64, text string) *starlingv1.Act {
	return &starlingv1.Act{Number: number, Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: text}}}}
}

// logged counts the outcomes of a session's action in the log.
func logged(t *testing.T, log world.Log, id world.ShardID, session, number uint64) (count int) {
	t.Helper()
	entries, err := log.Read(context.Background(), id, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		b := new(clusterv1.Batch)
		if err := b.UnmarshalVT(entry.Data); err != nil {
			t.Fatal(err)
		}
		for _, o := range b.Outcomes {
			if o.Session == session && o.Outcome.Number == number {
				count++
			}
		}
	}
	return count
}

// Guards against telling what is not committed, and committing twice, when calls
// or replies of the store get lost.
func TestEachOutcomeIsOnceInTheLogThoughCallsAndRepliesGetLost(t *testing.T) {
	faulty := logtest.NewFaulty(memory.New())
	b := newBench(t, func(o *actions.Options) { o.Log, o.RetainAll = faulty, true })
	id, _ := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei))
	random := rand.New(rand.NewPCG(1, 2))
	faulty.Choose(func(op logtest.Operation, _ world.ShardID) logtest.Fault {
		if op != logtest.Append && op != logtest.Tail {
			return logtest.None
		}
		return [...]logtest.Fault{logtest.LoseCall, logtest.LoseReply, 7: logtest.None}[random.IntN(8)]
	})
	const n = 20
	for number := uint64(1); number <= n; number++ {
		if out := b.act(t, id, 7, speak(number, "hello")); out.Code != starlingv1.Code_APPLIED {
			t.Fatalf("%d: %v %s", number, out.Code, out.Message)
		}
	}
	faulty.Choose(nil)
	for number := uint64(1); number <= n; number++ {
		if count := logged(t, faulty, id, 7, number); count != 1 {
			t.Errorf("action %d is %d times in the log", number, count)
		}
	}
	if faulty.Lost() == 0 {
		t.Error("nothing was lost: the test shows nothing")
	}
}

// Guards against effects that are visible before they are committed.
func TestReadersSeeTheCommittedImageWhileABatchIsInFlight(t *testing.T) {
	faulty := logtest.NewFaulty(memory.New())
	b := newBench(t, func(o *actions.Options) { o.Log = faulty })
	id, cell := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei))
	before := b.read(t, id, cell)
	release := faulty.Hold(logtest.Append)
	defer release()
	north := taipei
	north.Lat += 0.00001
	for n := range uint64(3) {
		b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: 7, Act: &starlingv1.Act{
			Number: n + 1, Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: geoPose(north)}}}})
	}
	for range 3 {
		during := b.read(t, id, cell)
		if got, want := fmt.Sprint(during), fmt.Sprint(before); got != want {
			t.Fatalf("while the batch was in flight readers saw\n%s, before it\n%s", got, want)
		}
	}
	release()
	b.edge.await(t, "three outcomes", func() bool { return len(b.edge.outcomes) == 3 })
	if after := b.read(t, id, cell); after.Steps[0].GetUpdate().Pose.Position.GetGeo().Latitude != north.Lat {
		t.Errorf("after the commit readers see %v", after)
	}
}

// Guards against losing what was told when a failover loses the end of the log.
func TestAStoreThatLostItsEndGetsItBackUnderANewEpoch(t *testing.T) {
	store := memory.New()
	faulty := logtest.NewFaulty(store)
	b := newBench(t, func(o *actions.Options) { o.Log, o.RetainAll = faulty, true })
	id, _ := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei))
	for number := uint64(1); number <= 5; number++ {
		b.act(t, id, 7, speak(number, "hello"))
	}
	first := epochOf(t, store, id)
	if err := store.RollBack(id, 3); err != nil {
		t.Fatal(err)
	}
	faulty.Next(logtest.Claim, logtest.LoseReply)
	faulty.Next(logtest.Append, logtest.None, logtest.LoseReply, logtest.LoseCall)
	if out := b.act(t, id, 7, speak(6, "again")); out.Code != starlingv1.Code_APPLIED {
		t.Fatalf("%v %s", out.Code, out.Message)
	}
	for number := uint64(1); number <= 6; number++ {
		if count := logged(t, store, id, 7, number); count != 1 {
			t.Errorf("action %d is %d times in the log", number, count)
		}
	}
	if epoch := epochOf(t, store, id); epoch != first+1 {
		t.Errorf("the epoch is %d after %d", epoch, first)
	}
}

func epochOf(t *testing.T, log world.Log, id world.ShardID) uint32 {
	t.Helper()
	holder, err := log.Tail(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return holder.Epoch
}

// Guards against an owner that goes on after another has claimed its shard.
func TestAFencedOwnerTellsNothingAndLoadsAgain(t *testing.T) {
	store := memory.New()
	b := newBench(t, func(o *actions.Options) { o.Log, o.RetainAll = store, true })
	id, _ := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei))
	b.act(t, id, 7, speak(1, "hello"))
	first := epochOf(t, store, id)
	if _, err := store.Claim(context.Background(), id, "owner-2", 99, 0); err != nil {
		t.Fatal(err)
	}
	b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: 7, Act: speak(2, "lost")})
	gone := func() bool {
		for _, s := range b.Shards() {
			if s.Shard == id && s.Epoch == first {
				return false
			}
		}
		return true
	}
	waitFor(t, "the shard to be dropped", gone)
	b.edge.mu.Lock()
	told := len(b.edge.outcomes)
	b.edge.mu.Unlock()
	if told != 1 {
		t.Fatalf("%d outcomes were told, want the first alone", told)
	}
	// The gateway asks again; owner-2 is not alive, so the shard is loaded anew.
	if out := b.act(t, id, 7, speak(2, "again")); out.Code != starlingv1.Code_APPLIED || out.Repeated {
		t.Fatalf("%v", out)
	}
	if n := logged(t, store, id, 7, 2); n != 1 {
		t.Errorf("action 2 is %d times in the log", n)
	}
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// leased is an assignment whose lease can lapse.
type leased struct {
	actions.LocalAssignment
	invalid atomic.Bool
}

func (l *leased) LeaseValid() bool { return !l.invalid.Load() }

// Guards against a process that was stopped and goes on speaking for its shards.
func TestAnOwnerWithoutItsLeaseTellsNothing(t *testing.T) {
	lease := &leased{LocalAssignment: "owner-1"}
	b := newBench(t, func(o *actions.Options) { o.Assignment = lease })
	id, _ := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei))
	lease.invalid.Store(true)
	b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: 7, Act: speak(1, "hello")})
	waitFor(t, "the commit", func() bool {
		holder, err := b.log.Tail(context.Background(), id)
		return err == nil && holder.Sequence == 2
	})
	b.edge.mu.Lock()
	told := len(b.edge.outcomes)
	b.edge.mu.Unlock()
	if told != 0 {
		t.Fatal("an outcome was told without a lease")
	}
	lease.invalid.Store(false)
	b.edge.await(t, "the outcome", func() bool { return len(b.edge.outcomes) == 1 })
}

func (b *bench) read(t *testing.T, id world.ShardID, cell world.Cell) *starlingv1.Steps {
	t.Helper()
	b.next++
	request := b.next
	b.ReadCell(b.edge, &clusterv1.ReadCell{Request: request, Shard: world.ShardMessage(id), Cell: uint64(cell)})
	b.edge.await(t, "a baseline", func() bool { _, ok := b.edge.images[request]; return ok })
	steps := new(starlingv1.Steps)
	if err := steps.UnmarshalVT(b.edge.images[request].Steps); err != nil {
		t.Fatal(err)
	}
	return steps
}

// assigned is an assignment that changes.
type assigned struct{ owner atomic.Value }

func (a *assigned) Owner(world.ShardID) string                             { return a.owner.Load().(string) }
func (a *assigned) Alive(string) bool                                      { return false }
func (a *assigned) RequestRelease(_ string, _ world.ShardID, f func(bool)) { f(false) }
func (a *assigned) LeaseValid() bool                                       { return true }

// Guards against a hand-over between owners that loses sessions or numbers.
func TestAReleasedShardGoesOnElsewhere(t *testing.T) {
	store := memory.New()
	assigned := new(assigned)
	assigned.owner.Store("owner-1")
	first := newBench(t, func(o *actions.Options) { o.Log, o.Assignment = store, assigned })
	second := newBench(t, func(o *actions.Options) { o.Log, o.Node = store, "owner-2" })
	id, cell := shardAt(t, taipei)
	first.attach(t, id, 7, geoPose(taipei))
	first.act(t, id, 7, speak(1, "hello"))
	assigned.owner.Store("owner-2")
	released := make(chan struct{})
	first.Release(id, func() { close(released) })
	<-released
	if holder, _ := store.Tail(context.Background(), id); holder.Owner != "" {
		t.Errorf("after the release %q holds the shard", holder.Owner)
	}
	if out := second.act(t, id, 7, speak(2, "here")); out.Code != starlingv1.Code_APPLIED {
		t.Errorf("%v %s", out.Code, out.Message)
	}
	if out := second.act(t, id, 7, speak(1, "hello")); !out.Repeated {
		t.Errorf("the first action ran again: %v", out)
	}
	if steps := second.read(t, id, cell); len(steps.Steps) != 1 {
		t.Errorf("the cell has %v", steps)
	}
}

// Guards against idle shards that stay in memory, or do not come back.
func TestIdleShardsLeaveMemoryAndComeBack(t *testing.T) {
	b := newBench(t, func(o *actions.Options) { o.UnloadAfter = 10 * time.Millisecond })
	id, cell := shardAt(t, taipei)
	b.attach(t, id, 7, geoPose(taipei), "spawn:any")
	b.act(t, id, 7, &starlingv1.Act{Number: 1, Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "stone", Pose: geoPose(taipei)}}})
	b.act(t, id, 7, &starlingv1.Act{Number: 2, Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}})
	waitFor(t, "the shard to leave memory", func() bool { return len(b.Shards()) == 0 })
	if steps := b.read(t, id, cell); len(steps.Steps) != 1 || steps.Steps[0].GetUpdate().Kind != "stone" {
		t.Errorf("what came back is %v", steps)
	}
}
