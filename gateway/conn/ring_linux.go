package conn

import (
	"bytes"
	"math"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring sends to many sockets with one system call (io_uring). Each send is one
// that does not wait, so it is over when the call returns. Sources: io_uring(7),
// io_uring_setup(2), io_uring_enter(2).
//
// To write to 40 loopback sockets took half the processor time of 40 calls of
// writev, to 8 two thirds (a virtual machine under two hypervisors).
type ring struct {
	fd          int
	queues      []byte // both rings
	submissions []byte
	tail, mask  *uint32
	array       unsafe.Pointer
	completions struct {
		head, tail, mask *uint32
		entries          unsafe.Pointer
	}

	count    int // of what was added
	messages [ringSize]unix.Msghdr
	vectors  [4 * ringSize]unix.Iovec
	used     int // of vectors
	results  [ringSize]int32
}

const (
	// ringSize is how many sends one call makes.
	ringSize = 64

	opSendMessage    = 9      // IORING_OP_SENDMSG
	enterGetEvents   = 1      // IORING_ENTER_GETEVENTS
	featureOneMmap   = 1 << 0 // IORING_FEAT_SINGLE_MMAP
	featureNoDrop    = 1 << 1 // IORING_FEAT_NODROP
	featureStable    = 1 << 2 // IORING_FEAT_SUBMIT_STABLE
	featuresNeeded   = featureOneMmap | featureNoDrop | featureStable
	offsetQueues     = 0          // IORING_OFF_SQ_RING
	offsetSubmission = 0x10000000 // IORING_OFF_SQES
)

// submission is a struct io_uring_sqe.
type submission struct {
	opcode, flags uint8
	priority      uint16
	fd            int32
	offset        uint64
	address       uint64
	length        uint32
	messageFlags  uint32
	userData      uint64
	_             [3]uint64
}

// completion is a struct io_uring_cqe.
type completion struct {
	userData uint64
	result   int32
	flags    uint32
}

// ringParameters is a struct io_uring_params.
type ringParameters struct {
	submissions, completions uint32
	flags                    uint32
	threadCPU, threadIdle    uint32
	features                 uint32
	workers                  uint32
	_                        [3]uint32
	submissionAt             struct {
		head, tail, mask, entries, flags, dropped, array uint32
		_                                                uint32
		_                                                uint64
	}
	completionAt struct {
		head, tail, mask, entries, overflow, completions, flags uint32
		_                                                       uint32
		_                                                       uint64
	}
}

// newRing makes a ring; nil where the kernel has none, or does not let us.
func newRing() *ring {
	var p ringParameters
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, ringSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil
	}
	r := &ring{fd: int(fd)}
	if p.features&featuresNeeded != featuresNeeded || r.mapQueues(&p) != nil || !r.works() {
		r.close()
		return nil
	}
	return r
}

func (r *ring) mapQueues(p *ringParameters) (err error) {
	const protection, flags = syscall.PROT_READ | syscall.PROT_WRITE, syscall.MAP_SHARED | syscall.MAP_POPULATE
	size := max(p.submissionAt.array+4*p.submissions, p.completionAt.completions+p.completions*uint32(unsafe.Sizeof(completion{})))
	if r.queues, err = syscall.Mmap(r.fd, offsetQueues, int(size), protection, flags); err != nil {
		return err
	}
	size = p.submissions * uint32(unsafe.Sizeof(submission{}))
	if r.submissions, err = syscall.Mmap(r.fd, offsetSubmission, int(size), protection, flags); err != nil {
		return err
	}
	at := func(offset uint32) unsafe.Pointer { return unsafe.Pointer(&r.queues[offset]) }
	s, c := &p.submissionAt, &p.completionAt
	r.tail, r.mask, r.array = (*uint32)(at(s.tail)), (*uint32)(at(s.mask)), at(s.array)
	r.completions.head, r.completions.tail, r.completions.mask = (*uint32)(at(c.head)), (*uint32)(at(c.tail)), (*uint32)(at(c.mask))
	r.completions.entries = at(c.completions)
	return nil
}

