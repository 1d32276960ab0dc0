package annotate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/starling-vr/starling/loadtest/generator"
)

// Meter tells what a server uses.
type Meter interface {
	Usage(context.Context) (generator.Usage, error)
}

// Stream drives a Door with documents as NDJSON: each connection is one request that
// lasts as long as the run.
type Stream struct {
	Door

	lines  []*line
	turns  turns
	answer func(int, *Answer)
	spec   *Spec
}

// line is a connection.
type line struct {
	stream *Stream
	conn   net.Conn
	host   string
	done   sync.WaitGroup
	made   prepared
	outbox *outbox
}

// Name implements Target.
func (s *Stream) Name() string { return "stream" }

// Begin implements Target.
func (s *Stream) Begin(_ context.Context, spec *Spec, answered func(int, *Answer)) error {
	s.spec, s.answer, s.lines, s.turns = spec, answered, nil, turns{}
	for range s.connections() {
		conn, host, err := s.dial()
		if err != nil {
			return errors.Join(err, s.End())
		}
		l := &line{stream: s, conn: conn, host: host, outbox: newOutbox()}
		l.made = prepare(spec, len(s.lines), s.connections(), spec.appendDocument)
		s.lines = append(s.lines, l)
		s.turns.of = append(s.turns.of, l.outbox)
		l.done.Go(l.write)
		l.done.Go(l.read)
	}
	return nil
}

// Send implements Target: connections take turns.
func (s *Stream) Send(from, to int) { s.turns.send(from, to) }

// End implements Target.
func (s *Stream) End() error {
	var errs []error
	for _, l := range s.lines {
		l.outbox.end()
		// The server ends its answer after the last line; who does not is cut off.
		errs = append(errs, l.conn.SetDeadline(time.Now().Add(2*time.Second)))
	}
	for _, l := range s.lines {
		l.done.Wait()
		if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
		errs = append(errs, l.outbox.err())
	}
	s.lines = nil
	return errors.Join(errs...)
}

// Usage implements Target.
func (s *Stream) Usage(ctx context.Context) (Usage, error) { return s.Door.usage(ctx) }

func (d *Door) usage(ctx context.Context) (Usage, error) {
	if d.Meter == nil {
		return Usage{}, nil
	}
	u, err := d.Meter.Usage(ctx)
	usage := Usage{Usage: u}
	if u.Reserved != nil {
		cores := 0.0
		for _, class := range u.Classes {
			cores += class.ReservedCoreS
		}
		usage.ReservedCores = &cores
	}
	return usage, err
}

// fail notes why the connection is of no more use. What was sent on it is lost.
func (l *line) fail(err error) {
	if l.outbox.fail(err) {
		_ = l.conn.Close()
	}
}

// chunkSize is about how much is written at once.
const chunkSize = 32 << 10

// write sends the request, and documents as they come, in chunks of what waits.
func (l *line) write() {
	s := l.stream
	header := s.appendHeader(nil, l.host, "application/x-ndjson")
	if _, err := l.conn.Write(append(header, "Transfer-Encoding: chunked\r\n\r\n"...)); err != nil {
		l.fail(err)
		return
	}
	var numbers []int
	var body, chunk []byte
	for {
		var open bool
		if numbers, open = l.outbox.take(numbers); !open {
			return
		}
		if len(numbers) == 0 {
			_, _ = io.WriteString(l.conn, "0\r\n\r\n")
			return
		}
		for sent := 0; sent < len(numbers); {
			body = body[:0]
			for ; sent < len(numbers) && len(body) < chunkSize; sent++ {
				body = append(l.made.append(body, numbers[sent]), '\n')
			}
			chunk = strconv.AppendInt(chunk[:0], int64(len(body)), 16)
			chunk = append(append(append(chunk, '\r', '\n'), body...), '\r', '\n')
			if _, err := l.conn.Write(chunk); err != nil {
				l.fail(fmt.Errorf("the server took no more documents: %w", err))
				return
			}
		}
	}
}

// read takes the answers.
func (l *line) read() {
	in := bufio.NewReaderSize(l.conn, 64<<10)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		l.fail(fmt.Errorf("no answer: %w", err))
		return
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		l.outbox.refuse(fmt.Errorf("the server answers %s: %s", response.Status, bytes.TrimSpace(text)))
		_ = l.conn.Close()
		return
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(make([]byte, 64<<10), 64<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		number, a, err := readAnswer(lines.Bytes())
		if err != nil {
			l.fail(err)
			return
		}
		l.stream.answer(number, &a)
	}
	if err := lines.Err(); err != nil {
		l.fail(fmt.Errorf("the answers end: %w", err))
		return
	}
	l.fail(errors.New("the server ended its answers before the documents ended"))
}
