package yardstick

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// Constants that package syscall does not have. Sources: asm-generic/unistd.h,
// linux/prctl.h.
const (
	sysEpollPwait2  = 441
	prSetTimerSlack = 29

	eventsAtOnce = 256
	readAtOnce   = 64 << 10
	wakeIndex    = -1
	readable     = syscall.EPOLLIN | syscall.EPOLLRDHUP
)

// poller is one thread: it reads its connections and writes to those who watch.
type poller struct {
	server *server
	epoll  int
	wake   int // an eventfd: woken by it the thread ends
	events [eventsAtOnce]syscall.EpollEvent
	buffer []byte
	encoder
	queue waiting
}

func newPoller(s *server) (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		_ = syscall.Close(epoll)
		return nil, os.NewSyscallError("eventfd2", errno)
	}
	p := &poller{server: s, epoll: epoll, wake: int(wake), buffer: make([]byte, readAtOnce)}
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

func (p *poller) wakeUp() {
	one := [8]byte{1}
	_, _ = syscall.Write(p.wake, one[:])
}

func (p *poller) control(op, fd int, index, generation int32, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: index, Pad: generation}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.epoll, op, fd, &event))
}

// adopt makes a connection this poller's. The one that had it, if any, does not
// touch it afterwards.
func (p *poller) adopt(c *connection, from *poller) {
	c.mu.Lock()
	if from != nil {
		_ = syscall.EpollCtl(from.epoll, syscall.EPOLL_CTL_DEL, c.fd, nil)
	}
	c.owner.Store(p)
	err := p.control(syscall.EPOLL_CTL_ADD, c.fd, int32(c.fd), c.generation, c.events())
	c.mu.Unlock()
	if err != nil {
		p.drop(c)
	}
}

// run is the thread.
func (p *poller) run() {
	runtime.LockOSThread() // it ends with the goroutine, and with it the timer slack
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0)
	for {
		for _, e := range p.await() {
			if e.Fd == wakeIndex {
				return
			}
			c := p.server.table[e.Fd].Load()
			if c != nil && c.generation == e.Pad && c.owner.Load() == p {
				p.serve(c, e.Events)
			}
			p.flushDue()
		}
		p.flushDue()
	}
}

// await waits for sockets, at most until something is due to be written.
func (p *poller) await() []syscall.EpollEvent {
	var timeout *syscall.Timespec
	if due, ok := p.queue.next(); ok {
		until := syscall.NsecToTimespec(max(0, int64(time.Until(due))))
		timeout = &until
	}
	n, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])), eventsAtOnce, uintptr(unsafe.Pointer(timeout)), 0, 0)
	if errno != 0 { // interrupted
		return nil
	}
	return p.events[:n]
}

// serve does what a socket is ready for.
func (p *poller) serve(c *connection, events uint32) {
	if events&syscall.EPOLLOUT != 0 {
		c.drain()
	}
	if events&^syscall.EPOLLOUT == 0 {
		return
	}
	n, errno := readSocket(c.fd, p.buffer)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return
	case errno != 0 || n == 0 || !p.take(c, p.buffer[:n]):
		p.drop(c)
		return
	}
	if c.cell == nil || c.placed {
		return
	}
	c.placed = true
	if to := p.server.at(c.cell); to != p {
		to.adopt(c, p)
	}
}

// drop ends a connection; its avatar is gone with it.
func (p *poller) drop(c *connection) {
	p.server.world.leave(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	p.server.table[c.fd].Store(nil)
	_ = syscall.Close(c.fd)
}

// waiting are the connections that are to be written to, in the order in which
// the first thing for them came: that is also the order in which they are due.
type waiting struct {
	all  []due
	head int
}

type due struct {
	to *connection
	at time.Time
}

func (w *waiting) next() (at time.Time, ok bool) {
	if w.head == len(w.all) {
		return at, false
	}
	return w.all[w.head].at, true
}

func (w *waiting) add(d due) {
	if w.head > 1024 && w.head > len(w.all)/2 {
		w.all = w.all[:copy(w.all, w.all[w.head:])]
		w.head = 0
	}
	w.all = append(w.all, d)
}

// flushDue writes to those who have waited long enough.
func (p *poller) flushDue() {
	if p.queue.head == len(p.queue.all) {
		return
	}
	now := time.Now()
	for p.queue.head < len(p.queue.all) && !p.queue.all[p.queue.head].at.After(now) {
		p.queue.all[p.queue.head].to.flush()
		p.queue.all[p.queue.head] = due{}
		p.queue.head++
	}
}

func readSocket(fd int, into []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(into))), uintptr(len(into)))
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

func writeSocket(fd int, data []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)), syscall.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}
