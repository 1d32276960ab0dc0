// Package pubsub is the bus by H3 cell: owners publish what they committed,
// gateways hear of the cells that their participants watch.
//
// What was committed is published per cell, encoded once. A cell's messages
// form a chain: From of each is Sequence of the one before, within one
// (Epoch, Claim). A subscriber that finds a gap, a new epoch, or a Digest that
// is ahead of it reads the cell again from its owner. Nothing is ever dropped
// silently: what an implementation cannot deliver it reports through
// Handler.Lost.
package pubsub

import (
	"time"

	"github.com/starling-vr/starling/world"
)

// Fence identifies who speaks for a shard. Receivers keep the highest epoch and
// ignore the rest; two claims with one epoch: the one that the log holds is
// found by reading.
type Fence struct {
	Shard world.ShardID
	Epoch uint32
	Claim uint64
}

// Message is one commit's effect on one cell, or (Baseline) the whole cell.
// It is shared by all receivers: nobody may change it or what it points to.
type Message struct {
	Fence
	Cell     world.Cell
	From     uint64 // the cell's sequence before; ignored in a baseline
	Sequence uint64 // and after
	Events   uint64 // that the cell ever had, over all epochs, those in Steps included
	Baseline bool
	Steps    []byte    // encoded fields "steps" of starling.v1.Steps
	Arrived  time.Time // when the oldest action in it came in at a gateway, by this process's monotonic clock
	Request  uint64    // of the ReadCell that a baseline answers
}

// Digest tells the sequences of the cells of a shard that changed lately.
type Digest struct {
	Fence
	Cells []CellSequence
	Sent  time.Time
}

// CellSequence is where a cell stands.
type CellSequence struct {
	Cell     world.Cell
	Sequence uint64
	Watchers uint32 // participants who watch it, over all gateways
}

// Publisher is the owner's side. Calls for one shard come from one goroutine at
// a time, in order; they never wait for a subscriber.
type Publisher interface {
	Publish(batch []Message)
	PublishDigest(Digest)
}

// Handler is a subscriber's callbacks. They must not block. Calls for one shard
// come in order, one at a time, and never from within Watch; a callback may call
// Watch. A batch, and a digest's Cells, are valid until the callback returns;
// the Steps of a message stay valid.
type Handler interface {
	// Messages brings messages of watched cells (and possibly of others).
	Messages(batch []Message)
	// Digest brings a digest of a shard with watched cells.
	Digest(Digest)
	// Watching confirms that everything published on the cell from now on
	// will come: read the baseline now.
	Watching(shard world.ShardID, cell world.Cell)
	// Lost says that messages of the cell may have been missed: read it again
	// once Watching comes again.
	Lost(shard world.ShardID, cell world.Cell)
}

// Subscription is a subscriber's wishes. Its methods return at once.
type Subscription interface {
	// Watch asks for a cell, on behalf of so many participants; asking again
	// changes the number, 0 ends it.
	Watch(shard world.ShardID, cell world.Cell, watchers uint32)
	Close()
}

// Bus is an implementation.
type Bus interface {
	Publisher
	Subscribe(subscriber string, h Handler) Subscription
	// Lag is the time from publishing to receiving of the last probes, by
	// percentile; Healthy is false when probes stopped coming through.
	Healthy() (ok bool, why string)
	Close() error
}
