package plan

import "time"

// slice is a piece of work that needs a core.
type slice struct {
	cost   time.Duration
	then   func()
	joined bool // it belongs to the system call of the one before: nobody comes between
}

// thread does one thing after another, on a core.
type thread struct {
	machine *machine
	process *process      // whose tasks it does; nil: it does what is left to itself
	wake    time.Duration // from asking to running, when it rests and its core, too
	waking  time.Duration // processor time of letting a core rest and of waking it
	queue   queue[slice]
	task    *task // the one that it does
	spent   time.Duration
	wakes   int64 // of cores that rested

	state    threadState
	core     *core // where it ran last; nil: nowhere yet
	asked    time.Duration
	virtual  time.Duration // virtual time of its core
	deadline time.Duration
	lag      time.Duration
	pending  slice // that it was about to do when it had to make room
	kept     bool  // there is one
}

type threadState uint8

const (
	asleep threadState = iota
	waiting
	running
)

// post gives the thread something to do.
func (t *thread) post(cost time.Duration, then func()) {
	t.queue.push(slice{cost: cost, then: then})
	t.rouse()
}

// rouse wakes the thread if it sleeps.
func (t *thread) rouse() {
	if t.state == asleep {
		t.machine.enqueue(t)
	}
}

// resume is when a thread gets a core that it waited for.
func (t *thread) resume() {
	if t.kept {
		s := t.pending
		t.kept, t.pending = false, slice{}
		t.do(s)
		return
	}
	t.begin()
}

// begin is when a thread that slept has a core.
func (t *thread) begin() {
	if t.process != nil {
		t.process.arrived()
	}
	t.next()
}

// next does what is next, on the core that the thread has.
func (t *thread) next() {
	s, ok := t.fetch()
	if !ok {
		t.rest()
		return
	}
	if !s.joined {
		if next := t.core.yields(); next != nil {
			t.pending, t.kept = s, true
			t.core.swap(next)
			next.resume()
			return
		}
	}
	t.do(s)
}

func (t *thread) fetch() (slice, bool) {
	if t.process != nil {
		return t.process.fetch(t)
	}
	return t.queue.pop()
}

func (t *thread) do(s slice) {
	t.spent += s.cost
	inside := t.task
	t.machine.spend(s.cost, func() {
		if p := t.process; p != nil {
			p.inside = inside
			s.then()
			p.inside = nil
		} else {
			s.then()
		}
		t.next()
	})
}

// rest is when a thread has nothing to do. Who takes over its core at once saves
// what it costs to let that rest and to wake it again; and so does what comes while
// the thread goes to rest.
func (t *thread) rest() {
	m := t.machine
	if t.core.wanted() {
		t.core.release()
		return
	}
	t.wakes++
	if t.waking == 0 {
		t.core.release()
		return
	}
	t.spent += t.waking
	m.spend(t.waking, func() {
		if s, ok := t.fetch(); ok {
			t.do(s)
			return
		}
		t.core.release()
	})
}
