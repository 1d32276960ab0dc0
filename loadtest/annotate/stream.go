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
	next   int
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

	mu     sync.Mutex
	more   *sync.Cond
	queue  []int // numbers of documents to send
	ending bool
	broken error
}

// Name implements Target.
func (s *Stream) Name() string { return "stream" }

// Begin implements Target.
func (s *Stream) Begin(_ context.Context, spec *Spec, answered func(int, *Answer)) error {
	s.spec, s.answer, s.lines, s.next = spec, answered, nil, 0
	for range s.connections() {
		conn, host, err := s.dial()
		if err != nil {
			return errors.Join(err, s.End())
		}
		l := &line{stream: s, conn: conn, host: host}
		l.made = prepare(spec, len(s.lines), s.connections(), spec.appendDocument)
		l.more = sync.NewCond(&l.mu)
		s.lines = append(s.lines, l)
		l.done.Go(l.write)
		l.done.Go(l.read)
	}
	return nil
}

// Send implements Target: connections take turns.
func (s *Stream) Send(from, to int) {
	for number := from; number < to; number++ {
		l := s.lines[s.next%len(s.lines)]
		s.next++
		l.mu.Lock()
		l.queue = append(l.queue, number)
		l.mu.Unlock()
	}
	for i := range min(to-from, len(s.lines)) {
		s.lines[(s.next-1-i)%len(s.lines)].more.Signal()
	}
}

// End implements Target.
func (s *Stream) End() error {
	var errs []error
	for _, l := range s.lines {
		l.mu.Lock()
		l.ending = true
		l.mu.Unlock()
		l.more.Signal()
		// The server ends its answer after the last line; who does not is cut off.
		errs = append(errs, l.conn.SetDeadline(time.Now().Add(2*time.Second)))
	}
	for _, l := range s.lines {
		l.done.Wait()
		if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
		errs = append(errs, l.broken)
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil && !l.ending {
		l.broken = err
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
		l.mu.Lock()
		for len(l.queue) == 0 && !l.ending && l.broken == nil {
			l.more.Wait()
		}
		numbers, l.queue = append(numbers[:0], l.queue...), l.queue[:0]
		ending := l.ending && len(numbers) == 0
		broken := l.broken != nil
		l.mu.Unlock()
		if broken {
			return
		}
		if ending {
			_, _ = io.WriteString(l.conn, "0\r\n\r\n")
			return
		}
		for len(numbers) > 0 {
			body = body[:0]
			for len(numbers) > 0 && len(body) < chunkSize {
				body = append(l.made.append(body, numbers[0]), '\n')
				numbers = numbers[1:]
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
		l.mu.Lock()
		l.ending = false // no way to end
		l.mu.Unlock()
		l.fail(fmt.Errorf("the server answers %s: %s", response.Status, bytes.TrimSpace(text)))
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
