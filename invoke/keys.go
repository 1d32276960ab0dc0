package invoke

import (
	"sync/atomic"
	"time"
)

// KeyOptions configure a set of keys.
type KeyOptions struct {
	// AfterRun is called by the worker when it leaves a key, after a run of
	// consecutive invocations (or refusals) and still inside the key's
	// exclusivity. May be nil.
	AfterRun func(*Key)
	// MaxRun is the most invocations in one run, 1 to 256. Default 64. The time
	// of a run is bounded too, by Config.Slice.
	MaxRun int
}

// Keys is a set of keys that functions share.
type Keys struct {
	name      string
	options   KeyOptions
	policy    *Policy
	scheduler *Scheduler    // nil for a bare Policy
	tightest  time.Duration // the shortest deadline promised to a function of the set, 0: none
	tally     keysTally
}

// promise notes what is promised to the functions of the set.
func (k *Keys) promise(functions []*Function) {
	k.tightest = 0
	for _, f := range functions {
		if c := &f.spec.Contract; f.spec.Keys == k && c.Rate > 0 && (k.tightest == 0 || c.Deadline < k.tightest) {
			k.tightest = c.Deadline
		}
	}
}

// Name returns the name of the set.
func (k *Keys) Name() string { return k.name }

// Open makes a key for value. Opening the same value twice makes two keys.
func (k *Keys) Open(value any) *Key {
	key := &Key{keys: k, value: value}
	key.place.key = key
	return key
}

// Key serialises the invocations that name it.
type Key struct {
	keys  *Keys
	value any
	place place

	head, tail   *Invocation // what waits, in arrival order
	excess       int         // how many of them exceed their guarantee
	unprivileged int         // how many of them exceed their guarantee, or came behind such

	// urgentFirst is the earliest due among those that are not privileged: when such
	// work stands at the head, the key is as urgent as that, even when other work
	// stands before it. The list keeps those that will be the earliest once what
	// stands before them is gone (a monotonic queue): O(1) amortised a step.
	urgentFirst, urgentLast *Invocation

	running bool
	closed  atomic.Bool // written under the lock, read by the worker inside a run
}

// Value returns what the key was opened with.
func (k *Key) Value() any { return k.value }

// Close closes the key: the invocation in progress goes on to its end, and what
// waits behind it is refused with KeyClosed, by a worker inside the key's
// exclusivity; so is what is submitted from now on. It does not block and may be
// called inside Run, Refused and AfterRun.
func (k *Key) Close() {
	s := k.keys.scheduler
	s.mu.Lock()
	s.policy.CloseKey(k)
	s.mu.Unlock()
}

func (k *Key) push(inv *Invocation) {
	inv.next = nil
	if k.tail == nil {
		k.head = inv
	} else {
		k.tail.next = inv
	}
	k.tail = inv
	if inv.privileged {
		return
	}
	for k.urgentLast != nil && k.urgentLast.place.due > inv.place.due {
		k.urgentLast = k.urgentLast.urgentPrev
	}
	inv.urgentNext, inv.urgentPrev = nil, k.urgentLast
	if k.urgentLast == nil {
		k.urgentFirst = inv
	} else {
		k.urgentLast.urgentNext = inv
	}
	k.urgentLast = inv
}

func (k *Key) pop() *Invocation {
	inv := k.head
	k.head = inv.next
	if k.head == nil {
		k.tail = nil
	}
	if k.urgentFirst == inv {
		k.urgentFirst = inv.urgentNext
		if k.urgentFirst == nil {
			k.urgentLast = nil
		} else {
			k.urgentFirst.urgentPrev = nil
		}
	}
	inv.next, inv.urgentNext, inv.urgentPrev = nil, nil, nil
	return inv
}

// putBack is the reverse of pop.
func (k *Key) putBack(inv *Invocation) {
	inv.next = k.head
	k.head = inv
	if k.tail == nil {
		k.tail = inv
	}
	if inv.privileged || k.urgentFirst != nil && k.urgentFirst.place.due < inv.place.due {
		return
	}
	inv.urgentNext = k.urgentFirst
	if k.urgentFirst == nil {
		k.urgentLast = inv
	} else {
		k.urgentFirst.urgentPrev = inv
	}
	k.urgentFirst = inv
}

// rank is where the key belongs among what is ready. Privileged work goes by the
// deadline of the head alone, so that nothing lends it an urgency which the
// admission test did not reckon with.
func (k *Key) rank() (b band, due Instant, seq uint64) {
	urgent := k.head
	if !k.head.privileged {
		urgent = k.urgentFirst
	}
	return bandOf(k.head.privileged, k.head.fn.long), urgent.place.due, urgent.place.seq
}
