package hub

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// BenchmarkCrowd measures all that a hub does, but for the system calls, for one
// action among so many participants who are in one cell and see each other, each
// walking a step a second.
func BenchmarkCrowd(b *testing.B) {
	for _, participants := range []int{500, 2000} {
		for _, budget := range []Budget{{}, {Entities: 500, Bytes: 64 << 10}} {
			b.Run(fmt.Sprintf("participants=%d/budget=%v", participants, budget.Entities), func(b *testing.B) {
				benchmarkCrowd(b, participants, budget)
			})
		}
	}
}

func benchmarkCrowd(b *testing.B, participants int, budget Budget) {
	bench := newBench(b, 1)
	bench.hubs.config.Budget = budget
	h, here := bench.hubs.hubs[0], cellAt(1)
	random := rand.New(rand.NewPCG(1, 2))
	sequence := uint64(1)
	const metre = 1 / metresPerDegree
	at := make([][2]float64, participants) // within a square of 120 m
	for i := range at {
		at[i] = [2]float64{25 + random.Float64()*120*metre, 121.5 + random.Float64()*120*metre}
	}
	state := func(entity int, change starlingv1.Change) *starlingv1.Step {
		spot := &at[entity-1]
		spot[0] += random.NormFloat64() * metre
		spot[1] += random.NormFloat64() * metre
		s := stateStep(uint64(entity), change, sequence)
		s.GetUpdate().Pose.Position.In = &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: spot[0], Longitude: spot[1]}}
		return s
	}
	var present []*starlingv1.Step
	var clients []*Client
	for i := range participants {
		present = append(present, state(i+1, starlingv1.Change_PRESENT))
		c := bench.hubs.Prepare(Newcomer{Conn: &discardConn{}, Avatar: world.EntityID(i + 1), Cell: here, Budget: budget})
		clients = append(clients, c)
		c.Begin(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{}}})
	}
	bench.turn()
	bench.confirm()
	bench.answer(here, sequence, present...)

	started := time.Now()
	now := started
	actions, ticks := 0, 0
	act := func() {
		step := state(actions%participants+1, starlingv1.Change_CHANGED)
		m := pubsub.Message{Fence: pubsub.Fence{Shard: bench.shard(here), Epoch: 1, Claim: 5}, Cell: here,
			From: sequence, Sequence: sequence + 1, Steps: encodeSteps(step), Arrived: now}
		sequence++
		actions++
		bench.hubs.table.Messages([]pubsub.Message{m})
		now = now.Add(time.Second / time.Duration(participants))
		if actions%max(1, participants/125) == 0 { // 8 ms
			h.take()
			for _, c := range clients {
				h.flush(c, now)
			}
			h.wheel = newWheel(started, h.hubs.config.Deadline) // its clock is another one
		}
		if actions%(participants/20) == 0 {
			ticks++
			h.tick(ticks, now)
		}
	}
	for range 2 * participants {
		act()
	}
	before := map[string]float64{"frames": counter(b, h.metrics.Frames), "bytes": counter(b, h.metrics.Bytes), "writes": counter(b, h.metrics.Writes)}
	began, _ := processor.Time()
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		act()
	}
	ended, _ := processor.Time()
	b.ReportMetric(float64((ended-began).Nanoseconds())/float64(b.N), "cpu-ns/action")
	b.ReportMetric((counter(b, h.metrics.Writes)-before["writes"])/float64(b.N), "writes/action")
	b.ReportMetric((counter(b, h.metrics.Bytes)-before["bytes"])/float64(b.N), "bytes/action")
}
