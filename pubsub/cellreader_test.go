package pubsub_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

const cell = world.Cell(0x8a411e5a4007fff)

var (
	shard = world.ShardID{Cell: 0x87411e5a4ffffff}
	start = time.Unix(1_800_000_000, 0)
)

func fence(epoch uint32) pubsub.Fence {
	return pubsub.Fence{Shard: shard, Epoch: epoch, Claim: uint64(epoch) * 100}
}

func message(epoch uint32, from, sequence uint64) pubsub.Message {
	return pubsub.Message{Fence: fence(epoch), Cell: cell, From: from, Sequence: sequence}
}

func baseline(epoch uint32, sequence, request uint64) pubsub.Message {
	return pubsub.Message{Fence: fence(epoch), Cell: cell, Sequence: sequence, Baseline: true, Request: request}
}

// live gives a reader whose image stands at (1, 10).
func live(t *testing.T) *pubsub.CellReader {
	t.Helper()
	r := pubsub.NewCellReader(shard, cell, pubsub.CellReaderConfig{})
	want(t, "confirmation", r.Watching(start), true)
	r.Requested(1)
	want(t, "baseline", r.Baseline(baseline(1, 10, 1), start), false, 10)
	return r
}

func want(t *testing.T, what string, got pubsub.CellResult, read bool, applied ...uint64) {
	t.Helper()
	var sequences []uint64
	for _, m := range got.Apply {
		sequences = append(sequences, m.Sequence)
	}
	if got.Read != read || !slices.Equal(sequences, applied) {
		t.Fatalf("%s: applied %v, read %v; want %v, %v", what, sequences, got.Read, applied, read)
	}
}

func TestCellReaderAppliesTheChain(t *testing.T) {
	r := live(t)
	want(t, "next", r.Message(message(1, 10, 12), start), false, 12)
	want(t, "the same again", r.Message(message(1, 10, 12), start), false)
	want(t, "older", r.Message(message(1, 8, 10), start), false)
	want(t, "another cell", r.Message(pubsub.Message{Fence: fence(1), Cell: 7, From: 12, Sequence: 13}, start), false)
	want(t, "an older epoch", r.Message(message(0, 12, 13), start), false)
	want(t, "next", r.Message(message(1, 12, 13), start), false, 13)
}

func TestCellReaderContinuesFromABaselineBetweenMessages(t *testing.T) {
	r := live(t) // the cell itself was last touched at 8
	want(t, "next", r.Message(message(1, 8, 11), start), false, 11)
}

func TestCellReaderKeepsWhatComesBeforeTheBaseline(t *testing.T) {
	r := pubsub.NewCellReader(shard, cell, pubsub.CellReaderConfig{})
	want(t, "before the confirmation", r.Message(message(1, 1, 2), start), false)
	want(t, "confirmation", r.Watching(start), true)
	r.Requested(5)
	want(t, "covered", r.Message(message(1, 2, 3), start), false)
	want(t, "later", r.Message(message(1, 3, 4), start), false)
	want(t, "old answer", r.Baseline(baseline(1, 1, 4), start), false)
	want(t, "answer", r.Baseline(baseline(1, 3, 5), start), false, 3, 4)
}

