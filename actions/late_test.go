package actions_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/memory"
)

// lateLog keeps what is submitted until it is let go.
type lateLog struct {
	*memory.Log
	mu   sync.Mutex
	of   world.ShardID
	hold bool
	held []*world.Append
}

func (l *lateLog) Submit(a *world.Append) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold && a.Shard == l.of {
		l.held = append(l.held, a)
		return
	}
	go l.Log.Submit(a)
}

func (l *lateLog) letGo() (appends int) {
	l.mu.Lock()
	held := l.held
	l.hold, l.held = false, nil
	l.mu.Unlock()
	for _, a := range held {
		l.Log.Submit(a)
	}
	return len(held)
}

// What runs while an append waits for its turn is in its batch.
func TestActionsJoinAnAppendThatWaits(t *testing.T) {
	const moves = 5
	log := &lateLog{Log: memory.New()}
	b := newBench(t, func(o *actions.Options) { o.Log = log })
	id, _ := shardAt(t, taipei)
	b.attach(t, id, 1, geoPose(taipei))
	before := ran(b)
	tail, err := log.Tail(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	log.mu.Lock()
	log.of, log.hold = id, true
	log.mu.Unlock()
	for n := range uint64(moves) {
		b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: 1, Act: &starlingv1.Act{
			Number: n + 1, Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: geoPose(taipei)}}}})
	}
	for ran(b) < before+moves {
		runtime.Gosched()
	}
	b.edge.with(func() {
		if len(b.edge.outcomes) != 0 {
			t.Errorf("%d outcomes of what is not in the log", len(b.edge.outcomes))
		}
	})
	if appends := log.letGo(); appends != 1 {
		t.Errorf("%d appends wait, want one for the shard", appends)
	}
	b.edge.await(t, "the outcomes", func() bool { return len(b.edge.outcomes) == moves })
	entries, err := log.Read(t.Context(), id, tail.Sequence+1, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		batch := new(clusterv1.Batch)
		if err := batch.UnmarshalVT(entry.Data); err != nil {
			t.Fatal(err)
		}
		if n := len(batch.Outcomes); n != 0 && n != moves {
			t.Errorf("a batch has %d outcomes, want all %d", n, moves)
		}
	}
}

func ran(b *bench) (actions uint64) {
	for _, s := range b.Shards() {
		actions += s.Actions
	}
	return actions
}
