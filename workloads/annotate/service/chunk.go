package service

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
)

type connectionKey struct{}

// WithConnection is for http.Server.ConnContext. Streams over HTTP/1.1 then write their
// answers to the connection itself, where net/http takes two or three system calls for
// what is longer than its buffer of 4 KB. Not for servers whose handlers wrap the
// ResponseWriter in one that changes the body.
func WithConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// answersTo gives where the answers of a stream are written, each time whole, once the
// header was sent.
func answersTo(w http.ResponseWriter, q *http.Request, control *http.ResponseController) io.Writer {
	conn, ok := q.Context().Value(connectionKey{}).(net.Conn)
	if ok && q.ProtoMajor == 1 && q.ProtoMinor >= 1 { // 1.0 has no chunks
		return &chunks{conn: conn}
	}
	return &flushed{w, control}
}

// chunks writes the body of an answer in chunks (RFC 9112, 7.1), one for each Write. The
// last one is the server's.
type chunks struct {
	conn net.Conn
	room []byte
}

func (c *chunks) Write(b []byte) (int, error) {
	c.room = strconv.AppendInt(c.room[:0], int64(len(b)), 16)
	c.room = append(append(append(c.room, '\r', '\n'), b...), '\r', '\n')
	if _, err := c.conn.Write(c.room); err != nil {
		return 0, err
	}
	return len(b), nil
}

// flushed sends what was written at once.
type flushed struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (f *flushed) Write(b []byte) (int, error) {
	n, err := f.ResponseWriter.Write(b)
	if err == nil {
		err = f.control.Flush()
	}
	return n, err
}
