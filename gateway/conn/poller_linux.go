package conn

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/starling-vr/starling/internal/arrival"
)

const (
	// readAtOnce is what one read of one socket may bring: a connection that has
	// more to say waits for the others' turn.
	readAtOnce = 64 << 10
	// eventsAtOnce is how many sockets one wake-up may bring.
	eventsAtOnce = 256

	// epollEdge asks for one event for each change (EPOLLET): all that is ever
	// asked of a socket is asked once, and one that was read dry costs nothing
	// until it has more.
	epollEdge    = 1 << 31
	epollWatched = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | epollEdge
	watchedEpoll = syscall.EPOLLIN | epollEdge
	epollEnding  = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
)

// poller reads many sockets with one goroutine. Their epoll descriptor stands in
// another one, which the runtime's poller watches: the goroutine waits as one does
// for any socket, and takes what is ready without waiting in the kernel. While
// somebody else collects what is ready (see Upgrader.Rest) the one is taken out of
// the other, so that no socket wakes anybody. Locks are taken in the order turning,
// polled.mu, poller.mu.
type poller struct {
	options *Options
	file    *os.File // the outer epoll descriptor
	raw     syscall.RawConn
	outer   int // the same, valid while file is open
	epoll   int // that of the sockets, likewise

	turning sync.Mutex // guards what is of a turn

	mu      sync.Mutex
	slots   []*polled // by the number that an event carries
	free    []int32   // slots without a connection
	open    int
	closing []expiry // by time
	behind  bool     // the goroutine is to go on with what a collection left
	closed  bool     // no more are taken
	over    bool     // the descriptors are closed
	done    chan struct{}
	wakeUps atomic.Uint64

	// Of a turn.
	events   []syscall.EpollEvent
	turn     []wakeUp
	again    []wakeUp // had more to read than one turn brings
	receiver arrival.Receiver
	clock    arrival.Clock
	box      inbox
}

// wakeUp is what a socket has to tell.
type wakeUp struct {
	conn   *polled
	events uint32
}

// expiry is when a connection that was told to close is cut off.
type expiry struct {
	conn *polled
	at   time.Time
}

func newPoller(options *Options) (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	outer, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		_ = syscall.Close(epoll)
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(outer, true); err != nil { // else os.NewFile would not have it watched
		_, _ = syscall.Close(epoll), syscall.Close(outer)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{options: options, epoll: epoll, outer: outer, file: os.NewFile(uintptr(outer), "epoll"),
		done: make(chan struct{}), events: make([]syscall.EpollEvent, eventsAtOnce)}
	p.receiver.Buffer, p.clock = make([]byte, readAtOnce), arrival.NewClock(started)
	if err = syscall.EpollCtl(outer, syscall.EPOLL_CTL_ADD, epoll, &syscall.EpollEvent{Events: watchedEpoll}); err != nil {
		err = os.NewSyscallError("epoll_ctl", err)
	} else if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails if it is not watched
	}
	if err != nil {
		p.shut()
		return nil, err
	}
	return p, nil
}

func (p *poller) shut() {
	_ = p.file.Close()
	_ = syscall.Close(p.epoll)
}

// rest says that sockets are to wake nobody, because somebody collects; or that
// they are to again: those that are ready then do at once.
func (p *poller) rest(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.watch(!on)
	}
}

// watch has the outer descriptor tell of the sockets, or not. Called under mu.
func (p *poller) watch(on bool) {
	event := syscall.EpollEvent{}
	if on {
		// What it told before still stands in its list of what is ready, and would
		// not be told again: to ask for it strikes it out.
		var told [1]syscall.EpollEvent
		readyOf(p.outer, told[:])
		event.Events = watchedEpoll
	}
	_ = syscall.EpollCtl(p.outer, syscall.EPOLL_CTL_MOD, p.epoll, &event)
}

