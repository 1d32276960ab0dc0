package annotate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Requests drives a Door with a request for each document, on connections that are
// kept. A document waits for a connection that is free; that is part of its latency.
type Requests struct {
	Door

	spec    *Spec
	answer  func(int, *Answer)
	numbers chan int
	done    sync.WaitGroup
	stop    chan struct{}

	mu     sync.Mutex
	conns  []net.Conn
	broken error
}

// most documents that may wait for a connection.
const mostWaiting = 1 << 20

// Name implements Target.
func (r *Requests) Name() string { return "request" }

// Begin implements Target.
func (r *Requests) Begin(_ context.Context, spec *Spec, answered func(int, *Answer)) error {
	r.spec, r.answer = spec, answered
	r.numbers, r.stop, r.broken, r.conns = make(chan int, mostWaiting), make(chan struct{}), nil, nil
	for range r.connections() {
		conn, host, err := r.dial()
		if err != nil {
			return errors.Join(err, r.End())
		}
		r.conns = append(r.conns, conn)
		r.done.Go(func() {
			if err := r.serve(conn, host); err != nil {
				r.fail(err)
			}
		})
	}
	return nil
}

// Send implements Target.
func (r *Requests) Send(from, to int) {
	for number := from; number < to; number++ {
		select {
		case r.numbers <- number:
		default: // never answered: lost
		}
	}
}

// End implements Target.
func (r *Requests) End() error {
	close(r.stop)
	for _, conn := range r.conns {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
	}
	r.done.Wait()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken
}

// Usage implements Target.
func (r *Requests) Usage(ctx context.Context) (Usage, error) { return r.Door.usage(ctx) }

func (r *Requests) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.stop:
	default:
		if r.broken == nil {
			r.broken = err
		}
	}
}

// serve sends documents one after another over a connection.
func (r *Requests) serve(conn net.Conn, host string) error {
	in := bufio.NewReaderSize(conn, 32<<10)
	var body, request, answer []byte
	for {
		var number int
		select {
		case <-r.stop:
			return nil
		case number = <-r.numbers:
		}
		body = r.spec.appendDocument(body[:0], number)
		request = r.appendHeader(request[:0], host, "application/json")
		request = append(request, "Content-Length: "...)
		request = strconv.AppendInt(request, int64(len(body)), 10)
		request = append(append(request, "\r\n\r\n"...), body...)
		if _, err := conn.Write(request); err != nil {
			return err
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		answer, err = readAll(response.Body, answer[:0])
		if err != nil {
			return err
		}
		got, a, err := readAnswer(answer)
		if err != nil {
			return fmt.Errorf("%s: %w", response.Status, err)
		}
		if got != number {
			return fmt.Errorf("the answer is for document %d, asked was %d", got, number)
		}
		r.answer(number, &a)
		if response.Close {
			return errors.New("the server closes the connection after an answer")
		}
	}
}

func readAll(body io.ReadCloser, dst []byte) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, body.Close()
		}
		if err != nil {
			return dst, err
		}
	}
}
