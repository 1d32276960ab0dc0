package yardstick

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// server is a yardstick that serves.
type server struct {
	options Options
	began   time.Time
	world   *crowdMap
	pollers []*poller
	table   []atomic.Pointer[connection] // by descriptor
	ids     atomic.Uint64                // of sessions and entities
}

// mostFiles bounds the table of connections.
const mostFiles = 1 << 20

// Serve listens on address (host:port) and serves until ctx ends, then cuts all
// connections off. Once it listens, ready is told at which address.
func Serve(ctx context.Context, address string, options Options, ready func(address string)) error {
	if err := options.Validate(); err != nil {
		return err
	}
	options.Pollers = cmp.Or(options.Pollers, DefaultPollers)
	files := syscall.Rlimit{}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	s := &server{options: options, began: time.Now(), world: newCrowdMap(), table: make([]atomic.Pointer[connection], min(files.Cur, mostFiles))}
	listener, err := s.listen(ctx, address)
	if err != nil {
		return err
	}
	defer s.closeAll()
	var running sync.WaitGroup
	defer running.Wait()
	defer func() { // before waiting for them
		for _, p := range s.pollers {
			p.wakeUp()
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for range options.Pollers {
		p, err := newPoller(s)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		s.pollers = append(s.pollers, p)
	}
	for _, p := range s.pollers {
		running.Go(p.run)
	}
	ready(listener.Addr().String())
	err = s.accept(listener)
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(err, listener.Close())
}

// tcpCongestion is TCP_CONGESTION of tcp(7).
const tcpCongestion = 13

func (s *server) listen(ctx context.Context, address string) (*net.TCPListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if s.options.Congestion == "" {
			return nil
		}
		return raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, tcpCongestion, s.options.Congestion)
		})
	}}
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

// accept hands new connections to the pollers until the listener is closed.
func (s *server) accept(listener *net.TCPListener) error {
	for n := 0; ; n++ {
		accepted, err := listener.AcceptTCP()
		if err != nil {
			return err
		}
		fd, err := takeOver(accepted)
		switch {
		case err != nil:
			continue
		case fd >= len(s.table):
			_ = syscall.Close(fd)
			continue
		}
		c := &connection{fd: fd, generation: int32(n)}
		s.table[fd].Store(c)
		s.pollers[n%len(s.pollers)].adopt(c, nil)
	}
}

// takeOver gives a descriptor for the socket that the runtime does not poll, and
// closes c.
func takeOver(c *net.TCPConn) (fd int, err error) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var errno syscall.Errno
	err = raw.Control(func(old uintptr) {
		var r uintptr
		r, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		fd = int(r)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return fd, err
}

// closeAll cuts everybody off; the pollers have ended.
func (s *server) closeAll() {
	for i := range s.table {
		if c := s.table[i].Load(); c != nil {
			_ = syscall.Close(c.fd)
		}
	}
	for _, p := range s.pollers {
		p.close()
	}
}

// at is where all that happens in a cell is looked after: the watchers of a group
// are with one poller, who writes to them without meeting the others.
func (s *server) at(c *cell) *poller {
	const golden = 0x9e3779b97f4a7c15 // Fibonacci hashing: Knuth, TAOCP 3, section 6.4
	return s.pollers[(uint64(c.id)^c.place)*golden>>32%uint64(len(s.pollers))]
}

// microseconds since the beginning, from 1: versions of what is told.
func (s *server) microseconds() uint64 { return uint64(time.Since(s.began)/time.Microsecond) + 1 }
