// Package peer joins the processes of Starling by one stream per pair: whatever
// one has to say to another goes through it, in order, many envelopes to a
// write.
//
// A link promises order and no duplicates as long as a stream lasts. When it
// breaks, what was under way is lost, and both sides are told (Handler.Down):
// what must not be lost is sent again by those who know (gateways their
// actions, owners their outboxes). Nothing is queued while there is no stream.
package peer

import (
	"context"
	"sync"
	"sync/atomic"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// Link is this process's end of the connection to one other process. It
// outlives the streams that carry it. The zero Link is one that never has a
// stream.
type Link struct {
	mesh    *Mesh
	id      string
	current atomic.Pointer[session]
	serving sync.Mutex // held while a stream is served: the next one waits for it
	streams uint64     // so far; guarded by serving

	// Value is for the handler's own use, set in Up at the first time.
	Value any
}

// ID names the process at the other end.
func (l *Link) ID() string { return l.id }

// Up says whether a stream is open.
func (l *Link) Up() bool { return l.current.Load() != nil }

// Generation numbers the streams of the link, from 1; 0: none is open.
func (l *Link) Generation() uint64 {
	if s := l.current.Load(); s != nil {
		return s.generation
	}
	return 0
}

// Peer is what the other process said of itself, nil while there is no stream.
func (l *Link) Peer() *clusterv1.PeerHello {
	if s := l.current.Load(); s != nil {
		return s.peer
	}
	return nil
}

// Send encodes m and queues it. The message is the caller's again on return.
// Errors are ErrDown and ErrFull: then the peer will not get it.
func (l *Link) Send(kind Kind, m Message) error { return l.send(kind, m, 1) }

// SendBulk is Send for what is large and can be asked for again: it leaves half
// of the queue to everything else.
func (l *Link) SendBulk(kind Kind, m Message) error { return l.send(kind, m, 2) }

// Cut breaks the stream, because the peer missed something that it must not
// miss: both sides start again from Up.
func (l *Link) Cut(why error) {
	if s := l.current.Load(); s != nil {
		s.cut(why)
	}
}

func (l *Link) send(kind Kind, m Message, share int) error {
	s := l.current.Load()
	if s == nil {
		if l.mesh != nil { // not the zero Link, which has no stream ever
			l.mesh.metrics.refused.down.Inc()
		}
		return ErrDown
	}
	err := s.queue.add(kind, m, share)
	switch err {
	case nil:
	case ErrDown:
		l.mesh.metrics.refused.down.Inc()
	default:
		l.mesh.metrics.refused.full.Inc()
	}
	return err
}

// serve runs a stream until it breaks. It returns as soon as that is decided;
// ended is closed when nothing of it runs any more (which, at the accepting
// end, needs the return).
func (l *Link) serve(ctx context.Context, stream rawStream, hello *clusterv1.PeerHello) (ended <-chan struct{}, why error) {
	if old := l.current.Load(); old != nil {
		old.cut(errReplaced)
	}
	done := make(chan struct{})
	l.serving.Lock()
	l.streams++
	s := newSession(ctx, l, stream, hello)
	m := l.mesh
	started := m.start(func() {
		defer close(done)
		defer l.serving.Unlock()
		l.current.Store(s)
		m.metrics.up.Inc()
		m.options.Handler.Up(l)
		var parts sync.WaitGroup
		parts.Go(s.write)
		parts.Go(s.watch)
		s.cut(s.read())
		l.current.Store(nil)
		dropped := s.queue.close()
		parts.Wait()
		m.metrics.up.Dec()
		m.metrics.lost.Add(float64(dropped))
		m.options.Handler.Down(l, context.Cause(s.ctx))
	})
	if !started {
		l.serving.Unlock()
		s.cut(errClosed)
		close(done)
	}
	<-s.ctx.Done()
	return done, context.Cause(s.ctx)
}