// works tries the ring: what is sent arrives, and a full socket is one.
func (r *ring) works() bool {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = syscall.Close(pair[0]); _ = syscall.Close(pair[1]) }()
	const said = "by io_uring"
	r.add(int32(pair[0]), [][]byte{[]byte(said[:2]), []byte(said[2:])})
	r.add(int32(pair[1]), [][]byte{[]byte(said)})
	defer r.reset()
	if !r.submit() {
		return false
	}
	got := make([]byte, 2*len(said))
	for i := range pair {
		if n, errno := r.result(i); n != len(said) || errno != 0 {
			return false
		}
		n, err := syscall.Read(pair[i], got)
		if err != nil || !bytes.Equal(got[:n], []byte(said)) {
			return false
		}
	}
	return true
}

// fits says whether so many more frames do.
func (r *ring) fits(frames int) bool {
	return r.count < ringSize && r.used+frames <= len(r.vectors)
}

// add prepares a send.
func (r *ring) add(fd int32, frames [][]byte) {
	first := r.used
	for _, frame := range frames {
		if len(frame) > 0 {
			v := &r.vectors[r.used]
			v.Base = &frame[0]
			v.SetLen(len(frame))
			r.used++
		}
	}
	m := &r.messages[r.count]
	m.Iov = &r.vectors[min(first, len(r.vectors)-1)]
	m.SetIovlen(r.used - first)
	mask := *r.mask
	at := (atomic.LoadUint32(r.tail) + uint32(r.count)) & mask
	*(*submission)(unsafe.Pointer(&r.submissions[uintptr(at)*unsafe.Sizeof(submission{})])) = submission{
		opcode: opSendMessage, fd: fd, address: uint64(uintptr(unsafe.Pointer(m))), length: 1,
		messageFlags: syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL, userData: uint64(r.count)}
	*(*uint32)(unsafe.Add(r.array, 4*at)) = at
	r.results[r.count] = unanswered
	r.count++
}

// submit sends. false: the ring is of no use any more. What the kernel did not
// begin then has the result EAGAIN, and what it does not tell the end of, EIO.
//
// The scheduler is not told of the call: it does not wait.
func (r *ring) submit() (sound bool) {
	atomic.StoreUint32(r.tail, atomic.LoadUint32(r.tail)+uint32(r.count))
	n, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.count), 0, enterGetEvents, 0, 0)
	begun := 0
	if errno == 0 {
		begun = int(n)
	}
	done := r.collect()
	for done < begun && (errno == 0 || errno == syscall.EINTR) { // it ought not to happen: all are over at once
		_, _, errno = syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, 1, enterGetEvents, 0, 0)
		done += r.collect()
	}
	if done == r.count {
		return true
	}
	for i, result := range r.results[:r.count] {
		switch {
		case result != unanswered:
		case i < begun:
			r.results[i] = -int32(syscall.EIO)
		default:
			r.results[i] = -int32(syscall.EAGAIN)
		}
	}
	return false
}

// unanswered is no result of a send.
const unanswered = math.MinInt32

// collect takes the results that are there.
func (r *ring) collect() (n int) {
	c := &r.completions
	head, tail := atomic.LoadUint32(c.head), atomic.LoadUint32(c.tail)
	for ; head != tail; head++ {
		e := (*completion)(unsafe.Add(c.entries, uintptr(head&*c.mask)*unsafe.Sizeof(completion{})))
		r.results[e.userData] = e.result
		n++
	}
	atomic.StoreUint32(c.head, head)
	return n
}

// result is what became of a send, by the order in which they were added.
func (r *ring) result(i int) (n int, errno syscall.Errno) {
	if r.results[i] < 0 {
		return 0, syscall.Errno(-r.results[i])
	}
	return int(r.results[i]), 0
}

// reset forgets what was sent.
func (r *ring) reset() {
	clear(r.vectors[:r.used])
	r.count, r.used = 0, 0
}

func (r *ring) close() {
	if r.submissions != nil {
		_ = syscall.Munmap(r.submissions)
	}
	if r.queues != nil {
		_ = syscall.Munmap(r.queues)
	}
	_ = syscall.Close(r.fd)
}
