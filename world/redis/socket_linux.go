package redis

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socket reads and writes a plain socket without telling the scheduler: the calls
// do not wait, and each that it is told of wakes the runtime's monitor thread
// where all is idle. Deadlines and waiting are those of the net.Conn within.
type socket struct {
	net.Conn
	raw        syscall.RawConn
	read, sent operation
}

// operation is one direction. call is bound once, so that nothing is allocated.
type operation struct {
	number uintptr // of the system call
	p      []byte
	n      int
	errno  syscall.Errno
	call   func(fd uintptr) (done bool)
}

// promptly gives c, or the same without detours if it is a plain socket.
func promptly(c net.Conn) net.Conn {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return c // TLS
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return c
	}
	s := &socket{Conn: c, raw: raw, read: operation{number: syscall.SYS_READ}, sent: operation{number: syscall.SYS_WRITE}}
	s.read.call, s.sent.call = s.read.once, s.sent.once
	return s
}

// once makes the call unless it would have to wait.
func (o *operation) once(fd uintptr) (done bool) {
	for {
		n, _, errno := syscall.RawSyscall(o.number, fd, uintptr(unsafe.Pointer(&o.p[0])), uintptr(len(o.p)))
		if errno == syscall.EINTR {
			continue
		}
		o.n, o.errno = int(n), errno
		if errno != 0 {
			o.n = 0
		}
		return errno != syscall.EAGAIN
	}
}

func (o *operation) end(err error, name string) (int, error) {
	o.p = nil
	switch {
	case err != nil:
		return 0, err
	case o.errno != 0:
		return 0, os.NewSyscallError(name, o.errno)
	}
	return o.n, nil
}

// Read implements net.Conn, for one goroutine at a time.
func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.read.p = p
	n, err := s.read.end(s.raw.Read(s.read.call), "read")
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write implements net.Conn, for one goroutine at a time.
func (s *socket) Write(p []byte) (written int, err error) {
	for written < len(p) {
		s.sent.p = p[written:]
		n, err := s.sent.end(s.raw.Write(s.sent.call), "write")
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}
