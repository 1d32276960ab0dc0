package conn

// Output is what one connection is to be written, and what became of it.
type Output struct {
	Conn   Conn
	Frames [][]byte // as of Conn.Write

	Accepted int // as Conn.Write returns it
}

// BatchWriter writes to many connections at a time, with one system call where
// the kernel has io_uring and lets this process use it: a write then saves the
// way into the kernel and back. It belongs to one goroutine; Close ends it.
type BatchWriter struct {
	ring  *ring // nil: a system call for each connection
	calls uint64

	loaded  []loaded // what the ring holds
	skipped []*Output
}

// loaded is a connection in the ring; its mu is held.
type loaded struct {
	conn   *polled
	output *Output
}

// NewBatchWriter makes one; without ring it never uses io_uring.
func NewBatchWriter(useRing bool) *BatchWriter {
	b := &BatchWriter{}
	if useRing {
		b.ring = newRing()
	}
	return b
}

// Ring says whether writes go by io_uring.
func (b *BatchWriter) Ring() bool { return b.ring != nil }

// Calls is how many system calls were made so far, about: a connection that
// pollers do not read counts as one.
func (b *BatchWriter) Calls() uint64 { return b.calls }

// Write does for each of outputs what Conn.Write does, in no certain order. What
// Frames point to must be on the heap.
func (b *BatchWriter) Write(outputs []Output) {
	if b.ring != nil && len(outputs) > 1 {
		b.writeRing(outputs)
		return
	}
	for i := range outputs {
		b.writeAlone(&outputs[i])
	}
}

func (b *BatchWriter) writeAlone(o *Output) {
	b.calls++
	o.Accepted = o.Conn.Write(o.Frames)
}

// Close gives the ring back. What is written later goes without.
func (b *BatchWriter) Close() {
	if b.ring != nil {
		b.ring.close()
		b.ring = nil
	}
}
