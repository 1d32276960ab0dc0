package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/internal/linkproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quick() Config {
	c := DefaultConfig()
	c.Heartbeat, c.Silence = 50*time.Millisecond, 400*time.Millisecond
	c.BackoffMin, c.BackoffMax = 5*time.Millisecond, 50*time.Millisecond
	return c
}

// end is one process: a mesh, its server, and what it heard.
type end struct {
	*Mesh
	address string

	mu      sync.Mutex
	changed chan struct{} // closed and renewed at every event
	ups     int
	downs   []error
	streams [][]uint64 // numbers received, by stream
	sizes   int
	frames  int
	receive func(Kind, []byte) error
	block   chan struct{}
}

func (e *end) event(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *end) Up(*Link) {
	e.event(func() { e.ups++; e.streams = append(e.streams, nil) })
}

func (e *end) Down(_ *Link, why error) { e.event(func() { e.downs = append(e.downs, why) }) }

func (e *end) FrameEnd(*Link) { e.event(func() { e.frames++ }) }

func (e *end) Receive(_ *Link, kind Kind, payload []byte, _ time.Duration) error {
	e.mu.Lock()
	block, receive := e.block, e.receive
	e.mu.Unlock()
	if block != nil {
		<-block
	}
	if receive != nil {
		return receive(kind, payload)
	}
	var m clusterv1.ParcelAck
	if err := m.UnmarshalVT(payload); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	last := &e.streams[len(e.streams)-1]
	*last = append(*last, m.GetNumber())
	e.sizes += len(payload)
	return nil
}

// await waits until the condition, read under the lock, holds.
func (e *end) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		e.mu.Lock()
		ok, changed := condition(), e.changed
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func newEnd(t testing.TB, id string, cfg Config) *end {
	t.Helper()
	e := &end{changed: make(chan struct{})}
	var err error
	e.Mesh, err = NewMesh(Options{Config: cfg, Handler: e, Log: slog.New(slog.DiscardHandler), Hello: &clusterv1.PeerHello{Node: id, Incarnation: 1}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.address = listener.Addr().String()
	server := grpc.NewServer(append(ServerOptions(), grpc.WaitForHandlers(true))...)
	clusterv1.RegisterPeerServer(server, e.Mesh)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		e.Close()
		server.Stop()
		serving.Wait()
	})
	return e
}

// pair joins two ends by a link that can fail.
func pair(t testing.TB, cfg Config) (a, b *end, link *linkproxy.Proxy) {
	t.Helper()
	a, b = newEnd(t, "a", cfg), newEnd(t, "b", cfg)
	link, err := linkproxy.New(b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	a.Connect([]Target{{ID: "b", Address: link.Address()}})
	b.Connect([]Target{{ID: "a", Address: a.address}}) // it waits to be called
	bothUp(t, a, b, 1)
	return a, b, link
}

func bothUp(t testing.TB, a, b *end, n int) {
	t.Helper()
	a.await(t, "a's link up", func() bool { return a.ups >= n && len(a.downs) < a.ups })
	b.await(t, "b's link up", func() bool { return b.ups >= n && len(b.downs) < b.ups })
}

// attempts tells of those to connect that failed: they are logged.
type attempts struct {
	slog.Handler
	at chan struct{}
}

func (attempts) Enabled(context.Context, slog.Level) bool { return true }

func (a attempts) Handle(context.Context, slog.Record) error {
	a.at <- struct{}{}
	return nil
}

// Guards against waiting out a back-off although the directory shows that the
// process was started again.
func TestAProcessThatStartedAgainIsConnectedToAtOnce(t *testing.T) {
	cfg := quick()
	cfg.BackoffMin, cfg.BackoffMax = time.Hour, time.Hour
	a, b := newEnd(t, "a", cfg), newEnd(t, "b", cfg)
	link, err := linkproxy.New(b.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	link.Cut()
	failed := attempts{slog.DiscardHandler, make(chan struct{}, 8)}
	a.options.Log = slog.New(failed)
	a.Connect([]Target{{ID: "b", Address: link.Address(), Incarnation: 1}})
	b.Connect([]Target{{ID: "a", Address: a.address, Incarnation: 1}})
	<-failed.at
	link.Heal()
	a.Connect([]Target{{ID: "b", Address: link.Address(), Incarnation: 2}})
	bothUp(t, a, b, 1)
}

func number(n uint64) *clusterv1.ParcelAck {
	return &clusterv1.ParcelAck{Source: &clusterv1.ShardId{Cell: 1}, Target: &clusterv1.ShardId{Cell: 2}, Number: n}
}

func TestBothWaysInOrder(t *testing.T) {
	a, b, _ := pair(t, quick())
	const n = 20000
	var senders sync.WaitGroup
	for from, to := range map[*end]string{a: "b", b: "a"} {
		senders.Go(func() {
			for i := uint64(1); i <= n; {
				if from.Link(to).Send(KindParcelAck, number(i)) == nil {
					i++
				}
			}
		})
	}
	senders.Wait()
	for _, e := range []*end{a, b} {
		e.await(t, "everything received", func() bool { return len(e.streams[0]) == n })
		for i, got := range e.streams[0] {
			if got != uint64(i+1) {
				t.Fatalf("envelope %d has number %d", i, got)
			}
		}
		if e.frames >= n {
			t.Errorf("%d envelopes came in %d frames: nothing shared a write", n, e.frames)
		}
	}
}

// Whatever is done to the link: nothing comes twice, nothing out of order, and
// within a stream nothing is missing.
func TestCutLinks(t *testing.T) {
	a, b, link := pair(t, quick())
	var sent []uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := uint64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if a.Link("b").Send(KindParcelAck, number(i)) == nil {
				sent = append(sent, i)
			}
		}
	}()
	for i := range 8 {
		b.await(t, "traffic", func() bool { return len(b.streams[len(b.streams)-1]) > 500 })
		switch i % 3 {
		case 0:
			link.Break()
		case 1:
			link.Cut()
			a.await(t, "a's end down", func() bool { return len(a.downs) > i })
			link.Heal()
		case 2:
			link.Stall()
			b.await(t, "b's end down", func() bool { return len(b.downs) > i })
			link.Heal()
		}
		bothUp(t, a, b, i+2)
	}
	close(stop)
	<-done
	// A busy machine may look like a silent peer: the link that has the last one
	// may be cut, too. So there is another last one from time to time.
	again, late := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for arrived := false; !arrived; {
		select {
		case <-again.C:
		case <-late:
			t.Fatal("the last one never came")
		}
		last := sent[len(sent)-1]
		b.event(func() {
			s := b.streams[len(b.streams)-1]
			arrived = len(s) > 0 && s[len(s)-1] == last
		})
		if !arrived && a.Link("b").Send(KindParcelAck, number(last+1)) == nil {
			sent = append(sent, last+1)
		}
	}
	checkStreams(t, sent, b.streams)
}

