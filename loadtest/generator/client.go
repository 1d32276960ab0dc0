package generator

import (
	"errors"
	"io"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/generator/wire"
	"github.com/starling-vr/starling/loadtest/scenario"
)

var errEnded = io.EOF

// stage is how far a client has come.
type stage byte

const (
	absent     stage = iota // not yet come, or gone for good
	waiting                 // to connect again
	connecting              // TCP
	upgrading               // HTTP
	greeting                // Hello was sent
	settling                // welcomed; baselines, and its thing, are awaited
	ready
	leaving
)

// client is one participant's connection and session. It belongs to the loop.
type client struct {
	index      int32
	generation int32 // of the connection, so that late events of an old one are known
	fd         int
	stage      stage
	wantsWrite bool
	dirty      bool
	joined     bool // it was ready once
	stuck      bool // it reads nothing and does nothing while the crowd acts

	nonce     [16]byte
	mask      uint32
	in        []byte // the beginning of what is not all there yet
	fragments []byte // of a message in several frames
	out       []byte // not written yet

	wakeAt   int64 // when its timer is due; 0: none
	failures int
	came     int64 // when it first tried to connect
	place    uint64
	entry    scenario.Entry
	disk     int // cells that it watches where it comes in

	session    uint64
	avatar     uint64
	self       int32  // its avatar among the ledger's entities
	thing      uint64 // its own thing, once spawned
	thingIndex int32
	next       uint64 // number of the next action
	window     int
	last       uint64 // highest number with a final outcome
	queue      []act  // without a final outcome, in order
	sent       int    // of queue: under way; what follows is to be sent, again perhaps
	heldUntil  int64  // nothing is sent before: it was refused
	pause      time.Duration
	refusal    string // code of the last one
	cells      []cellState
}

// act is an action without a final outcome.
type act struct {
	sequence int64 // of the ledger; -1 where it is not measured
	due      int64
	number   uint64 // 0: not sent yet
	pose     scenario.Pose
	target   int32
	cell     uint64
	text     string
	function function
	pending  bool // sent, and no answer since
	safe     bool // surely without effect: it may be given up
}

// function is what an act does: those of the scenario, and the generator's own.
type function uint8

const (
	spawn function = 200 + iota
	leave
)

// cellState is how far a client's image of a cell is.
type cellState struct {
	cell     uint64
	epoch    uint32
	sequence uint64
}

// room for a message of a server that comes in pieces.
const maxFragments = wire.MaxMessage

var (
	errGap       = errors.New("a frame does not build on the ones before")
	errHandshake = errors.New("no welcome within the handshake time")
)

// closedError is a close frame of the server.
type closedError struct {
	code   int
	reason string
}

func (e *closedError) Error() string {
	return "closed with " + starlingv1.CloseCode(e.code).String() + ": " + e.reason
}

// Bounds of the pauses before a client connects again. Source:
// docs/reference/protocol.md, "Close codes".
const (
	firstPause = 200 * time.Millisecond
	longPause  = 10 * time.Second
)

// Bounds of the pauses before an action that was refused for now goes out again,
// where the server names none. Source: the same, "Acting".
const (
	firstRetry = 5 * time.Millisecond
	longRetry  = 250 * time.Millisecond
)

// find gives the place in the queue of an action under way; -1 if there is none.
func (c *client) find(number uint64) int {
	for i := range c.queue {
		if c.queue[i].number == number {
			return i
		}
	}
	return -1
}

// take removes an action from the queue.
func (c *client) take(i int) act {
	a := c.queue[i]
	if i == 0 {
		c.queue[0] = act{}
		c.queue = c.queue[1:]
	} else {
		c.queue = append(c.queue[:i], c.queue[i+1:]...)
	}
	if i < c.sent {
		c.sent--
	}
	if len(c.queue) == 0 {
		c.queue = c.queue[:0:0]
	}
	return a
}

// position says how a frame relates to what the client has of its cell.
func (c *client) position(f *wire.CellFrame) (taken bool, err error) {
	at := -1
	for i := range c.cells {
		if c.cells[i].cell == f.Cell {
			at = i
			break
		}
	}
	switch {
	case f.Unwatched:
		if at >= 0 {
			c.cells = append(c.cells[:at], c.cells[at+1:]...)
		}
		return false, nil
	case f.Baseline:
		if at < 0 {
			c.cells = append(c.cells, cellState{cell: f.Cell})
			at = len(c.cells) - 1
		}
		c.cells[at].epoch, c.cells[at].sequence = f.Epoch, f.Sequence
		return true, nil
	case at < 0:
		return false, nil
	case f.Partial: // ahead of the cell's chain
		return f.Epoch == c.cells[at].epoch, nil
	}
	has := &c.cells[at]
	switch {
	case f.Epoch == has.epoch && f.From == has.sequence && f.Sequence == has.sequence:
		return true, nil
	case f.Epoch < has.epoch || f.Epoch == has.epoch && f.Sequence <= has.sequence:
		return false, nil
	case f.Epoch == has.epoch && f.From == has.sequence:
		has.sequence = f.Sequence
		return true, nil
	}
	return false, errGap
}
