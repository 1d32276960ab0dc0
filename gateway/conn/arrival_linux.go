package conn

import (
	"syscall"
	"time"
	"unsafe"
)

// stampArrivals has the kernel note when what a socket receives came. Where it
// cannot, reads say nothing of it.
func stampArrivals(fd int) {
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
}

// reception is what one read needs, kept from one to the next. It belongs to a
// poller.
type reception struct {
	buffer  []byte
	control [controlSize]byte
	vector  syscall.Iovec
	header  syscall.Msghdr
	clock   wallClock
}

// controlSize holds one control message: a header and a timespec.
const controlSize = 32

// read reads once, without waiting and without telling the scheduler. arrived is
// when the last of the bytes reached this machine, since started; now where the
// kernel does not say. Source: SO_TIMESTAMPNS in
// Documentation/networking/timestamping.rst of Linux.
func (r *reception) read(fd int, now time.Duration) (n int, arrived time.Duration, errno syscall.Errno) {
	r.vector.Base = unsafe.SliceData(r.buffer)
	r.vector.SetLen(len(r.buffer))
	r.header = syscall.Msghdr{Iov: &r.vector, Iovlen: 1, Control: &r.control[0]}
	r.header.SetControllen(controlSize)
	size, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.header)), 0)
	if errno != 0 {
		return 0, now, errno
	}
	return int(size), r.clock.since(r.stamp(), now), 0
}

// stamp is in nanoseconds since 1970; 0: there is none.
func (r *reception) stamp() int64 {
	const timespec = int(unsafe.Sizeof(syscall.Timespec{}))
	head := (*syscall.Cmsghdr)(unsafe.Pointer(&r.control[0]))
	if int(r.header.Controllen) < syscall.CmsgLen(timespec) || head.Level != syscall.SOL_SOCKET || head.Type != syscall.SCM_TIMESTAMPNS {
		return 0
	}
	return (*syscall.Timespec)(unsafe.Pointer(&r.control[syscall.CmsgLen(0)])).Nano()
}

// wallClock turns the kernel's times, which are of the day, into ours.
type wallClock struct {
	ahead  int64 // nanoseconds since 1970 at started
	synced time.Duration
}

const (
	// resync is how long the difference of the two clocks is good: they are slewed
	// by 0.05 % at most, 50 us.
	resync = 100 * time.Millisecond
	// longestUnread is the longest that bytes are believed to have waited: what
	// seems to be older was stamped by a clock that was set.
	longestUnread = time.Second
)

// sync notes how the clocks differ.
func (w *wallClock) sync(now time.Time) {
	if at := now.Sub(started); w.ahead == 0 || at-w.synced >= resync {
		w.ahead, w.synced = now.UnixNano()-int64(at), at
	}
}

// since gives a stamp as the time since started; now for what cannot be.
func (w *wallClock) since(stamp int64, now time.Duration) time.Duration {
	if at := time.Duration(stamp - w.ahead); stamp != 0 && at <= now && at >= now-longestUnread {
		return at
	}
	return now
}
