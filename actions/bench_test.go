package actions_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// counter is an edge and a bus that only count.
type counter struct {
	outcomes atomic.Int64
	replies  chan *clusterv1.ControlReply
	window   chan struct{}
}

func (c *counter) Node() string                           { return "gateway-1" }
func (c *counter) Outcome(*clusterv1.RoutedOutcome)       { c.outcomes.Add(1); <-c.window }
func (c *counter) ControlReply(r *clusterv1.ControlReply) { c.replies <- r }
func (c *counter) NotMine(*clusterv1.NotMine)             { panic("not mine") }
func (c *counter) SessionNotice(*clusterv1.SessionNotice) {}
func (c *counter) Baseline(pubsub.Message)                {}
func (c *counter) Publish([]pubsub.Message)               {}
func (c *counter) PublishDigest(pubsub.Digest)            {}

// BenchmarkHostMove measures a move from Host.Act to its outcome, over the
// memory log, with 64 of them in flight.
func BenchmarkHostMove(b *testing.B) {
	const sessions, inFlight = 64, 64
	c := &counter{replies: make(chan *clusterv1.ControlReply, 1), window: make(chan struct{}, inFlight)}
	host := newBench(b, func(o *actions.Options) { o.Bus, o.Logger = c, slog.New(slog.DiscardHandler) })
	id, _ := shardAt(b, taipei)
	for n := range sessions {
		host.Control(c, &clusterv1.Control{Shard: world.ShardMessage(id), Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
			Session: uint64(n + 1), Participant: "p", Gateway: c.Node(), Pose: geoPose(taipei)}}})
		if r := <-c.replies; r.Code != starlingv1.Code_APPLIED {
			b.Fatal(r)
		}
	}
	target := world.ShardMessage(id)
	acts := make([]clusterv1.RoutedAct, b.N)
	inner := make([]starlingv1.Act, b.N)
	pose := geoPose(world.Geo{Lat: taipei.Lat + 1e-6, Lng: taipei.Lng, Alt: taipei.Alt})
	f := &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose}}
	for n := range acts {
		inner[n].Number, inner[n].Function = uint64(n/sessions)+1, f
		acts[n].Shard, acts[n].Session, acts[n].Act = target, uint64(n%sessions)+1, &inner[n]
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := range acts {
		c.window <- struct{}{}
		host.Act(c, &acts[n])
	}
	for range inFlight {
		c.window <- struct{}{}
	}
	b.StopTimer()
	for range inFlight {
		<-c.window
	}
	if got := c.outcomes.Load(); got != int64(b.N) {
		b.Fatalf("%d outcomes of %d", got, b.N)
	}
}
