package conn

import (
	"net"
	"sync"
)

// bufferedWriter serves connections without a plain socket (TLS, other
// systems): writes go through a buffer that a goroutine empties while there is
// something in it. The buffer stands for the kernel's: when it has reached its
// limit the connection is full.
type bufferedWriter struct {
	conn  net.Conn
	limit int

	mu    sync.Mutex
	buf   []byte
	spare []byte
	idle  chan struct{} // closed when the goroutine ends; nil when there is none
	err   error
}

func (w *bufferedWriter) write(frames [][]byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	if len(w.buf) >= w.limit {
		return 0, nil
	}
	for _, frame := range frames {
		w.buf = append(w.buf, frame...)
		n += len(frame)
	}
	if w.idle == nil && n > 0 {
		w.idle = make(chan struct{})
		go w.empty(w.idle)
	}
	return n, nil
}

func (w *bufferedWriter) empty(idle chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.buf) > 0 && w.err == nil {
		out := w.buf
		w.buf = w.spare[:0]
		w.mu.Unlock()
		_, err := w.conn.Write(out)
		w.mu.Lock()
		w.spare, w.err = out, err
	}
	w.spare = nil // idle connections hold no buffer
	w.buf = nil
	w.idle = nil
	close(idle)
}

func (w *bufferedWriter) drain(rest []byte, progress func()) error {
	for {
		w.mu.Lock()
		idle, err := w.idle, w.err
		w.mu.Unlock()
		if err != nil {
			return err
		}
		if idle == nil {
			break
		}
		<-idle
		progress()
	}
	if len(rest) == 0 {
		return nil
	}
	_, err := w.conn.Write(rest)
	progress()
	return err
}
