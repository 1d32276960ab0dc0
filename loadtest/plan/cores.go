package plan

import (
	"math/rand/v2"
	"slices"
	"time"
)

// machine is a computer. As with Linux each core has a queue of its own: a thread
// that wakes waits for the core that it ran on last, though another rests, and only
// now and then goes to that one. Who runs is decided by the kernel's rule, EEVDF
// (Stoica and Abdel-Wahab, "Earliest eligible virtual deadline first", 1995, as
// kernel/sched/fair.c of Linux 6.18 has it), all threads having the same weight.
type machine struct {
	sim    *simulation
	cores  []*core
	slice  time.Duration // that a thread asks for at a time
	tick   time.Duration // between two looks of the kernel at who runs
	moves  float64       // chance that a thread that would wait goes to a core that rests
	random *rand.Rand    // needed if moves is not 0

	spent  time.Duration // processor time, in all
	waited time.Duration // that threads waited for a core, in all

	// stall is for how long a core that works so long stands still meanwhile, because
	// something else takes it away, where all cores work or one rests; nil: it never
	// does. It is no processor time.
	stall func(working time.Duration, all bool) time.Duration
}

// core is one of a machine. Virtual times are its own.
type core struct {
	machine *machine
	runs    *thread   // nil: it rests
	waiting []*thread // for it, as they came
	updated time.Duration
	latest  time.Duration // virtual time of who ran last
	protect time.Duration // virtual time until which who runs is left alone
	resched bool          // another is to run, when it may
}

// defaultTick is that of a kernel of 250 Hz, the default of most distributions.
const defaultTick = 4 * time.Millisecond

func makeMachine(sim *simulation, cores int, slice time.Duration) *machine {
	m := &machine{sim: sim, slice: slice, tick: defaultTick}
	m.grow(cores)
	return m
}

// grow makes it one of so many cores.
func (m *machine) grow(cores int) {
	for len(m.cores) < cores {
		m.cores = append(m.cores, &core{machine: m})
	}
}

// busy is how many cores do not rest.
func (m *machine) busy() (n int) {
	for _, c := range m.cores {
		if c.runs != nil {
			n++
		}
	}
	return n
}

// spend passes time on a core.
func (m *machine) spend(cost time.Duration, then func()) {
	m.spent += cost
	if m.stall != nil {
		cost += m.stall(cost, m.busy() == len(m.cores))
	}
	m.sim.after(cost, then)
}

// enqueue brings a thread that slept to a core, or before it.
func (m *machine) enqueue(t *thread) {
	t.asked = m.sim.now
	c := m.choose(t)
	t.core = c
	if c.runs == nil {
		c.place(t, false)
		c.run(t)
		m.sim.after(t.wake, t.begin)
		return
	}
	t.state = waiting
	c.update()
	c.place(t, true)
	c.waiting = append(c.waiting, t)
	if c.pick() == t {
		c.resched = true
	}
}

// choose says where a thread goes that wakes: where it was, as a rule.
func (m *machine) choose(t *thread) *core {
	c := t.core
	if c == nil {
		c = slices.MinFunc(m.cores, func(a, b *core) int { return a.load() - b.load() })
	}
	if c.runs != nil && m.moves > 0 {
		for _, other := range m.cores {
			if other.runs == nil && m.random.Float64() < m.moves {
				return other
			}
		}
	}
	return c
}

func (c *core) load() int {
	if c.runs == nil {
		return 0
	}
	return 1 + len(c.waiting)
}

// update counts what who runs has had.
func (c *core) update() {
	if c.runs != nil {
		c.runs.virtual += c.machine.sim.now - c.updated
		c.latest = c.runs.virtual
	}
	c.updated = c.machine.sim.now
}

// average is the virtual time at which everybody here would have had the same.
func (c *core) average() time.Duration {
	sum, n := time.Duration(0), time.Duration(0)
	base := c.latest
	if c.runs != nil {
		sum, n = c.runs.virtual-base, 1
	}
	for _, t := range c.waiting {
		sum, n = sum+t.virtual-base, n+1
	}
	if n == 0 {
		return base
	}
	return base + sum/n
}

