package peer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// Target is a process that a link should lead to.
type Target struct {
	ID      string
	Address string // host:port
	// Incarnation is unlike that of its last run, so that a process that started
	// again is connected to at once.
	Incarnation uint64
}

// Mesh keeps the links of one process. Of each pair the process with the lower
// id connects to the other, so that there is one stream between them.
type Mesh struct {
	clusterv1.UnimplementedPeerServer
	options Options
	metrics *Metrics

	ctx     context.Context
	stop    context.CancelCauseFunc
	running sync.WaitGroup

	mu      sync.RWMutex
	links   map[string]*Link
	dialers map[string]*dialer
	closed  bool
}

// NewMesh makes a mesh without links. Register it on a gRPC server made with
// ServerOptions.
func NewMesh(o Options) (*Mesh, error) {
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if o.Dial == nil {
		o.Dial = insecure.NewCredentials()
	}
	m := &Mesh{options: o, metrics: o.Metrics.orNone(), links: map[string]*Link{}, dialers: map[string]*dialer{}}
	m.ctx, m.stop = context.WithCancelCause(context.Background())
	return m, nil
}

const (
	streamWindow     = 1 << 20
	connectionWindow = 2 << 20
	socketBuffer     = 64 << 10
)

// ServerOptions are the options that the server of a Mesh needs.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec()),
		grpc.MaxRecvMsgSize(maxFrameBytes), grpc.MaxSendMsgSize(maxFrameBytes),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(connectionWindow),
		grpc.ReadBufferSize(socketBuffer), grpc.WriteBufferSize(socketBuffer),
		grpc.MaxConcurrentStreams(64),
	}
}

// Link finds the link to a process, nil if there never was one.
func (m *Mesh) Link(id string) *Link {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.links[id]
}

// start runs f, unless the mesh is closed: then nobody would wait for it.
func (m *Mesh) start(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.running.Go(f)
	}
	return !m.closed
}

// link finds or makes the link to a process, nil if the mesh is closed.
func (m *Mesh) link(id string) *Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	l := m.links[id]
	if l == nil {
		l = &Link{mesh: m, id: id}
		m.links[id] = l
	}
	return l
}

// Connect says which processes there should be links to, now. Links to others
// stay while their stream lasts, but are not opened again.
func (m *Mesh) Connect(targets []Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	wanted := make(map[string]bool, len(targets))
	for _, t := range targets {
		if t.ID <= m.options.Hello.GetNode() {
			continue // it connects to us
		}
		wanted[t.ID] = true
		if d := m.dialers[t.ID]; d != nil {
			d.set(t)
			continue
		}
		d := &dialer{mesh: m, id: t.ID, target: t, changed: make(chan struct{}, 1), end: make(chan struct{})}
		m.dialers[t.ID] = d
		m.running.Go(d.run)
	}
	for id, d := range m.dialers {
		if !wanted[id] {
			close(d.end)
			delete(m.dialers, id)
		}
	}
}

// Exchange implements clusterv1.PeerServer: the accepting end.
func (m *Mesh) Exchange(stream grpc.BidiStreamingServer[clusterv1.PeerFrame, clusterv1.PeerFrame]) error {
	hello, err := receiveHello(stream)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if hello.GetNode() >= m.options.Hello.GetNode() {
		return status.Errorf(codes.FailedPrecondition, "%q does not connect to %q, but the other way round", hello.GetNode(), m.options.Hello.GetNode())
	}
	if err := sendHello(stream, m.options.Hello); err != nil {
		return err
	}
	l := m.link(hello.GetNode())
	if l == nil {
		return status.Error(codes.Unavailable, "closing")
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer context.AfterFunc(m.ctx, func() { cancel(errClosed) })()
	_, why := l.serve(ctx, stream, hello)
	return status.Error(codes.Unavailable, why.Error())
}

// Close cuts all links and waits until nothing of them runs. The server has to
// be stopped as well.
func (m *Mesh) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.stop(errClosed)
	m.running.Wait()
}

// dialer opens the streams to one process, again and again.
type dialer struct {
	mesh    *Mesh
	id      string
	changed chan struct{}
	end     chan struct{}

	mu     sync.Mutex
	target Target
}

func (d *dialer) set(t Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.target != t {
		d.target = t
		select {
		case d.changed <- struct{}{}:
		default:
		}
	}
}

func (d *dialer) run() {
	c := d.mesh.options.Config
	backoff := c.BackoffMin
	for {
		started := time.Now()
		err := d.once()
		select {
		case <-d.end:
			return
		case <-d.mesh.ctx.Done():
			return
		default:
		}
		d.mesh.metrics.reconnects.Inc()
		d.mesh.options.Log.Info("no stream to a peer", "peer", d.id, "error", err, "again_in", backoff)
		if time.Since(started) > c.Silence {
			backoff = c.BackoffMin
		}
		select {
		case <-d.end:
			return
		case <-d.mesh.ctx.Done():
			return
		case <-d.changed:
			backoff = c.BackoffMin
			continue
		case <-time.After(backoff/2 + rand.N(backoff/2+1)):
		}
		backoff = min(2*backoff, c.BackoffMax)
	}
}

// once connects and serves one stream.
func (d *dialer) once() error {
	m := d.mesh
	d.mu.Lock()
	address := d.target.Address
	d.mu.Unlock()
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(m.options.Dial),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithIdleTimeout(0),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow),
		grpc.WithReadBufferSize(socketBuffer), grpc.WithWriteBufferSize(socketBuffer),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec()), grpc.MaxCallRecvMsgSize(maxFrameBytes), grpc.MaxCallSendMsgSize(maxFrameBytes)))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := d.connect(conn); err != nil {
		return fmt.Errorf("connecting to %s: %w", address, err)
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	defer cancel(nil)
	stream, err := clusterv1.NewPeerClient(conn).Exchange(ctx)
	if err != nil {
		return err
	}
	hello, err := d.greet(cancel, stream)
	if err != nil {
		return err
	}
	l := m.link(d.id)
	if l == nil {
		return errClosed
	}
	ended, why := l.serve(ctx, stream, hello)
	cancel(why)
	<-ended
	return why
}

func (d *dialer) connect(conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(d.mesh.ctx, d.mesh.options.ConnectTime)
	defer cancel()
	conn.Connect()
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure, connectivity.Shutdown:
			return ErrDown
		}
		if !conn.WaitForStateChange(ctx, state) {
			return ctx.Err()
		}
	}
}

// greet exchanges hellos within the time to connect, and makes sure of who
// answers: an address can be another process's by now.
func (d *dialer) greet(cancel context.CancelCauseFunc, stream rawStream) (*clusterv1.PeerHello, error) {
	late := time.AfterFunc(d.mesh.options.ConnectTime, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	if err := sendHello(stream, d.mesh.options.Hello); err != nil {
		return nil, err
	}
	hello, err := receiveHello(stream)
	if err != nil {
		return nil, err
	}
	if hello.GetNode() != d.id {
		return nil, fmt.Errorf("%q answered in place of %q", hello.GetNode(), d.id)
	}
	return hello, nil
}
