package arrival

import (
	"syscall"
	"unsafe"
)

// controlSize holds the one control message asked for: a header and a timespec.
const controlSize = 32

// Stamp asks the kernel to note when what the socket receives came. Where it
// cannot, Receive gives no stamps.
func Stamp(fd int) {
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
}

// Receiver reads sockets into one buffer. It is kept from one read to the next,
// so that nothing is allocated, and belongs to one goroutine.
type Receiver struct {
	Buffer  []byte
	control [controlSize]byte
	vector  syscall.Iovec
	header  syscall.Msghdr
}

// Receive reads once, up to the whole of Buffer, without telling Go's scheduler:
// the socket must not block. stamp is when the last of the bytes reached this
// machine, in nanoseconds since 1970; 0: not known. At the end of the stream n
// and errno are 0; the errors are those of recvmsg(2), EAGAIN if there is nothing
// now. Source: SO_TIMESTAMPNS in Documentation/networking/timestamping.rst of Linux.
func (r *Receiver) Receive(fd int) (n int, stamp int64, errno syscall.Errno) {
	r.vector.Base = unsafe.SliceData(r.Buffer)
	r.vector.SetLen(len(r.Buffer))
	r.header = syscall.Msghdr{Iov: &r.vector, Iovlen: 1, Control: &r.control[0]}
	for {
		r.header.SetControllen(controlSize)
		size, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.header)), 0)
		switch errno {
		case 0:
			return int(size), r.stamp(), 0
		case syscall.EINTR:
		default:
			return 0, 0, errno
		}
	}
}

func (r *Receiver) stamp() int64 {
	const timespec = int(unsafe.Sizeof(syscall.Timespec{}))
	head := (*syscall.Cmsghdr)(unsafe.Pointer(&r.control[0]))
	if int(r.header.Controllen) < syscall.CmsgLen(timespec) || head.Level != syscall.SOL_SOCKET || head.Type != syscall.SCM_TIMESTAMPNS {
		return 0
	}
	return (*syscall.Timespec)(unsafe.Pointer(&r.control[syscall.CmsgLen(0)])).Nano()
}