func TestCellReaderReadsAgain(t *testing.T) {
	t.Run("gap", func(t *testing.T) {
		r := live(t)
		want(t, "gap", r.Message(message(1, 11, 12), start), true)
		r.Requested(2)
		want(t, "after the gap", r.Message(message(1, 12, 13), start), false)
		want(t, "answer", r.Baseline(baseline(1, 12, 2), start), false, 12, 13)
	})
	t.Run("newer epoch", func(t *testing.T) {
		r := live(t)
		want(t, "new epoch", r.Message(message(2, 10, 11), start), true)
		r.Requested(2)
		want(t, "answer of the old owner", r.Baseline(baseline(1, 10, 2), start), true, 10)
		r.Requested(3)
		want(t, "once more", r.Baseline(baseline(1, 10, 3), start), false, 10)
		want(t, "not at once", r.Tick(start.Add(time.Millisecond)), false)
		want(t, "later", r.Tick(start.Add(pubsub.DefaultReadTimeout)), true)
		r.Requested(4)
		want(t, "answer of the new one", r.Baseline(baseline(2, 10, 4), start), false, 10, 11)
		want(t, "the old epoch", r.Message(message(1, 11, 12), start), false)
	})
	t.Run("one epoch claimed twice", func(t *testing.T) {
		r := live(t)
		other := message(1, 10, 11)
		other.Claim++
		want(t, "another claim", r.Message(other, start), true)
		r.Requested(2)
		want(t, "answer under the first claim", r.Baseline(baseline(1, 10, 2), start), true, 10)
		r.Requested(3)
		want(t, "settled", r.Baseline(baseline(1, 10, 3), start), false, 10)
		want(t, "next", r.Message(message(1, 10, 11), start), false, 11)
	})
	t.Run("digest ahead for longer than the bound", func(t *testing.T) {
		r := live(t)
		want(t, "digest", r.Digest(fence(1), 12, start), false)
		want(t, "soon", r.Tick(start.Add(pubsub.DefaultLagBound-1)), false)
		want(t, "late", r.Tick(start.Add(pubsub.DefaultLagBound)), true)
	})
	t.Run("digest that was only early", func(t *testing.T) {
		r := live(t)
		want(t, "digest", r.Digest(fence(1), 11, start), false)
		want(t, "message", r.Message(message(1, 10, 11), start), false, 11)
		want(t, "late", r.Tick(start.Add(time.Hour)), false)
	})
	t.Run("digest of a new owner", func(t *testing.T) {
		r := live(t)
		want(t, "digest", r.Digest(fence(2), 0, start), true)
	})
	t.Run("no answer", func(t *testing.T) {
		r := live(t)
		want(t, "gap", r.Message(message(1, 11, 12), start), true)
		r.Requested(2)
		later := start.Add(pubsub.DefaultReadTimeout)
		want(t, "no answer", r.Tick(later), true)
		r.Requested(3)
		want(t, "the second wait is longer", r.Tick(later.Add(pubsub.DefaultReadTimeout)), false)
		want(t, "the first answer will do", r.Baseline(baseline(1, 12, 2), later), false, 12)
	})
	t.Run("lost", func(t *testing.T) {
		r := live(t)
		r.Lost()
		want(t, "while lost", r.Message(message(1, 10, 11), start), false)
		want(t, "confirmation", r.Watching(start), true)
	})
	t.Run("more than fits", func(t *testing.T) {
		r := pubsub.NewCellReader(shard, cell, pubsub.CellReaderConfig{MaxBuffered: 2})
		r.Watching(start)
		r.Requested(1)
		for i := range uint64(4) {
			want(t, "kept", r.Message(message(1, 10+i, 11+i), start), false)
		}
		want(t, "answer", r.Baseline(baseline(1, 10, 1), start), true, 10)
		r.Requested(2)
		want(t, "answer", r.Baseline(baseline(1, 12, 2), start), false, 12, 13, 14)
	})
}

func TestCellReaderMessagesDoNotAllocate(t *testing.T) {
	r := live(t)
	next := uint64(10)
	if n := testing.AllocsPerRun(100, func() {
		r.Message(message(1, next, next+1), start)
		next++
	}); n > 0 {
		t.Errorf("%v allocations a message, want 0", n)
	}
}

// A lossy bus between one publisher and one reader, and every state that the
// cell ever had.
type crossing struct {
	t       *rapid.T
	reader  *pubsub.CellReader
	now     time.Time
	request uint64
	reads   []uint64 // on their way to the owner

	fence    pubsub.Fence
	sequence uint64 // of the shard
	last     uint64 // that touched the cell
	content  string
	history  map[string]string // fence and sequence to content
	claims   uint64

	flying []any // messages and digests on their way
	image  string
	highest,
	highestEpoch uint64
}

func key(f pubsub.Fence, sequence uint64) string {
	return fmt.Sprint(f.Epoch, f.Claim, sequence)
}

func (c *crossing) remember() { c.history[key(c.fence, c.sequence)] = c.content }

func (c *crossing) commit(touch bool) {
	c.sequence++
	if touch {
		step := fmt.Sprintf("%d.%d;", c.fence.Epoch, c.sequence)
		c.content += step
		c.flying = append(c.flying, pubsub.Message{Fence: c.fence, Cell: cell,
			From: c.last, Sequence: c.sequence, Steps: []byte(step)})
		c.last = c.sequence
	}
	c.remember()
}

// takeOver makes a new owner; the store may have lost the end.
func (c *crossing) takeOver(lost uint64) {
	for ; lost > 0 && c.sequence > 1; lost-- {
		if _, known := c.history[key(c.fence, c.sequence-1)]; !known {
			break
		}
		c.sequence--
	}
	c.content = c.history[key(c.fence, c.sequence)]
	c.claims++
	c.fence = pubsub.Fence{Shard: shard, Epoch: c.fence.Epoch + 1, Claim: c.claims}
	c.last = c.sequence
	c.remember()
}

