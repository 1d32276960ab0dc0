package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"github.com/starling-vr/starling/world"
	"go.etcd.io/bbolt"
)

// request is one change on its way through the writer. The writer owns it until
// it has sent to done; a caller that gave up waiting leaves it to the collector.
type request struct {
	shard  world.ShardID
	expect world.Tail

	apply func(*request, *batch) error

	value   []byte // Append: the entry as it is stored; WriteSnapshot: the data
	owner   string // Claim
	claim   uint64 // Claim
	atLeast uint32 // Claim
	at      uint64 // WriteSnapshot
	keep    uint64 // WriteSnapshot

	tail world.Tail // the answer
	err  error
	done chan struct{} // has room for one

	submitted *world.Append // to be ended instead, by the writer; nil: somebody waits
}

func newRequest() any { return &request{done: make(chan struct{}, 1)} }

// largestKept is how large a buffer may be and yet be kept for the next append.
const largestKept = 64 << 10

func (l *Log) free(r *request) {
	value := r.value[:0]
	if cap(value) > largestKept {
		value = nil
	}
	*r = request{value: value, done: r.done}
	l.unused.Put(r)
}

// batch is what one transaction does. Its heads stand before those of the log
// until it is committed.
type batch struct {
	log   *Log
	tx    *bbolt.Tx
	heads map[world.ShardID]head
}

func (b *batch) head(shard world.ShardID) head {
	if h, ok := b.heads[shard]; ok {
		return h
	}
	return b.log.heads[shard] // only the writer changes it
}

// putHead stores and stages a shard's record.
func (b *batch) putHead(shard world.ShardID, h head) error {
	b.heads[shard] = h
	key := keyOf(shard)
	return b.tx.Bucket(shardsBucket).Put(key[:], h.encode())
}

// Claim implements world.Log.
func (l *Log) Claim(ctx context.Context, shard world.ShardID, owner string, claim uint64, atLeast uint32) (world.Tail, error) {
	if owner == "" {
		return world.Tail{}, errors.New("claim: the owner's name is empty")
	}
	r := l.unused.Get().(*request)
	r.apply, r.shard, r.owner, r.claim, r.atLeast = applyClaim, shard, owner, claim, atLeast
	return l.do(ctx, r)
}

func applyClaim(r *request, b *batch) error {
	h := b.head(r.shard)
	epoch := max(h.Epoch, r.atLeast)
	if epoch == math.MaxUint32 {
		r.err = fmt.Errorf("claim of shard %v: no epoch is left above %d", r.shard, epoch)
		return nil
	}
	h.Epoch, h.Claim, h.Owner = epoch+1, r.claim, r.owner
	r.tail = h.Tail
	return b.putHead(r.shard, h)
}

// Append implements world.Log.
func (l *Log) Append(ctx context.Context, shard world.ShardID, expect world.Tail, data []byte) (world.Tail, error) {
	return l.do(ctx, l.appending(shard, expect, data))
}

func (l *Log) appending(shard world.ShardID, expect world.Tail, data []byte) *request {
	r := l.unused.Get().(*request)
	r.apply, r.shard, r.expect = applyAppend, shard, expect
	r.value = binary.BigEndian.AppendUint32(r.value[:0], expect.Epoch)
	r.value = append(r.value, data...)
	return r
}

// Submit implements world.Appender. Done runs on the writer's goroutine.
func (l *Log) Submit(a *world.Append) {
	l.submitting.Lock()
	if l.shutting {
		l.submitting.Unlock()
		if a.Sealed(true) == world.Sealed {
			a.End(unavailable(errClosed))
		}
		return
	}
	l.submitted = append(l.submitted, a)
	first := len(l.submitted) == 1
	l.submitting.Unlock()
	if first {
		l.wake <- struct{}{} // has room: the writer takes all that was submitted with it
	}
}

