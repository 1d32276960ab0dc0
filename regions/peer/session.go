package peer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// rawStream is what both ends of a gRPC stream have.
type rawStream interface {
	SendMsg(any) error
	RecvMsg(any) error
}

// session is one open stream of a link: it lives from hello to break.
type session struct {
	link   *Link
	stream rawStream
	peer   *clusterv1.PeerHello
	queue  *queue

	generation uint64

	ctx      context.Context
	cut      context.CancelCauseFunc
	received atomic.Uint64 // frames, for the watch over silence
}

var (
	errSilent   = errors.New("nothing came for too long")
	errStalled  = errors.New("nothing could be sent for too long")
	errReplaced = errors.New("the peer opened another stream")
	errClosed   = errors.New("closed")
)

func newSession(ctx context.Context, l *Link, stream rawStream, hello *clusterv1.PeerHello) *session {
	c := l.mesh.options.Config
	s := &session{link: l, stream: stream, peer: hello, generation: l.streams, queue: newQueue(c.QueueBytes, c.FrameBytes, c.QueueAge)}
	s.ctx, s.cut = context.WithCancelCause(ctx)
	return s
}

// sendHello writes the first frame.
func sendHello(stream rawStream, hello *clusterv1.PeerHello) error {
	b := framePool.Get(0)
	data, err := appendHello(*b, hello)
	if err != nil {
		return err
	}
	*b = data
	return stream.SendMsg(&frame{out: b})
}

// receiveHello reads the first frame.
func receiveHello(stream rawStream) (*clusterv1.PeerHello, error) {
	var f frame
	if err := stream.RecvMsg(&f); err != nil {
		return nil, err
	}
	defer f.in.Free()
	p, err := parseFrame(f.in.ReadOnlyData())
	if err != nil {
		return nil, err
	}
	if p.hello == nil {
		return nil, &protocolError{"the first frame has no hello"}
	}
	hello := new(clusterv1.PeerHello)
	if err := hello.UnmarshalVT(p.hello); err != nil {
		return nil, &protocolError{"hello: " + err.Error()}
	}
	if hello.GetNode() == "" {
		return nil, &protocolError{"hello without a node"}
	}
	return hello, nil
}

// read takes frames until the stream ends.
func (s *session) read() error {
	m := s.link.mesh
	for {
		var f frame
		if err := s.stream.RecvMsg(&f); err != nil {
			return err
		}
		s.received.Add(1)
		err := s.dispatch(f.in.ReadOnlyData(), m)
		f.in.Free()
		if err != nil {
			return err
		}
	}
}

func (s *session) dispatch(data []byte, m *Mesh) error {
	if len(data) == 0 {
		return nil // a heartbeat
	}
	p, err := parseFrame(data)
	if err != nil {
		return err
	}
	count := 0
	err = eachEnvelope(data, func(kind Kind, payload []byte) error {
		count++
		if err := m.options.Handler.Receive(s.link, kind, payload, p.waited); err != nil {
			return &protocolError{fmt.Sprintf("envelope of kind %d: %v", kind, err)}
		}
		return nil
	})
	m.options.Handler.FrameEnd(s.link)
	m.metrics.received(count, len(data))
	return err
}

// write sends what waits, and heartbeats, until the session is cut.
func (s *session) write() {
	m := s.link.mesh
	beat := time.NewTimer(m.options.Heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-s.ctx.Done():
			return
		case <-s.queue.wake:
			// Whoever is about to send more gets the chance to do so first.
			runtime.Gosched()
			err = s.drain()
		case <-beat.C:
			err = s.stream.SendMsg(&frame{})
		}
		if err != nil {
			s.cut(err)
			return
		}
		beat.Reset(m.options.Heartbeat)
	}
}

func (s *session) drain() error {
	for {
		w, ok := s.queue.take()
		if !ok {
			return nil
		}
		waited := time.Since(w.since)
		*w.data = appendWaited(*w.data, waited)
		s.link.mesh.metrics.sent(w.envelopes, len(*w.data), waited)
		if err := s.stream.SendMsg(&frame{out: w.data}); err != nil {
			return err
		}
	}
}

// watch cuts the session when the peer has been silent or has not read for too
// long. It counts its own ticks, so that a pause of this process is not taken
// for the peer's silence.
func (s *session) watch() {
	c := s.link.mesh.options.Config
	tick := time.NewTicker(c.Silence / 8)
	defer tick.Stop()
	var seen uint64
	silent, stalled := 0, 0
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		silent, stalled = silent+1, stalled+1
		if now := s.received.Load(); now != seen {
			seen, silent = now, 0
		}
		if s.queue.oldest() < c.Silence/8 {
			stalled = 0
		}
		switch {
		case silent > 8:
			s.cut(errSilent)
		case stalled > 8:
			s.cut(errStalled)
		}
	}
}
