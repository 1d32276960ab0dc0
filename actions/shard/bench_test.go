package shard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// crowd is a shard with sessions in the middle of it.
func crowd(tb testing.TB, sessions int) (*shard.Shard, time.Time) {
	tb.Helper()
	m := newSimulation(1, tb.Fatalf)
	at := world.Geo{Lat: 25.0330, Lng: 121.5654}
	id := m.shardOf(at)
	s := shard.New(m.config(id), world.Tail{Epoch: 1, Claim: 1})
	for n := range sessions {
		start := at
		start.Lat += float64(n%20) * 5e-5
		start.Lng += float64(n/20) * 5e-5
		s.Control(m.now, "gateway", &clusterv1.Control{Kind: &clusterv1.Control_Attach{Attach: &clusterv1.Attach{
			Session: uint64(n + 1), Participant: fmt.Sprint(n), Gateway: "gateway", Pose: pose(start),
		}}})
	}
	commit(s, m.now)
	return s, m.now
}

func commit(s *shard.Shard, now time.Time) (bytes int) {
	if b, ok := s.Seal(now); ok {
		s.Committed()
		s.Told()
		bytes = len(b.Data)
	}
	return bytes
}

// BenchmarkMove measures one move through the state machine, its share of the
// encoding and release of batches of 16 included.
func BenchmarkMove(b *testing.B) {
	const sessions, perBatch = 400, 16
	s, now := crowd(b, sessions)
	acts := make([]*starlingv1.Act, sessions)
	for n := range acts {
		at := world.Geo{Lat: 25.0330 + float64(n%20)*5e-5, Lng: 121.5654 + float64(n/20)*5e-5}
		acts[n] = &starlingv1.Act{Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose(at)}}}
	}
	var tells []shard.Tell
	b.ReportAllocs()
	n, bytes := 0, 0
	for b.Loop() {
		i := n % sessions
		acts[i].Number = uint64(n/sessions) + 1
		now = now.Add(50 * time.Microsecond)
		in := shard.Act{Gateway: "gateway", Session: world.SessionID(i + 1), Act: acts[i], Arrived: now}
		s.Act(now, &in)
		tells = s.Immediate(tells[:0])
		if n++; n%perBatch == 0 {
			bytes += commit(s, now)
		}
	}
	b.ReportMetric(float64(bytes)/float64(n), "logbytes/op")
	if got := s.Statistics().Actions; got != uint64(n) {
		b.Fatalf("%d of %d actions are final", got, n)
	}
}

// BenchmarkReadDirtyCell measures a read while a batch is in flight.
func BenchmarkReadDirtyCell(b *testing.B) {
	s, now := crowd(b, 400)
	at := world.Geo{Lat: 25.0330, Lng: 121.5654}
	for n := range 100 {
		s.Act(now, &shard.Act{Session: world.SessionID(n + 1), Act: &starlingv1.Act{Number: 1,
			Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose(at)}}}})
	}
	s.Seal(now)
	cell, _ := s.CellOf(s.EntityIDs()[0])
	b.ReportAllocs()
	var tells []shard.Tell
	for b.Loop() {
		s.ReadCell("gateway", &clusterv1.ReadCell{Cell: uint64(cell)})
		tells = s.Immediate(tells[:0])
	}
}