// takeSubmitted takes what was submitted since the wake-up that was received, with
// all that its owners have to append by now.
func (l *Log) takeSubmitted(waiting []*request) []*request {
	l.submitting.Lock()
	l.submitted, l.taken = l.taken[:0], l.submitted
	l.submitting.Unlock()
	for i, a := range l.taken {
		l.taken[i] = nil
		switch a.Sealed(false) {
		case world.Sealed:
			r := l.appending(a.Shard, a.Expect, a.Batch)
			r.submitted = a
			waiting = append(waiting, r)
		case world.NotYet:
			go func() { // the writer does not wait for one of many
				if a.Sealed(true) == world.Sealed {
					l.Submit(a)
				}
			}()
		}
	}
	return waiting
}

func applyAppend(r *request, b *batch) error {
	h := b.head(r.shard)
	if h.Tail != r.expect || h.Owner == "" {
		r.err = &world.ForeignTailError{Shard: r.shard, Expect: r.expect, Found: h.Holder}
		return nil
	}
	h.Sequence++
	r.tail = h.Tail
	b.heads[r.shard] = h
	key := entryKeyOf(r.shard, h.Sequence)
	return b.tx.Bucket(entriesBucket).Put(key[:], r.value)
}

// WriteSnapshot implements world.Log.
func (l *Log) WriteSnapshot(ctx context.Context, shard world.ShardID, expect world.Tail, at uint64, data []byte, keep uint64) error {
	if keep > at {
		return fmt.Errorf("snapshot of shard %v at %d: entries up to %d would be lost", shard, at, keep)
	}
	r := l.unused.Get().(*request)
	r.apply, r.shard, r.expect, r.at, r.keep = applySnapshot, shard, expect, at, keep
	r.value = append(r.value[:0], data...)
	_, err := l.do(ctx, r)
	return err
}

func applySnapshot(r *request, b *batch) error {
	h := b.head(r.shard)
	switch {
	case h.Epoch != r.expect.Epoch || h.Claim != r.expect.Claim || h.Owner == "" || r.at > h.Sequence:
		r.err = &world.ForeignTailError{Shard: r.shard, Expect: r.expect, Found: h.Holder}
		return nil
	case r.at < h.snapshotAt:
		r.err = fmt.Errorf("snapshot of shard %v at %d: there is a newer one at %d", r.shard, r.at, h.snapshotAt)
		return nil
	}
	key := keyOf(r.shard)
	if err := b.tx.Bucket(snapshotsBucket).Put(key[:], r.value); err != nil {
		return err
	}
	if err := dropEntries(b.tx, r.shard, h.dropped, r.keep); err != nil {
		return err
	}
	h.snapshotAt, h.dropped = r.at, max(h.dropped, r.keep)
	return b.putHead(r.shard, h)
}

// Release implements world.Log.
func (l *Log) Release(ctx context.Context, shard world.ShardID, expect world.Tail) error {
	r := l.unused.Get().(*request)
	r.apply, r.shard, r.expect = applyRelease, shard, expect
	_, err := l.do(ctx, r)
	return err
}

func applyRelease(r *request, b *batch) error {
	h := b.head(r.shard)
	if h.Epoch == 0 || h.Tail != r.expect {
		r.err = &world.ForeignTailError{Shard: r.shard, Expect: r.expect, Found: h.Holder}
		return nil
	}
	if h.Owner == "" {
		return nil
	}
	h.Owner = ""
	return b.putHead(r.shard, h)
}

// do hands a request to the writer and waits for its commit.
func (l *Log) do(ctx context.Context, r *request) (world.Tail, error) {
	if err := l.usable(ctx); err != nil {
		l.free(r)
		return world.Tail{}, err
	}
	select {
	case l.requests <- r:
	case <-ctx.Done():
		l.free(r)
		return world.Tail{}, unavailable(ctx.Err())
	case <-l.stopped:
		l.free(r)
		return world.Tail{}, unavailable(errClosed)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return world.Tail{}, unavailable(ctx.Err())
	case <-l.stopped:
		// The writer may have answered and stopped, or stopped without reading it.
		select {
		case <-r.done:
		default:
			return world.Tail{}, unavailable(errClosed)
		}
	}
	tail, err := r.tail, r.err
	l.free(r)
	return tail, err
}

