package annotate

import "sync"

// outbox holds the numbers of documents that a connection is to send, and what ends it.
// One goroutine takes from it; any may put, end and fail.
type outbox struct {
	mu      sync.Mutex
	more    sync.Cond
	numbers []int
	ending  bool
	broken  error
}

func newOutbox() *outbox {
	o := &outbox{}
	o.more.L = &o.mu
	return o
}

// put adds a document without waking who takes: wake does that once for many.
func (o *outbox) put(number int) {
	o.mu.Lock()
	o.numbers = append(o.numbers, number)
	o.mu.Unlock()
}

// wake lets who takes see what was put.
func (o *outbox) wake() { o.more.Signal() }

// end says that nothing more will be put: what is there is still sent.
func (o *outbox) end() {
	o.mu.Lock()
	o.ending = true
	o.mu.Unlock()
	o.more.Signal()
}

// take waits for documents and returns all that there are in place of those in into:
// none if the documents ended. It is not open if the connection broke.
func (o *outbox) take(into []int) (numbers []int, open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.numbers) == 0 && !o.ending && o.broken == nil {
		o.more.Wait()
	}
	if o.broken != nil {
		return nil, false
	}
	numbers, o.numbers = append(into[:0], o.numbers...), o.numbers[:0]
	return numbers, true
}

// fail notes why the connection is of no more use; only the first reason counts. Once the
// documents ended it is expected to end, and not a failure. It says whether it counted.
func (o *outbox) fail(err error) bool { return o.breakOff(err, false) }

// refuse is fail at any time: the server turned the connection away.
func (o *outbox) refuse(err error) bool { return o.breakOff(err, true) }

func (o *outbox) breakOff(err error, ended bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil || o.ending && !ended {
		return false
	}
	o.broken = err
	o.more.Signal()
	return true
}

// err is why the connection broke, nil if it did not.
func (o *outbox) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken
}

// turns shares documents among outboxes by turns.
type turns struct {
	of   []*outbox
	next int
}

// send puts the documents from from to before to.
func (t *turns) send(from, to int) {
	for number := from; number < to; number++ {
		t.of[t.next%len(t.of)].put(number)
		t.next++
	}
	for i := range min(to-from, len(t.of)) {
		t.of[(t.next-1-i)%len(t.of)].wake()
	}
}
