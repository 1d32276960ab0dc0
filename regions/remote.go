package regions

import (
	"errors"
	"sync"
	"time"

	"github.com/starling-vr/starling/actions"
	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/regions/peer"
	"github.com/starling-vr/starling/world"
)

// remote is another process as this one sees it: for the owner here, a gateway
// (actions.Edge) and a subscriber of its broker (pubsub.Handler).
type remote struct {
	node *Node
	link *peer.Link

	mu           sync.Mutex
	subscription pubsub.Subscription // nil until it watches something

	// Of the link's receiving goroutine alone: the cell messages of the frame
	// being read, all of one shard.
	cells []pubsub.Message
}

var (
	_ actions.Edge   = (*remote)(nil)
	_ pubsub.Handler = (*remote)(nil)
)

// errBehind: the other end did not take what it must not miss. The stream is
// cut, so that both sides know.
var errBehind = errors.New("the peer does not keep up: it missed what it must know")

// must sends what must arrive as long as the stream lasts.
func (r *remote) must(kind peer.Kind, m peer.Message) {
	if err := r.link.Send(kind, m); err != nil && !errors.Is(err, peer.ErrDown) {
		r.link.Cut(errBehind)
	}
}

// Node implements actions.Edge.
func (r *remote) Node() string { return r.link.ID() }

// Outcome implements actions.Edge.
func (r *remote) Outcome(m *clusterv1.RoutedOutcome) { r.must(peer.KindOutcome, m) }

// ControlReply implements actions.Edge.
func (r *remote) ControlReply(m *clusterv1.ControlReply) { r.must(peer.KindControlReply, m) }

// NotMine implements actions.Edge.
func (r *remote) NotMine(m *clusterv1.NotMine) {
	if m.GetOwner() != r.node.id {
		r.node.look() // the peer holds us for the owner
	}
	r.must(peer.KindNotMine, m)
}

// SessionNotice implements actions.Edge.
func (r *remote) SessionNotice(m *clusterv1.SessionNotice) { r.must(peer.KindSession, m) }

// Baseline implements actions.Edge. One that finds the queue half full is lost:
// the gateway asks again.
func (r *remote) Baseline(m pubsub.Message) {
	c := cellMessages.Get().(*cellMessage)
	c.set(&m, time.Now())
	_ = r.link.SendBulk(peer.KindCell, &c.CellMessage)
	c.Steps = nil
	cellMessages.Put(c)
}

// Messages implements pubsub.Handler.
func (r *remote) Messages(batch []pubsub.Message) {
	c := cellMessages.Get().(*cellMessage)
	now := time.Now()
	for i := range batch {
		c.set(&batch[i], now)
		r.must(peer.KindCell, &c.CellMessage)
	}
	c.Steps = nil
	cellMessages.Put(c)
}

// Digest implements pubsub.Handler.
func (r *remote) Digest(d pubsub.Digest) { r.must(peer.KindDigest, encodeDigest(&d, time.Now())) }

// Watching implements pubsub.Handler.
func (r *remote) Watching(shard world.ShardID, cell world.Cell) {
	r.must(peer.KindWatching, &clusterv1.Watching{Shard: world.ShardMessage(shard), Cell: uint64(cell)})
}

// Lost implements pubsub.Handler: the cell is confirmed once more, which makes
// the other end read it again.
func (r *remote) Lost(shard world.ShardID, cell world.Cell) { r.Watching(shard, cell) }

// watch carries out the other end's wish.
func (r *remote) watch(shard world.ShardID, cell world.Cell, watchers uint32) {
	if r.node.parts.Broker == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.subscription == nil {
		if watchers == 0 {
			return
		}
		r.subscription = r.node.parts.Broker.Subscribe(r.link.ID(), r)
	}
	r.subscription.Watch(shard, cell, watchers)
}

// forget ends what the other end watched.
func (r *remote) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.subscription != nil {
		r.subscription.Close()
		r.subscription = nil
	}
	clear(r.cells)
	r.cells = r.cells[:0]
}

// takeCell takes a cell message, or a baseline, for the gateway here.
func (r *remote) takeCell(payload []byte, waited time.Duration) error {
	c := cellMessages.Get().(*cellMessage)
	defer cellMessages.Put(c)
	c.CellMessage.Reset()
	c.shard.Reset()
	c.Shard = &c.shard
	if err := c.UnmarshalVT(payload); err != nil {
		return err
	}
	m := messageOf(&c.CellMessage, waited, time.Now())
	c.Steps = nil
	if m.Baseline {
		r.flush()
		if r.node.parts.Edge != nil {
			r.node.parts.Edge.Baseline(m)
		}
		return nil
	}
	if len(r.cells) > 0 && r.cells[0].Shard != m.Shard {
		r.flush()
	}
	r.cells = append(r.cells, m)
	return nil
}

// flush hands the collected cell messages to the bus.
func (r *remote) flush() {
	if len(r.cells) == 0 {
		return
	}
	r.node.bus.follower.messages(r.link.ID(), r.cells)
	clear(r.cells)
	r.cells = r.cells[:0]
}
