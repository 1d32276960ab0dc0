package actions_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
	"github.com/starling-vr/starling/world/memory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// edge is a gateway that keeps what it is told.
type edge struct {
	node     string
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever something comes
	outcomes []*clusterv1.RoutedOutcome
	replies  map[uint64]*clusterv1.ControlReply
	notMine  []*clusterv1.NotMine
	notices  []*clusterv1.SessionNotice
	images   map[uint64]pubsub.Message
	messages []pubsub.Message
	digests  []pubsub.Digest
}

func newEdge(node string) *edge {
	return &edge{node: node, changed: make(chan struct{}), replies: map[uint64]*clusterv1.ControlReply{}, images: map[uint64]pubsub.Message{}}
}

func (e *edge) with(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *edge) Node() string { return e.node }
func (e *edge) Outcome(o *clusterv1.RoutedOutcome) {
	e.with(func() { e.outcomes = append(e.outcomes, o) })
}
func (e *edge) ControlReply(r *clusterv1.ControlReply) { e.with(func() { e.replies[r.Request] = r }) }
func (e *edge) NotMine(n *clusterv1.NotMine)           { e.with(func() { e.notMine = append(e.notMine, n) }) }
func (e *edge) SessionNotice(n *clusterv1.SessionNotice) {
	e.with(func() { e.notices = append(e.notices, n) })
}
func (e *edge) Baseline(m pubsub.Message) { e.with(func() { e.images[m.Request] = m }) }
func (e *edge) Publish(batch []pubsub.Message) {
	e.with(func() { e.messages = append(e.messages, batch...) })
}
func (e *edge) PublishDigest(d pubsub.Digest) { e.with(func() { e.digests = append(e.digests, d) }) }

// await waits until what holds; what is called with the edge locked.
func (e *edge) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		e.mu.Lock()
		ok, changed := holds(), e.changed
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// bench is a Host with all that it needs.
type bench struct {
	*actions.Host
	edge *edge
	log  world.Log
	next uint64
}

func newBench(t testing.TB, change func(*actions.Options)) *bench {
	t.Helper()
	e := newEdge("gateway-1")
	o := actions.Options{
		Node: "owner-1", Log: memory.New(), Bus: e, Lending: true,
		Logger: slog.New(slog.DiscardHandler), TickEvery: 5 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	if o.Scheduler == nil {
		o.Scheduler = invoke.New(invoke.Config{Workers: 2})
	}
	h, err := actions.NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := o.Scheduler.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &bench{Host: h, edge: e, log: o.Log}
}

// taipei is near the middle of a cell in the middle of its shard.
var taipei = world.Geo{Lat: 25.0330, Lng: 121.5654, Alt: 10}

func geoPose(at world.Geo) *starlingv1.Pose {
	return &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: at.Lat, Longitude: at.Lng, Altitude: at.Alt}}}}
}

func shardAt(t testing.TB, at world.Geo) (world.ShardID, world.Cell) {
	t.Helper()
	m := world.DefaultShardMap()
	cell, err := hex.Cell(at.Lat, at.Lng, m.CellResolution)
	if err != nil {
		t.Fatal(err)
	}
	return m.Shard(0, cell), cell
}

func (b *bench) control(t *testing.T, id world.ShardID, c *clusterv1.Control) *clusterv1.ControlReply {
	t.Helper()
	b.next++
	c.Request, c.Shard = b.next, world.ShardMessage(id)
	b.Control(b.edge, c)
	b.edge.await(t, "a reply", func() bool { return b.edge.replies[c.Request] != nil })
	return b.edge.replies[c.Request]
}

func (b *bench) attach(t *testing.T, id world.ShardID, session uint64, pose *starlingv1.Pose, scopes ...string) *clusterv1.Attached {
	t.Helper()
	r := b.control(t, id, &clusterv1.Control{Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
		Session: session, Participant: "participant", Gateway: b.edge.node, Pose: pose, Scopes: scopes,
	}}})
	if r.Code != starlingv1.Code_APPLIED {
		t.Fatalf("attach: %v %s", r.Code, r.Message)
	}
	return r.Attached
}

func (b *bench) act(t *testing.T, id world.ShardID, session uint64, act *starlingv1.Act) *starlingv1.Outcome {
	t.Helper()
	b.Act(b.edge, &clusterv1.RoutedAct{Shard: world.ShardMessage(id), Session: session, Act: act})
	var out *starlingv1.Outcome
	b.edge.await(t, "an outcome", func() bool {
		for _, o := range b.edge.outcomes {
			if o.Session == session && o.Outcome.Number == act.Number {
				out = o.Outcome
				return true
			}
		}
		return false
	})
	return out
}

func TestHostServesAttachMoveSpeakTouchRead(t *testing.T) {
	b := newBench(t, nil)
	id, cell := shardAt(t, taipei)
	me := b.attach(t, id, 7, geoPose(taipei))
	other := b.attach(t, id, 8, geoPose(taipei))
	north := taipei
	north.Lat += 0.00001
	for n, act := range []*starlingv1.Act{
		{Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: geoPose(north)}}},
		{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "hello"}}}},
		{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: &starlingv1.Target{Entity: other.Avatar, Cell: uint64(cell)}}}},
	} {
		act.Number = uint64(n + 1)
		if out := b.act(t, id, 7, act); out.Code != starlingv1.Code_APPLIED {
			t.Fatalf("%v: %v %s", act, out.Code, out.Message)
		}
	}
	b.ReadCell(b.edge, &clusterv1.ReadCell{Request: 99, Shard: world.ShardMessage(id), Cell: uint64(cell)})
	b.edge.await(t, "a baseline", func() bool { _, ok := b.edge.images[99]; return ok })
	steps := new(starlingv1.Steps)
	if err := steps.UnmarshalVT(b.edge.images[99].Steps); err != nil {
		t.Fatal(err)
	}
	if len(steps.Steps) != 2 {
		t.Fatalf("the cell has %d entities, want 2: %v", len(steps.Steps), steps)
	}
	for _, s := range steps.Steps {
		if s.GetUpdate().Entity == me.Avatar && s.GetUpdate().Pose.Position.GetGeo().Latitude != north.Lat {
			t.Errorf("the avatar is at %v", s.GetUpdate().Pose)
		}
	}
}
