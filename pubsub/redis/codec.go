package redis

import (
	"math"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// encodeMessage gives a CellMessage. The age since the action came in travels,
// not a time of day: clocks of machines differ.
func encodeMessage(m *pubsub.Message, now time.Time) ([]byte, error) {
	shard := clusterv1.ShardId{Place: uint64(m.Shard.Place), Cell: m.Shard.Cell}
	out := clusterv1.CellMessage{
		Shard: &shard, Epoch: m.Epoch, Claim: m.Claim, Cell: uint64(m.Cell),
		From: m.From, Sequence: m.Sequence, Baseline: m.Baseline, Steps: m.Steps,
		AgeUs: age(m.Arrived, now), Request: m.Request, SentUnixUs: now.UnixMicro(), Events: m.Events,
	}
	return out.MarshalVT()
}

func age(arrived, now time.Time) uint32 {
	if arrived.IsZero() {
		return 0
	}
	return uint32(min(max(now.Sub(arrived).Microseconds(), 0), math.MaxUint32))
}

func decodeMessage(data []byte) (m pubsub.Message, ok bool) {
	var in clusterv1.CellMessage
	if in.UnmarshalVT(data) != nil || in.Shard == nil {
		return m, false
	}
	return pubsub.Message{
		Fence: fence(in.Shard, in.Epoch, in.Claim), Cell: world.Cell(in.Cell),
		From: in.From, Sequence: in.Sequence, Events: in.Events, Baseline: in.Baseline, Steps: in.Steps,
		Arrived: time.Now().Add(-time.Duration(in.AgeUs) * time.Microsecond), Request: in.Request,
	}, true
}

func fence(shard *clusterv1.ShardId, epoch uint32, claim uint64) pubsub.Fence {
	return pubsub.Fence{
		Shard: world.ShardID{Place: world.PlaceID(shard.Place), Cell: shard.Cell}, Epoch: epoch, Claim: claim,
	}
}

func encodeDigest(d *pubsub.Digest, now time.Time) ([]byte, error) {
	out := clusterv1.Digest{
		Shard: &clusterv1.ShardId{Place: uint64(d.Shard.Place), Cell: d.Shard.Cell},
		Epoch: d.Epoch, Claim: d.Claim, SentUnixUs: now.UnixMicro(),
		Cells: make([]*clusterv1.CellSequence, len(d.Cells)),
	}
	for i, c := range d.Cells {
		out.Cells[i] = &clusterv1.CellSequence{Cell: uint64(c.Cell), Sequence: c.Sequence, Watchers: c.Watchers}
	}
	return out.MarshalVT()
}

func decodeDigest(data []byte) (d pubsub.Digest, ok bool) {
	var in clusterv1.Digest
	if in.UnmarshalVT(data) != nil || in.Shard == nil {
		return d, false
	}
	d = pubsub.Digest{Fence: fence(in.Shard, in.Epoch, in.Claim), Sent: time.Now(),
		Cells: make([]pubsub.CellSequence, len(in.Cells))}
	for i, c := range in.Cells {
		d.Cells[i] = pubsub.CellSequence{Cell: world.Cell(c.Cell), Sequence: c.Sequence, Watchers: c.Watchers}
	}
	return d, true
}
