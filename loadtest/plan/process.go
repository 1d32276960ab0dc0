package plan

import (
	"slices"
	"time"
)

// process is a program in Go: goroutines (tasks), done by as many threads as there
// are cores; and timers. They fire when it looks: each time one of its threads looks
// for something to do, or when it sleeps to the next whole millisecond
// (runtime.netpoll of Go 1.26 hands epoll_wait whole milliseconds).
type process struct {
	sim     *simulation
	threads []*thread
	ready   queue[*task]
	coming  int   // threads that were woken and look for a task
	inside  *task // whose work is being done in this moment
	timers  []*timer
}

// task is a goroutine that does one thing after another.
type task struct {
	process *process
	queue   queue[slice]
	active  bool // a thread does it, or will
}

// newProcess makes a program on a machine, with a thread for each core.
func newProcess(on *machine, wake, waking time.Duration) *process {
	p := &process{sim: on.sim}
	for range on.cores {
		p.threads = append(p.threads, &thread{machine: on, process: p, wake: wake, waking: waking})
	}
	return p
}

func (p *process) newTask() *task { return &task{process: p} }

// post gives the task something to do.
func (t *task) post(cost time.Duration, then func()) { t.push(slice{cost: cost, then: then}) }

func (t *task) push(s slice) {
	t.queue.push(s)
	t.wake()
}

func (t *task) wake() {
	if !t.active {
		t.active = true
		t.process.ready.push(t)
		t.process.wakeOne()
	}
}

// work lets who does something in this moment do this next; nobody: a task of its own.
func (p *process) work(cost time.Duration, then func()) {
	if p.inside != nil {
		p.inside.queue.pushFront(slice{cost: cost, then: then})
		return
	}
	p.spawn(cost, then)
}

// spawn lets a task of its own do something.
func (p *process) spawn(cost time.Duration, then func()) { p.newTask().post(cost, then) }

// wakeOne wakes a thread that sleeps, unless one is on its way already
// (runtime.wakep).
func (p *process) wakeOne() {
	if p.coming > 0 {
		return
	}
	for _, t := range p.threads {
		if t.state == asleep {
			p.coming++
			t.rouse()
			return
		}
	}
}

// arrived is when a thread that was woken runs.
func (p *process) arrived() {
	p.coming = max(0, p.coming-1)
	p.look()
}

// fetch gives a thread what it does next.
func (p *process) fetch(t *thread) (slice, bool) {
	if t.task != nil {
		if s, ok := t.task.queue.pop(); ok {
			return s, true
		}
		t.task.active = false
		t.task = nil
	}
	p.look()
	next, ok := p.ready.pop()
	if !ok {
		return slice{}, false
	}
	if !p.ready.empty() {
		p.wakeOne()
	}
	t.task = next
	return next.queue.pop()
}

type timer struct {
	due   time.Duration
	then  func()
	fired bool
}

// timer plans something for after d, and not much later.
func (p *process) timer(d time.Duration, then func()) {
	t := &timer{due: p.sim.now + max(d, 0), then: then}
	p.timers = append(p.timers, t)
	late := (d + time.Millisecond - 1).Truncate(time.Millisecond)
	p.sim.after(max(late, time.Millisecond), func() {
		if !t.fired {
			p.look()
		}
	})
}

// look fires what is due.
func (p *process) look() {
	if !slices.ContainsFunc(p.timers, func(t *timer) bool { return t.due <= p.sim.now }) {
		return
	}
	var due []*timer
	p.timers = slices.DeleteFunc(p.timers, func(t *timer) bool {
		if t.fired = t.due <= p.sim.now; t.fired {
			due = append(due, t)
		}
		return t.fired
	})
	for _, t := range due {
		t.then()
	}
}
