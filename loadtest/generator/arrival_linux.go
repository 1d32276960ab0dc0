package generator

import (
	"os"
	"syscall"
	"unsafe"
)

// controlSize holds the one control message asked for: a header and a timespec.
const controlSize = 64

// stamped asks the kernel to note when what is received came. It is told to
// receive; where it cannot be had, receive says 0.
func stamped(fd int) { _ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1) }

// inbox is what receive needs, kept from one call to the next.
type inbox struct {
	buffer  []byte
	control [controlSize]byte
	vector  syscall.Iovec
	header  syscall.Msghdr
}

// receive reads what there is. n is 0 with no error when there is nothing now; at
// the end of the stream the error is errEnded. stamp is when the last of it
// reached this machine, in nanoseconds since 1970; 0: not known. Source:
// Documentation/networking/timestamping.rst of Linux, SO_TIMESTAMPNS.
func (b *inbox) receive(fd int) (n int, stamp int64, err error) {
	b.vector.Base = unsafe.SliceData(b.buffer)
	b.vector.SetLen(len(b.buffer))
	b.header = syscall.Msghdr{Iov: &b.vector, Iovlen: 1, Control: &b.control[0]}
	for {
		b.header.SetControllen(controlSize)
		r, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.header)), 0)
		switch errno {
		case 0:
			if r == 0 {
				return 0, 0, errEnded
			}
			return int(r), b.stamp(), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, 0, nil
		default:
			return 0, 0, os.NewSyscallError("recvmsg", errno)
		}
	}
}

func (b *inbox) stamp() int64 {
	const timespec = int(unsafe.Sizeof(syscall.Timespec{}))
	head := (*syscall.Cmsghdr)(unsafe.Pointer(&b.control[0]))
	if int(b.header.Controllen) < syscall.CmsgSpace(timespec) || head.Level != syscall.SOL_SOCKET || head.Type != syscall.SCM_TIMESTAMPNS {
		return 0
	}
	return (*syscall.Timespec)(unsafe.Pointer(&b.control[syscall.CmsgLen(0)])).Nano()
}
