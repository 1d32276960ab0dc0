package annotate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	annotatev1 "github.com/starling-vr/starling/api/annotate/v1"
)

// GRPC drives a Door with a stream of documents on each connection, the method
// AnnotateStream of starling.annotate.v1.Annotation.
type GRPC struct {
	Door

	spec   *Spec
	answer func(int, *Answer)
	calls  []*call
	turns  turns
}

// call is a connection with its stream.
type call struct {
	target *GRPC
	conn   *grpc.ClientConn
	stream grpc.ClientStream
	cancel context.CancelFunc
	done   sync.WaitGroup
	made   prepared
	outbox *outbox
}

// Name implements Target.
func (g *GRPC) Name() string { return "grpc" }

// Begin implements Target.
func (g *GRPC) Begin(ctx context.Context, spec *Spec, answered func(int, *Answer)) error {
	g.spec, g.answer, g.calls, g.turns = spec, answered, nil, turns{}
	for range g.connections() {
		c, err := g.open(ctx)
		if err != nil {
			return errors.Join(err, g.End())
		}
		c.made = prepare(spec, len(g.calls), g.connections(), spec.appendRequest)
		g.calls = append(g.calls, c)
		g.turns.of = append(g.turns.of, c.outbox)
		c.done.Go(c.write)
		c.done.Go(c.read)
	}
	return nil
}

// open makes a connection of its own and begins a stream on it.
func (g *GRPC) open(ctx context.Context) (*call, error) {
	u, err := url.Parse(g.URL)
	if err != nil {
		return nil, err
	}
	host, security := u.Host, insecure.NewCredentials()
	if u.Scheme == "https" || u.Scheme == "wss" {
		security = credentials.NewTLS(&tls.Config{ServerName: u.Hostname()})
		if u.Port() == "" {
			host = net.JoinHostPort(u.Hostname(), "443")
		}
	}
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(security), grpc.WithDefaultCallOptions(
		grpc.ForceCodecV2(wireCodec{}), grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		return nil, err
	}
	c := &call{target: g, conn: conn, outbox: newOutbox()}
	ctx, c.cancel = context.WithCancel(ctx)
	if g.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+g.Token)
	}
	description := &grpc.StreamDesc{StreamName: "AnnotateStream", ServerStreams: true, ClientStreams: true}
	if c.stream, err = conn.NewStream(ctx, description, annotatev1.Annotation_AnnotateStream_FullMethodName); err != nil {
		c.cancel()
		return nil, errors.Join(fmt.Errorf("no stream: %w", err), conn.Close())
	}
	return c, nil
}

// Send implements Target: connections take turns.
func (g *GRPC) Send(from, to int) { g.turns.send(from, to) }

// End implements Target. The server ends its answers after the last document; who does
// not is cut off.
func (g *GRPC) End() error {
	var errs []error
	for _, c := range g.calls {
		c.outbox.end()
	}
	cut := time.AfterFunc(2*time.Second, func() {
		for _, c := range g.calls {
			c.cancel()
		}
	})
	for _, c := range g.calls {
		c.done.Wait()
		c.cancel()
		errs = append(errs, c.outbox.err(), c.conn.Close())
	}
	cut.Stop()
	g.calls = nil
	return errors.Join(errs...)
}

// Usage implements Target.
func (g *GRPC) Usage(ctx context.Context) (Usage, error) { return g.Door.usage(ctx) }

// fail notes why the stream is of no more use.
func (c *call) fail(err error) {
	if c.outbox.fail(err) {
		c.cancel()
	}
}

// write sends documents as they come.
func (c *call) write() {
	var numbers []int
	for {
		var open bool
		if numbers, open = c.outbox.take(numbers); !open {
			return
		}
		if len(numbers) == 0 {
			_ = c.stream.CloseSend()
			return
		}
		for _, number := range numbers {
			// gRPC keeps what it sends until it is written.
			message := wireMessage(c.made.append(nil, number))
			if err := c.stream.SendMsg(message); err != nil {
				if !errors.Is(err, io.EOF) { // else read says why
					c.fail(fmt.Errorf("the server took no more documents: %w", err))
				}
				return
			}
		}
	}
}

// read takes the answers.
func (c *call) read() {
	var fate wireFate
	for {
		if err := c.stream.RecvMsg(&fate); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the server ended its answers before the documents ended")
			}
			c.fail(fmt.Errorf("the answers end: %w", err))
			return
		}
		number, err := strconv.Atoi(fate.id)
		if err != nil {
			c.fail(fmt.Errorf("an answer without the id of a document: %.200q", fate.id))
			return
		}
		c.target.answer(number, &fate.answer)
	}
}