func checkStreams(t *testing.T, sent []uint64, streams [][]uint64) {
	t.Helper()
	next := 0
	for i, stream := range streams {
		if len(stream) == 0 {
			continue
		}
		skip := slices.Index(sent[next:], stream[0])
		if skip < 0 {
			t.Fatalf("stream %d begins with %d, which is old", i, stream[0])
		}
		next += skip
		for _, got := range stream {
			if sent[next] != got {
				t.Fatalf("stream %d: got %d, want %d", i, got, sent[next])
			}
			next++
		}
	}
}

func TestSilentLinkIsCutAtBothEnds(t *testing.T) {
	a, b, link := pair(t, quick())
	link.Stall()
	a.await(t, "a notices", func() bool { return len(a.downs) == 1 })
	b.await(t, "b notices", func() bool { return len(b.downs) == 1 })
	for _, e := range []*end{a, b} {
		if !errors.Is(e.downs[0], errSilent) {
			t.Errorf("the reason is %v", e.downs[0])
		}
	}
	if err := a.Link("b").Send(KindParcelAck, number(1)); !errors.Is(err, ErrDown) {
		t.Errorf("sending without a stream: %v", err)
	}
	link.Heal()
	bothUp(t, a, b, 2)
}

func TestIdleLinkStays(t *testing.T) {
	cfg := quick()
	cfg.Silence = 5 * time.Second // the machine may be busy
	a, b, _ := pair(t, cfg)
	wait, cancel := context.WithTimeout(context.Background(), cfg.Silence*3/2)
	defer cancel()
	<-wait.Done()
	for _, e := range []*end{a, b} {
		e.event(func() {
			if len(e.downs) != 0 {
				t.Errorf("an idle link broke: %v", e.downs)
			}
		})
	}
}

