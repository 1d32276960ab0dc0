package actions_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/memory"
)

// unsealed is a shard that has an append under way whose batch is not sealed,
// because a function runs.
type unsealed struct {
	*bench
	t       *testing.T
	log     *lateLog
	id      world.ShardID
	append  *world.Append
	free    func() // lets the function end
	actions int    // that wait for their outcomes
	from    world.Holder
}

func newUnsealed(t *testing.T) *unsealed {
	registry := actions.NewRegistry()
	runs, free := make(chan struct{}), make(chan struct{})
	err := registry.Register(actions.Function{Name: "hold", Run: func(*actions.Call) actions.Result {
		close(runs)
		<-free
		return actions.Result{Code: starlingv1.Code_APPLIED}
	}})
	if err != nil {
		t.Fatal(err)
	}
	u := &unsealed{t: t, log: &lateLog{Log: memory.New()}, free: func() { close(free) }, actions: 3}
	u.bench = newBench(t, func(o *actions.Options) { o.Log, o.Registry, o.RetainAll = u.log, registry, true })
	u.id, _ = shardAt(t, taipei)
	u.attach(t, u.id, 1, geoPose(taipei))
	if u.from, err = u.log.Tail(t.Context(), u.id); err != nil {
		t.Fatal(err)
	}
	u.log.mu.Lock()
	u.log.of, u.log.hold = u.id, true
	u.log.mu.Unlock()
	before := ran(u.bench)
	for n := range uint64(2) {
		u.send(n+1, &starlingv1.Act{Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: geoPose(taipei)}}})
	}
	for ran(u.bench) < before+2 || u.held() == nil {
		runtime.Gosched()
	}
	u.append = u.held()
	go u.send(3, &starlingv1.Act{Function: &starlingv1.Act_Call{Call: &starlingv1.Call{Function: "hold"}}})
	<-runs
	if got := u.append.Sealed(false); got != world.NotYet {
		t.Fatalf("asked for a batch while a function runs: %v, want NotYet", got)
	}
	return u
}

func (u *unsealed) send(number uint64, act *starlingv1.Act) {
	act.Number = number
	u.Act(u.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(u.id), Session: 1, Act: act})
}

func (u *unsealed) held() *world.Append {
	u.log.mu.Lock()
	defer u.log.mu.Unlock()
	if len(u.log.held) == 0 {
		return nil
	}
	return u.log.held[0]
}

// told is how many outcomes were.
func (u *unsealed) told() (outcomes int) {
	u.edge.with(func() { outcomes = len(u.edge.outcomes) })
	return outcomes
}

// logged is how many outcomes are in the log.
func (u *unsealed) logged() (outcomes int) {
	entries, err := u.log.Read(u.t.Context(), u.id, u.from.Sequence+1, 100)
	if err != nil {
		u.t.Fatal(err)
	}
	for _, entry := range entries {
		batch := new(clusterv1.Batch)
		if err := batch.UnmarshalVT(entry.Data); err != nil {
			u.t.Fatal(err)
		}
		outcomes += len(batch.Outcomes)
	}
	return outcomes
}

// A shard that is to be let go while its batch is not sealed commits and tells it
// first.
func TestAReleaseWaitsForABatchThatIsNotSealed(t *testing.T) {
	u := newUnsealed(t)
	gone := make(chan struct{})
	u.Release(u.id, func() { close(gone) })
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		u.log.letGo() // waits for the function
	}()
	select {
	case <-gone:
		t.Fatal("let go with a batch under way")
	default:
	}
	u.free()
	<-asked
	u.edge.await(t, "the outcomes", func() bool { return len(u.edge.outcomes) == u.actions })
	<-gone
	if n := u.logged(); n != u.actions {
		t.Errorf("%d of %d outcomes are in the log", n, u.actions)
	}
}

// Who claimed the shard meanwhile has it: what was not sealed is neither told nor in
// the log.
func TestAClaimOvertakesABatchThatIsNotSealed(t *testing.T) {
	u := newUnsealed(t)
	if _, err := u.log.Claim(t.Context(), u.id, "another", 99, u.from.Epoch); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	u.Release(u.id, func() { close(gone) })
	u.free()
	u.log.letGo()
	<-gone
	if n := u.told(); n != 0 {
		t.Errorf("%d outcomes were told", n)
	}
	if n := u.logged(); n != 0 {
		t.Errorf("%d outcomes are in the log", n)
	}
}

// An append of a shard that is not served any more is withdrawn when it is asked for.
func TestABatchThatIsNotSealedIsWithdrawnAtTheEnd(t *testing.T) {
	u := newUnsealed(t)
	u.free()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := u.Close(over); err == nil {
		t.Error("nothing was said of what was not handed over")
	}
	if got := u.append.Sealed(true); got != world.Withdrawn {
		t.Errorf("the batch of a shard that is gone: %v, want Withdrawn", got)
	}
	if n := u.told() + u.logged(); n != 0 {
		t.Errorf("%d outcomes were told or are in the log", n)
	}
}
