package conn

import (
	"net"
	"sync"
	"syscall"
	"unsafe"
)

// newWriter chooses how to write: straight into the socket where it is a plain
// one, by a goroutine of its own otherwise (TLS).
func newWriter(c net.Conn, socketBuffer int) writer {
	if sized, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
		_ = sized.SetWriteBuffer(socketBuffer)
	}
	if plain, ok := c.(syscall.Conn); ok {
		if raw, err := plain.SyscallConn(); err == nil {
			return rawWriter{raw}
		}
	}
	return &bufferedWriter{conn: c, limit: socketBuffer}
}

// maxGather is how many buffers one system call takes (IOV_MAX).
const maxGather = 1024

// rawWriter writes with writev, without ever waiting and without allocating.
type rawWriter struct{ raw syscall.RawConn }

func (w rawWriter) write(frames [][]byte) (n int, err error) {
	g := gathers.Get().(*gather)
	defer g.release()
	for len(frames) > 0 {
		part := frames[:min(len(frames), maxGather)]
		size := g.load(part)
		if err := w.raw.Write(g.call); err != nil {
			return n, err
		}
		if g.errno != 0 && g.errno != syscall.EAGAIN {
			return n, g.errno
		}
		n += g.written
		if g.written < size {
			return n, nil
		}
		frames = frames[len(part):]
	}
	return n, nil
}

func (w rawWriter) drain(rest []byte, progress func()) error {
	var fatal error
	err := w.raw.Write(func(fd uintptr) bool {
		for len(rest) > 0 {
			n, err := syscall.Write(int(fd), rest)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				return false
			case err != nil:
				fatal = err
				return true
			}
			progress()
			rest = rest[n:]
		}
		return true
	})
	if err != nil {
		return err
	}
	return fatal
}

// gather is one system call's arguments. call is bound once, so that a write
// allocates nothing.
type gather struct {
	vectors []syscall.Iovec
	written int
	errno   syscall.Errno
	call    func(fd uintptr) bool
}

var gathers = sync.Pool{New: func() any {
	g := &gather{vectors: make([]syscall.Iovec, 0, 16)}
	g.call = g.writev
	return g
}}

func (g *gather) load(frames [][]byte) (size int) {
	g.vectors = g.vectors[:0]
	for _, frame := range frames {
		if len(frame) == 0 {
			continue
		}
		vector := syscall.Iovec{Base: &frame[0]}
		vector.SetLen(len(frame))
		g.vectors = append(g.vectors, vector)
		size += len(frame)
	}
	return size
}

func (g *gather) writev(fd uintptr) bool {
	g.written, g.errno = 0, 0
	if len(g.vectors) == 0 {
		return true
	}
	for {
		n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&g.vectors[0])), uintptr(len(g.vectors)))
		if errno == syscall.EINTR {
			continue
		}
		if errno == 0 {
			g.written = int(n)
		}
		g.errno = errno
		return true // never wait
	}
}

func (g *gather) release() {
	clear(g.vectors)
	gathers.Put(g)
}