// A peer that does not read: what waits for it is bounded, and it is cut.
func TestQueueIsBounded(t *testing.T) {
	cfg := quick()
	cfg.QueueBytes, cfg.FrameBytes = 256<<10, 16<<10
	cfg.Silence = 2 * time.Second
	a, b, _ := pair(t, cfg)
	block := make(chan struct{})
	b.event(func() { b.block = block })
	cell := &clusterv1.CellMessage{Steps: make([]byte, 1000)}
	link := a.Link("b")
	accepted := 0
	for ; accepted < 20000; accepted++ {
		if err := link.Send(KindCell, cell); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	// The queue, and what gRPC's window and the sockets hold.
	if bound := (cfg.QueueBytes + 12<<20) / 1000; accepted > bound {
		t.Errorf("%d messages of 1 kB were taken for a peer that does not read", accepted)
	}
	if s := link.current.Load(); s != nil {
		s.queue.mu.Lock()
		if s.queue.bytes > cfg.QueueBytes {
			t.Errorf("%d bytes wait, the bound is %d", s.queue.bytes, cfg.QueueBytes)
		}
		s.queue.mu.Unlock()
	}
	a.await(t, "the stalled stream is cut", func() bool { return len(a.downs) > 0 })
	close(block)
}

func TestBulkLeavesRoom(t *testing.T) {
	q := newQueue(100_000, 10_000, time.Hour)
	cell := &clusterv1.CellMessage{Steps: make([]byte, 1000)}
	for q.add(KindCell, cell, 2) == nil {
	}
	if q.bytes > 50_000 {
		t.Errorf("bulk filled %d of 100000 bytes", q.bytes)
	}
	if err := q.add(KindOutcome, &clusterv1.RoutedOutcome{Session: 1}, 1); err != nil {
		t.Errorf("an outcome behind bulk: %v", err)
	}
	if dropped := q.close(); dropped < 45 {
		t.Errorf("%d dropped", dropped)
	}
	if err := q.add(KindOutcome, &clusterv1.RoutedOutcome{}, 1); !errors.Is(err, ErrDown) {
		t.Errorf("a closed queue: %v", err)
	}
}

func TestLargeMessage(t *testing.T) {
	a, b, _ := pair(t, quick())
	const size = 6 << 20 // beyond gRPC's own default bound
	b.event(func() {
		b.receive = func(_ Kind, payload []byte) error {
			b.event(func() { b.sizes += len(payload) })
			return nil
		}
	})
	if err := a.Link("b").Send(KindCell, &clusterv1.CellMessage{Steps: make([]byte, size)}); err != nil {
		t.Fatal(err)
	}
	b.await(t, "the message", func() bool { return b.sizes >= size })
}

func TestWhoAnswersIsChecked(t *testing.T) {
	a := newEnd(t, "a", quick())
	other := newEnd(t, "x", quick())
	tried, err := linkproxy.New(other.address)
	if err != nil {
		t.Fatal(err)
	}
	defer tried.Close()
	a.Connect([]Target{{ID: "b", Address: tried.Address()}})
	// x sees a stream from a, which a gives up on learning that it is not b.
	other.await(t, "a gave up", func() bool { return len(other.downs) > 1 })
	if a.Link("b") != nil || a.ups != 0 {
		t.Error("another process was taken for b")
	}
}

func TestOnlyTheLowerIDCalls(t *testing.T) {
	a, b := newEnd(t, "a", quick()), newEnd(t, "b", quick())
	conn, err := grpc.NewClient("passthrough:///"+a.address, grpc.WithTransportCredentials(a.options.Dial), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec())))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := clusterv1.NewPeerClient(conn).Exchange(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := sendHello(stream, b.options.Hello); err != nil {
		t.Fatal(err)
	}
	if _, err := receiveHello(stream); err == nil {
		t.Error("a took a call of b: there could be two streams")
	}
}

// The frames are what any protobuf library reads and writes.
func TestFramesAreProtobuf(t *testing.T) {
	b, err := appendHello(nil, &clusterv1.PeerHello{Node: "a", Roles: []string{"owner"}})
	if err != nil {
		t.Fatal(err)
	}
	m := number(300)
	if b, err = appendEnvelope(b, KindParcelAck, m, m.SizeVT()); err != nil {
		t.Fatal(err)
	}
	n := &clusterv1.NotMine{Owner: "x"}
	if b, err = appendEnvelope(b, KindNotMine, n, n.SizeVT()); err != nil {
		t.Fatal(err)
	}
	b = appendWaited(b, 1500*time.Microsecond)
	var f clusterv1.PeerFrame
	if err := f.UnmarshalVT(b); err != nil {
		t.Fatal(err)
	}
	if f.GetHello().GetNode() != "a" || f.GetWaitedUs() != 1500 || len(f.GetEnvelopes()) != 2 ||
		f.GetEnvelopes()[0].GetParcelAck().GetNumber() != 300 || f.GetEnvelopes()[1].GetNotMine().GetOwner() != "x" {
		t.Fatalf("read back: %v", &f)
	}
	data, err := f.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	p, err := parseFrame(data)
	if err != nil || p.hello == nil || p.waited != 1500*time.Microsecond {
		t.Fatalf("parsed %+v, %v", p, err)
	}
	var kinds []Kind
	if err := eachEnvelope(data, func(k Kind, _ []byte) error { kinds = append(kinds, k); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(kinds, []Kind{KindParcelAck, KindNotMine}) {
		t.Errorf("kinds %v", kinds)
	}
}

// No bytes of a peer can do worse than an error, and nothing of a frame that is
// broken as a whole is taken.
func FuzzFrame(f *testing.F) {
	m := number(7)
	b, _ := appendEnvelope(nil, KindParcelAck, m, m.SizeVT())
	f.Add(appendWaited(b, time.Second))
	f.Add(b[:len(b)-1])
	hello, _ := appendHello(nil, &clusterv1.PeerHello{Node: "a"})
	f.Add(hello)
	f.Add([]byte{0x12, 0x03, 0x08, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseFrame(data)
		if err != nil {
			return
		}
		if p.waited < 0 || p.waited > time.Hour*2 {
			t.Fatalf("waited %v", p.waited)
		}
		_ = eachEnvelope(data, func(kind Kind, payload []byte) error {
			if kind == 0 {
				t.Fatal("an empty envelope was handed on")
			}
			return nil
		})
	})
}
