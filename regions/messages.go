package regions

import (
	"sync"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// cellMessage is a CellMessage with the room for its shard, used again and
// again: it is encoded before it is put back.
type cellMessage struct {
	clusterv1.CellMessage
	shard clusterv1.ShardId
}

var cellMessages = sync.Pool{New: func() any {
	m := new(cellMessage)
	m.Shard = &m.shard
	return m
}}

// setCellMessage fills c from m.
func (c *cellMessage) set(m *pubsub.Message, now time.Time) {
	c.shard.Place, c.shard.Cell = uint64(m.Shard.Place), m.Shard.Cell
	c.Epoch, c.Claim, c.Cell = m.Epoch, m.Claim, uint64(m.Cell)
	c.From, c.Sequence, c.Baseline = m.From, m.Sequence, m.Baseline
	c.Steps, c.Request, c.Events = m.Steps, m.Request, m.Events
	c.AgeUs, c.SentUnixUs = ageOf(m.Arrived, now), now.UnixMicro()
}

func ageOf(arrived, now time.Time) uint32 {
	if arrived.IsZero() {
		return 0
	}
	return addAge(0, now.Sub(arrived))
}

// addAge adds to an age in microseconds, within its range.
func addAge(us uint32, d time.Duration) uint32 {
	sum := int64(us) + d.Microseconds()
	return uint32(min(max(sum, 0), 1<<32-1))
}

// messageOf reads a CellMessage that waited at its sender.
func messageOf(c *clusterv1.CellMessage, waited time.Duration, now time.Time) pubsub.Message {
	return pubsub.Message{
		Fence: pubsub.Fence{Shard: world.ShardOf(c.GetShard()), Epoch: c.GetEpoch(), Claim: c.GetClaim()},
		Cell:  world.Cell(c.GetCell()), From: c.GetFrom(), Sequence: c.GetSequence(), Baseline: c.GetBaseline(),
		Steps: c.GetSteps(), Request: c.GetRequest(), Events: c.GetEvents(),
		Arrived: now.Add(-time.Duration(addAge(c.GetAgeUs(), waited)) * time.Microsecond),
	}
}

func encodeDigest(d *pubsub.Digest, now time.Time) *clusterv1.Digest {
	c := &clusterv1.Digest{Shard: world.ShardMessage(d.Shard), Epoch: d.Epoch, Claim: d.Claim, SentUnixUs: now.UnixMicro()}
	cells := make([]clusterv1.CellSequence, len(d.Cells))
	c.Cells = make([]*clusterv1.CellSequence, len(d.Cells))
	for i, cell := range d.Cells {
		cells[i].Cell, cells[i].Sequence, cells[i].Watchers = uint64(cell.Cell), cell.Sequence, cell.Watchers
		c.Cells[i] = &cells[i]
	}
	return c
}

func decodeDigest(c *clusterv1.Digest, now time.Time) pubsub.Digest {
	d := pubsub.Digest{
		Fence: pubsub.Fence{Shard: world.ShardOf(c.GetShard()), Epoch: c.GetEpoch(), Claim: c.GetClaim()},
		Sent:  now, Cells: make([]pubsub.CellSequence, len(c.GetCells())),
	}
	for i, cell := range c.GetCells() {
		d.Cells[i] = pubsub.CellSequence{Cell: world.Cell(cell.GetCell()), Sequence: cell.GetSequence(), Watchers: cell.GetWatchers()}
	}
	return d
}
