package hub

import (
	"fmt"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// discardConn takes everything.
type discardConn struct{ fakeConn }

func (c *discardConn) Write(frames [][]byte) int { return len(frames) }

// BenchmarkFlush measures all that a hub does for one action seen by so many,
// but for the system calls: apply, encode, gather, settle.
func BenchmarkFlush(b *testing.B) {
	for _, watchers := range []int{2, 8, 40} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			bench := newBench(b, 1)
			here := cellAt(1)
			var actor *Client
			for i := range watchers {
				c := bench.hubs.Prepare(Newcomer{Conn: &discardConn{}, Avatar: world.EntityID(i + 1), Cell: here, Ring: 1})
				c.Begin(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{}}})
				actor = c
			}
			bench.turn()
			bench.confirm()
			for i := 0; i <= 2; i++ {
				bench.answer(cellAt(i), 1)
			}
			steps := encodeSteps(stateStep(1, starlingv1.Change_CHANGED, 1))
			outcome := &starlingv1.Outcome{Number: 1, Code: starlingv1.Code_APPLIED}
			messages := make([]pubsub.Message, 1)
			sequence := uint64(1)
			h := bench.hubs.hubs[0]
			b.ReportAllocs()
			before, _ := processor.Time()
			b.ResetTimer()
			for b.Loop() {
				messages[0] = pubsub.Message{Fence: pubsub.Fence{Shard: bench.shard(here), Epoch: 1, Claim: 5}, Cell: here,
					From: sequence, Sequence: sequence + 1, Steps: steps, Arrived: time.Now()}
				sequence++
				bench.hubs.table.Messages(messages)
				actor.Outcome(outcome)
				h.take()
				h.flushDue(time.Now(), 0)
			}
			after, _ := processor.Time()
			used := float64((after - before).Nanoseconds())
			b.ReportMetric(used/float64(b.N), "cpu-ns/action")
			b.ReportMetric(used/float64(b.N*watchers), "cpu-ns/delivery")
		})
	}
}