// add watches a connection from now on.
func (p *poller) add(c *polled) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	if last := len(p.free) - 1; last >= 0 {
		c.slot, p.free = p.free[last], p.free[:last]
	} else {
		c.slot = int32(len(p.slots))
		p.slots = append(p.slots, nil)
	}
	p.slots[c.slot] = c
	p.open++
	event := syscall.EpollEvent{Events: epollWatched, Fd: c.slot}
	if err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, int(c.fd), &event); err != nil {
		p.forget(c)
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// remove forgets a connection; closing its descriptor ends the watch.
func (p *poller) remove(c *polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(c)
	if p.closed && p.open == 0 {
		_ = p.file.SetReadDeadline(past)
	}
}

func (p *poller) forget(c *polled) {
	p.slots[c.slot] = nil
	p.free = append(p.free, c.slot)
	p.open--
}

// past is a deadline that wakes at once.
var past = time.Unix(1, 0)

// expire cuts a connection off after Options.CloseWait, or a little later: those
// that close at about the same time share a wake-up.
func (p *poller) expire(c *polled) {
	step := p.options.CloseWait/16 + 1
	at := started.Add(((time.Since(started)+p.options.CloseWait)/step + 1) * step)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = append(p.closing, expiry{c, at})
	if len(p.closing) == 1 && !p.behind {
		_ = p.file.SetReadDeadline(at)
	}
}

// close cuts off what is connected and ends the goroutine.
func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	if !p.over {
		p.watch(true)
	}
	left := slices.Clone(p.slots)
	if p.open == 0 {
		_ = p.file.SetReadDeadline(past)
	}
	p.mu.Unlock()
	for _, c := range left {
		if c != nil {
			c.abort()
		}
	}
	<-p.done
}

// run is the goroutine.
func (p *poller) run() {
	defer close(p.done)
	take := p.take
	for {
		if err := p.raw.Read(take); errors.Is(err, os.ErrDeadlineExceeded) && p.cutOff(time.Now()) {
			break
		}
	}
	p.turning.Lock()
	p.mu.Lock()
	p.over = true
	p.shut()
	p.mu.Unlock()
	p.turning.Unlock()
}

// take serves the sockets that are ready. It reports false to wait, within the
// same Read: what becomes ready after the kernel was asked wakes again.
func (p *poller) take(uintptr) bool {
	p.turning.Lock()
	defer p.turning.Unlock()
	n := readyOf(p.epoll, p.events)
	if n == 0 && len(p.again) == 0 {
		return false
	}
	p.wakeUps.Add(1)
	p.serve(p.events[:n])
	return n == len(p.events) || len(p.again) > 0 // there is more: look at the deadline, and go on
}

// turnsAtOnce bounds what one collection brings.
const turnsAtOnce = 16

// collect serves the sockets that are ready on the caller's goroutine, unless they
// are being served: its own actions may have led here.
func (p *poller) collect() {
	if !p.turning.TryLock() {
		return
	}
	defer p.turning.Unlock()
	if p.over {
		return
	}
	for range turnsAtOnce {
		n := readyOf(p.epoll, p.events)
		if n == 0 && len(p.again) == 0 {
			return
		}
		p.wakeUps.Add(1)
		p.serve(p.events[:n])
		if n < len(p.events) && len(p.again) == 0 {
			return
		}
	}
	// No socket tells again of what is left in it, so its goroutine goes on.
	p.mu.Lock()
	p.behind = true
	_ = p.file.SetReadDeadline(past)
	p.mu.Unlock()
}

// serve reads the sockets that are ready, each once.
func (p *poller) serve(events []syscall.EpollEvent) {
	turn := append(p.turn[:0], p.again...)
	p.again = p.again[:0]
	p.mu.Lock()
	for i := range events {
		if c := p.slots[events[i].Fd]; c != nil {
			turn = append(turn, wakeUp{c, events[i].Events})
		}
	}
	p.mu.Unlock()
	now := time.Now()
	p.clock.Sync(now.Sub(started))
	for _, w := range turn {
		w.conn.ready(w.events, now)
	}
	clear(turn)
	p.turn = turn
}

// cutOff ends connections whose peers did not answer a close frame in time, and
// says whether the goroutine is to end.
func (p *poller) cutOff(now time.Time) (done bool) {
	p.turning.Lock()
	defer p.turning.Unlock()
	p.mu.Lock()
	due := 0
	for due < len(p.closing) && !p.closing[due].at.After(now) {
		due++
	}
	late := append([]expiry(nil), p.closing[:due]...)
	p.closing = append(p.closing[:0:0], p.closing[due:]...)
	next := time.Time{}
	if len(p.closing) > 0 {
		next = p.closing[0].at
	}
	p.behind = false
	_ = p.file.SetReadDeadline(next)
	p.mu.Unlock()
	for _, e := range late {
		e.conn.expired()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed && p.open == 0
}