// largestBatch bounds what one transaction writes.
const largestBatch = 8 << 20 // bytes

// write is the writer: all that waits goes into one transaction.
func (l *Log) write() {
	defer close(l.stopped)
	var waiting []*request
	b := &batch{log: l, heads: make(map[world.ShardID]head)}
	var last time.Time
	for {
		waiting = waiting[:0]
		woken := false
		select {
		case r := <-l.requests:
			waiting = append(waiting, r)
		case <-l.wake:
			woken = true
		case <-l.closing:
			l.refuseSubmitted()
			return
		}
		l.pace(last)
		last = time.Now()
		if woken {
			waiting = l.takeSubmitted(waiting)
		}
		if waiting = l.gather(waiting); len(waiting) == 0 {
			continue
		}
		l.commit(b, waiting)
		clear(b.heads)
		l.answer(waiting)
		clear(waiting)
	}
}

// refuseSubmitted ends what was submitted and is not written any more.
func (l *Log) refuseSubmitted() {
	l.submitting.Lock()
	l.shutting = true
	refused := l.submitted
	l.submitted = nil
	l.submitting.Unlock()
	select {
	case <-l.wake:
	default:
	}
	for _, a := range refused {
		if a.Sealed(true) == world.Sealed {
			a.End(unavailable(errClosed))
		}
	}
}

// pace waits until the interval since the last transaction is over.
func (l *Log) pace(last time.Time) {
	if l.interval <= 0 {
		return
	}
	left := time.Until(last.Add(l.interval))
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.closing:
	}
}

// gather takes what else waits by now.
func (l *Log) gather(waiting []*request) []*request {
	size := 0
	for _, r := range waiting {
		size += len(r.value)
	}
	for size < largestBatch {
		before := len(waiting)
		select {
		case r := <-l.requests:
			waiting = append(waiting, r)
		case <-l.wake:
			waiting = l.takeSubmitted(waiting)
		default:
			return waiting
		}
		for _, r := range waiting[before:] {
			size += len(r.value)
		}
	}
	return waiting
}

// commit applies the requests in one transaction.
func (l *Log) commit(b *batch, waiting []*request) {
	err := l.usable(context.Background())
	if err == nil {
		err = l.transact(b, waiting)
	}
	l.mu.Lock()
	if err == nil {
		for shard, h := range b.heads {
			l.heads[shard] = h
		}
	}
	l.mu.Unlock()
	for _, r := range waiting {
		if err != nil {
			r.tail, r.err = world.Tail{}, err
		}
	}
}

func (l *Log) answer(waiting []*request) {
	for _, r := range waiting {
		a, err := r.submitted, r.err
		if a == nil {
			r.done <- struct{}{}
			continue
		}
		l.free(r)
		a.End(err)
	}
}

func (l *Log) transact(b *batch, waiting []*request) error {
	tx, err := l.db.Begin(true)
	if err != nil {
		return unavailable(err)
	}
	b.tx = tx
	for _, r := range waiting {
		if err := r.apply(r, b); err != nil {
			return errors.Join(unavailable(err), tx.Rollback())
		}
	}
	if len(b.heads) == 0 {
		return tx.Rollback() // nothing to write
	}
	if err := tx.Commit(); err != nil {
		return l.failed(err)
	}
	return nil
}

// failed deals with a commit that failed. A full disk fails before anything of
// the transaction counts, and may be cleared. After any other error, a failed
// sync above all, nobody knows what the disk holds: nothing more is written
// until the log is opened again and reads what is there.
func (l *Log) failed(why error) error {
	if !errors.Is(why, syscall.ENOSPC) {
		l.mu.Lock()
		l.broken = fmt.Errorf("a commit failed and the process must be started again: %w", why)
		l.mu.Unlock()
	}
	return unavailable(why)
}
