package generator

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/starling-vr/starling/internal/arrival"
)

// Constants that package syscall does not have. Sources: linux/prctl.h,
// asm-generic/unistd.h (the number is the same on all of Go's architectures but
// mips), linux/in.h.
const (
	sysEpollPwait2       = 441
	prSetTimerSlack      = 29
	ipBindAddressNoPort  = 24
	maxEvents            = 512
	readable, writable   = syscall.EPOLLIN | syscall.EPOLLRDHUP, syscall.EPOLLOUT
	broken               = syscall.EPOLLERR | syscall.EPOLLHUP
	nonBlocking, cloExec = syscall.SOCK_NONBLOCK, syscall.SOCK_CLOEXEC
)

// poller waits for many sockets at once.
type poller struct {
	epoll  int
	wake   int // an eventfd: other goroutines wake the loop by it
	events [maxEvents]syscall.EpollEvent
	coarse bool             // the kernel has no epoll_pwait2
	brief  time.Duration    // waits that are no longer the Go runtime is not told of
	time   syscall.Timespec // of the wait; on the heap, where it stays
}

// briefly is how long a wait may be of which the runtime is not told: each that it
// is told of makes its monitor (sysmon) take the processor from the waiting thread,
// which wakes a thread twice for nothing. Until a wait ends the garbage collector
// cannot begin, so it must be short.
const briefly = time.Millisecond

// wakeIndex marks events of the eventfd.
const wakeIndex = -1

func newPoller() (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		_ = syscall.Close(epoll)
		return nil, os.NewSyscallError("eventfd2", errno)
	}
	p := &poller{epoll: epoll, wake: int(wake)}
	if runtime.GOMAXPROCS(0) > 1 { // or else nobody else could do anything meanwhile
		p.brief = briefly
	}
	if err := p.control(syscall.EPOLL_CTL_ADD, p.wake, wakeIndex, 0, syscall.EPOLLIN); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	_ = syscall.Close(p.wake)
	_ = syscall.Close(p.epoll)
}

// pinThread gives the loop a thread of its own whose timers are not rounded up:
// the default slack is 50 us.
func pinThread() (release func()) {
	runtime.LockOSThread()
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
	return func() {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 0, 0)
		runtime.UnlockOSThread()
	}
}

func (p *poller) control(op, fd int, index, generation int32, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: index, Pad: generation}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.epoll, op, fd, &event))
}

// add watches a socket. Its events bear index and generation.
func (p *poller) add(fd int, index, generation int32, write bool) error {
	return p.control(syscall.EPOLL_CTL_ADD, fd, index, generation, interest(write))
}

// change watches for room to write, or no longer.
func (p *poller) change(fd int, index, generation int32, write bool) error {
	return p.control(syscall.EPOLL_CTL_MOD, fd, index, generation, interest(write))
}

// mute watches for nothing but the end of the connection.
func (p *poller) mute(fd int, index, generation int32) error {
	return p.control(syscall.EPOLL_CTL_MOD, fd, index, generation, 0)
}

func interest(write bool) uint32 {
	if write {
		return readable | writable
	}
	return readable
}

// wait waits for events, at most so long; 0 looks only.
func (p *poller) wait(timeout time.Duration) ([]syscall.EpollEvent, error) {
	var n uintptr
	var errno syscall.Errno
	at := uintptr(unsafe.Pointer(&p.events[0]))
	switch {
	case timeout <= 0:
		n, _, errno = syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epoll), at, maxEvents, 0, 0, 0)
	case p.coarse:
		n, _, errno = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epoll), at, maxEvents, uintptr(timeout/time.Millisecond), 0, 0)
	default:
		p.time = syscall.NsecToTimespec(int64(timeout))
		call := syscall.Syscall6
		if timeout <= p.brief {
			call = syscall.RawSyscall6
		}
		n, _, errno = call(sysEpollPwait2, uintptr(p.epoll), at, maxEvents, uintptr(unsafe.Pointer(&p.time)), 0, 0)
		if errno == syscall.ENOSYS { // before Linux 5.11: whole milliseconds, the rest is spun
			p.coarse = true
			return nil, nil
		}
	}
	switch errno {
	case 0:
		return p.events[:n], nil
	case syscall.EINTR:
		return nil, nil
	}
	return nil, os.NewSyscallError("epoll_pwait2", errno)
}

// rest sleeps. Nothing ends it, and so nothing that comes meanwhile has to.
func (p *poller) rest(d time.Duration) {
	p.time = syscall.NsecToTimespec(int64(d))
	call := syscall.Syscall
	if d <= p.brief {
		call = syscall.RawSyscall
	}
	_, _, _ = call(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&p.time)), 0, 0)
}

// Wake ends a wait; from any goroutine.
func (p *poller) wakeUp() {
	one := [8]byte{1}
	_, _ = syscall.Write(p.wake, one[:])
}

func (p *poller) woken() {
	var count [8]byte
	_, _ = syscall.Read(p.wake, count[:])
}

// dial starts to connect. source, if valid, is the address to connect from.
func dial(to netip.AddrPort, source netip.Addr) (fd int, err error) {
	family := syscall.AF_INET
	if to.Addr().Is6() {
		family = syscall.AF_INET6
	}
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM|nonBlocking|cloExec, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(fd)
		}
	}()
	if err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)); err != nil {
		return -1, err
	}
	arrival.Stamp(fd)
	if source.IsValid() {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
		if err = os.NewSyscallError("bind", syscall.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0)))); err != nil {
			return -1, err
		}
	}
	switch err = syscall.Connect(fd, sockaddr(to)); {
	case err == nil || errors.Is(err, syscall.EINPROGRESS):
		return fd, nil
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = fmt.Errorf("connect: %w: no ephemeral port is left for this source address; widen net.ipv4.ip_local_port_range", err)
		return -1, err
	}
	err = os.NewSyscallError("connect", err)
	return -1, err
}

func sockaddr(a netip.AddrPort) syscall.Sockaddr {
	if a.Addr().Is4() {
		return &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// connected tells how a connect ended.
func connected(fd int) error {
	errno, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if errno != 0 {
		return os.NewSyscallError("connect", syscall.Errno(errno))
	}
	return nil
}

// receive reads what there is. n is 0 with no error when there is nothing now; at
// the end of the stream the error is errEnded. stamp is that of arrival.Receiver.
func receive(r *arrival.Receiver, fd int) (n int, stamp int64, err error) {
	n, stamp, errno := r.Receive(fd)
	switch {
	case errno == syscall.EAGAIN:
		return 0, 0, nil
	case errno != 0:
		return 0, 0, os.NewSyscallError("recvmsg", errno)
	case n == 0:
		return 0, 0, errEnded
	}
	return n, stamp, nil
}

// write writes what the socket takes.
func write(fd int, data []byte) (n int, err error) {
	for {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(r), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("write", errno)
		}
	}
}

func closeSocket(fd int) { _ = syscall.Close(fd) }
