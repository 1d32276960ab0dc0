package peer

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

func someAct() *clusterv1.RoutedAct {
	return &clusterv1.RoutedAct{
		Shard: &clusterv1.ShardId{Cell: 0x87411e5a4ffffff}, Epoch: 3, Session: 1 << 60, AgeUs: 120, DeadlineUs: 15000,
		Act: &starlingv1.Act{Number: 12345, Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: &starlingv1.Pose{
			Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: 25.03, Longitude: 121.56, Altitude: 10}}},
			Velocity: &starlingv1.Vector{East: 1, North: 0.5},
		}}}},
	}
}

// decoding counts the actions that arrive, decoded as an owner gets them.
func decoding(b *testing.B) (a *end, arrived *atomic.Int64) {
	a, to := direct(b)
	arrived = new(atomic.Int64)
	to.event(func() {
		to.receive = func(_ Kind, payload []byte) error {
			var m clusterv1.RoutedAct
			arrived.Add(1)
			return m.UnmarshalVT(payload)
		}
	})
	return a, arrived
}

// direct is a pair without anything between the two.
func direct(b *testing.B) (*end, *end) {
	x, y := newEnd(b, "a", DefaultConfig()), newEnd(b, "b", DefaultConfig())
	x.Connect([]Target{{ID: "b", Address: y.address}})
	bothUp(b, x, y, 1)
	return x, y
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSaturated: as many actions as go through; CPU of both ends.
func BenchmarkSaturated(b *testing.B) {
	a, arrived := decoding(b)
	link, act := a.Link("b"), someAct()
	b.ReportAllocs()
	begin := cpu()
	for b.Loop() {
		for link.Send(KindAct, act) != nil {
			<-time.After(100 * time.Microsecond)
		}
	}
	for arrived.Load() < int64(b.N) {
		<-time.After(100 * time.Microsecond)
	}
	b.ReportMetric(float64((cpu()-begin).Nanoseconds())/float64(b.N), "cpu-ns/envelope")
}

// BenchmarkPaced: 1,000 actions a second, evenly; CPU of both ends.
func BenchmarkPaced(b *testing.B) {
	a, arrived := decoding(b)
	link, act := a.Link("b"), someAct()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin := cpu()
	for b.Loop() {
		<-tick.C
		_ = link.Send(KindAct, act)
	}
	for arrived.Load() < int64(b.N) {
		<-time.After(100 * time.Microsecond)
	}
	b.ReportMetric(float64((cpu()-begin).Nanoseconds())/float64(b.N), "cpu-ns/envelope")
}

// BenchmarkTicking is what the clock of BenchmarkPaced costs alone.
func BenchmarkTicking(b *testing.B) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin := cpu()
	for b.Loop() {
		<-tick.C
	}
	b.ReportMetric(float64((cpu()-begin).Nanoseconds())/float64(b.N), "cpu-ns/envelope")
}