func (c *crossing) do(result pubsub.CellResult) {
	for _, m := range result.Apply {
		if m.Baseline {
			c.image = string(m.Steps)
		} else {
			c.image += string(m.Steps)
		}
		if want := c.history[key(m.Fence, m.Sequence)]; c.image != want {
			c.t.Fatalf("at %s the image is %q, not %q", key(m.Fence, m.Sequence), c.image, want)
		}
		if uint64(m.Epoch) < c.highestEpoch || uint64(m.Epoch) == c.highestEpoch && m.Sequence < c.highest {
			c.t.Fatalf("the image went back from %d/%d to %d/%d", c.highestEpoch, c.highest, m.Epoch, m.Sequence)
		}
		c.highestEpoch, c.highest = uint64(m.Epoch), m.Sequence
	}
	if result.Read {
		c.request++
		c.reader.Requested(c.request)
		c.reads = append(c.reads, c.request)
	}
}

func (c *crossing) deliver(thing any) {
	switch m := thing.(type) {
	case pubsub.Message:
		if m.Baseline {
			c.do(c.reader.Baseline(m, c.now))
			return
		}
		c.do(c.reader.Message(m, c.now))
	case pubsub.Digest:
		c.do(c.reader.Digest(m.Fence, m.Cells[0].Sequence, c.now))
	}
}

func (c *crossing) answer(i int) pubsub.Message {
	request := c.reads[i]
	c.reads = slices.Delete(c.reads, i, i+1)
	return pubsub.Message{Fence: c.fence, Cell: cell, Sequence: c.sequence,
		Baseline: true, Steps: []byte(c.content), Request: request}
}

func (c *crossing) digest() pubsub.Digest {
	return pubsub.Digest{Fence: c.fence, Cells: []pubsub.CellSequence{{Cell: cell, Sequence: c.last}}}
}

func pick(t *rapid.T, n int) int { return rapid.IntRange(0, n-1).Draw(t, "index") }

// Whatever is lost, doubled or reordered: the image is always a state that the
// cell had, never goes back, and after quiet and a digest is the newest.
func TestCellReaderConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &crossing{t: t, now: start, sequence: 1, last: 1, fence: pubsub.Fence{Shard: shard, Epoch: 1},
			history: map[string]string{},
			reader:  pubsub.NewCellReader(shard, cell, pubsub.CellReaderConfig{MaxBuffered: 4})}
		c.remember()
		t.Repeat(map[string]func(*rapid.T){
			"commit":    func(t *rapid.T) { c.commit(rapid.Bool().Draw(t, "touch")) },
			"take over": func(t *rapid.T) { c.takeOver(rapid.Uint64Range(0, 3).Draw(t, "lost")) },
			"digest":    func(t *rapid.T) { c.flying = append(c.flying, c.digest()) },
			"watching":  func(t *rapid.T) { c.do(c.reader.Watching(c.now)) },
			"lost":      func(t *rapid.T) { c.reader.Lost() },
			"time": func(t *rapid.T) {
				c.now = c.now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "ms")) * time.Millisecond)
				c.do(c.reader.Tick(c.now))
			},
			"deliver": func(t *rapid.T) {
				if len(c.flying) == 0 {
					return
				}
				i := pick(t, len(c.flying))
				thing := c.flying[i]
				if !rapid.Bool().Draw(t, "doubled") {
					c.flying = slices.Delete(c.flying, i, i+1)
				}
				c.deliver(thing)
			},
			"lose": func(t *rapid.T) {
				if len(c.flying) > 0 {
					i := pick(t, len(c.flying))
					c.flying = slices.Delete(c.flying, i, i+1)
				}
			},
			"answer": func(t *rapid.T) {
				if len(c.reads) > 0 {
					c.flying = append(c.flying, c.answer(pick(t, len(c.reads))))
				}
			},
		})
		if c.reader.State() == pubsub.CellWaiting {
			c.do(c.reader.Watching(c.now))
		}
		c.reads = nil // lost
		for range 60 {
			c.now = c.now.Add(250 * time.Millisecond)
			c.deliver(c.digest())
			c.do(c.reader.Tick(c.now))
			for len(c.reads) > 0 {
				c.deliver(c.answer(0))
			}
		}
		if c.reader.State() != pubsub.CellLive || c.image != c.content {
			t.Fatalf("after quiet the image is %q (state %d), not %q", c.image, c.reader.State(), c.content)
		}
	})
}
