package conn

import (
	"net"
	"syscall"
	"unsafe"
)

// The calls below never wait, so the scheduler is not told of them: it would
// look for another thread to go on with meanwhile.

// readyOf gives the events that there are, without waiting for any.
func readyOf(epoll int, events []syscall.EpollEvent) (n int) {
	for {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		switch errno {
		case 0:
			return int(r)
		case syscall.EINTR:
			continue
		}
		return 0
	}
}

// gathered is how many buffers one system call writes at most.
const gatheredAtOnce = 64

// writeSocket writes what fits of frames: n bytes. An error other than a full
// socket is final.
func writeSocket(fd int, frames [][]byte) (n int, errno syscall.Errno) {
	for len(frames) > 0 {
		part := frames[:min(len(frames), gatheredAtOnce)]
		written, size, errno := writeGathered(fd, part)
		if errno != 0 && errno != syscall.EAGAIN {
			return n, errno
		}
		n += written
		if written < size {
			return n, 0
		}
		frames = frames[len(part):]
	}
	return n, 0
}

func writeGathered(fd int, frames [][]byte) (written, size int, errno syscall.Errno) {
	var vectors [gatheredAtOnce]syscall.Iovec
	count := 0
	for _, frame := range frames {
		if len(frame) > 0 {
			vectors[count].Base = &frame[0]
			vectors[count].SetLen(len(frame))
			size += len(frame)
			count++
		}
	}
	if count == 0 {
		return 0, 0, 0
	}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vectors[0])), uintptr(count))
		switch errno {
		case 0:
			return int(n), size, 0
		case syscall.EINTR:
			continue
		}
		return 0, size, errno
	}
}

// takeOver gives a descriptor for c's socket that neither net nor the runtime
// knows of, and closes c.
func takeOver(c *net.TCPConn) (fd int, err error) {
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
	_ = c.Close()
	return fd, err
}