// place gives a thread that joins its virtual time: what it had less than others
// when it went to sleep (or more) it still has.
func (c *core) place(t *thread, others bool) {
	t.virtual = c.latest
	if others {
		n := time.Duration(c.load())
		t.virtual = c.average() - t.lag*(n+1)/n
	}
	t.deadline = t.virtual + c.machine.slice
}

// leave notes by how much a thread that goes to sleep has had less than the others.
func (c *core) leave(t *thread) {
	t.lag = min(max(c.average()-t.virtual, -c.machine.slice), c.machine.slice)
	if t.lag < 0 {
		t.lag = 0 // it stays in the queue, by name, until that is made up for
	}
}

// pick is who should run: of those that have not had more than the others who has
// the earliest deadline; who runs, while it is left alone.
func (c *core) pick() *thread {
	at := c.average()
	best := c.runs
	if best != nil {
		if best.virtual > at {
			best = nil
		} else if best.virtual < c.protect {
			return best
		}
	}
	for _, t := range c.waiting {
		if t.virtual <= at && (best == nil || t.deadline < best.deadline) {
			best = t
		}
	}
	if best == nil { // rounding
		best = c.runs
		if len(c.waiting) > 0 {
			best = slices.MinFunc(c.waiting, func(a, b *thread) int { return int(a.virtual - b.virtual) })
		}
	}
	return best
}

// yields says whether who runs has to make room now, and for whom. It is asked
// where a program can be interrupted.
func (c *core) yields() (next *thread) {
	if len(c.waiting) == 0 {
		c.resched = false
		return nil
	}
	m := c.machine
	ticked := m.tick > 0 && m.sim.now/m.tick != c.updated/m.tick
	c.update()
	if ticked {
		c.balance()
	}
	if t := c.runs; ticked && t.virtual >= t.deadline {
		t.deadline = t.virtual + m.slice
		c.resched = true
	}
	if !c.resched || len(c.waiting) == 0 {
		return nil
	}
	c.resched = false
	if next = c.pick(); next == c.runs {
		return nil
	}
	return next
}

// run gives the core to a thread.
func (c *core) run(t *thread) {
	c.machine.waited += c.machine.sim.now - t.asked
	c.updated = c.machine.sim.now
	c.runs, c.protect, c.resched = t, t.deadline, false
	t.core, t.state = c, running
}

// swap lets a thread that waits run instead of the one that does.
func (c *core) swap(next *thread) {
	before := c.runs
	c.runs = nil
	c.remove(next)
	before.state, before.asked = waiting, c.machine.sim.now
	c.waiting = append(c.waiting, before)
	c.run(next)
}

func (c *core) remove(t *thread) {
	i := slices.Index(c.waiting, t)
	c.waiting = slices.Delete(c.waiting, i, i+1)
}

// release lets the next one run, if there is one.
func (c *core) release() {
	c.update()
	c.leave(c.runs)
	c.runs.state = asleep
	c.runs = nil
	if len(c.waiting) > 0 {
		next := c.pick()
		c.remove(next)
		c.run(next)
		next.resume()
		return
	}
	for _, other := range c.machine.cores {
		if next := c.pull(other); next != nil {
			next.resume()
			return
		}
	}
}

// balance lets a core that rests have a thread that waits here, perhaps.
func (c *core) balance() {
	for _, other := range c.machine.cores {
		if other.runs != nil {
			continue
		}
		if next := other.pull(c); next != nil {
			c.machine.sim.after(next.wake, next.resume)
		}
	}
}

// pull takes a thread that waits for another core, now and then.
func (c *core) pull(from *core) (next *thread) {
	if m := c.machine; len(from.waiting) == 0 || m.moves == 0 || m.random.Float64() >= m.moves {
		return nil
	}
	next = from.waiting[0]
	from.remove(next)
	c.place(next, false)
	c.run(next)
	return next
}

// wanted says whether anybody waits for the core.
func (c *core) wanted() bool { return len(c.waiting) > 0 }
