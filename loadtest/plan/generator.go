package plan

import "time"

// generator is a load tester that shares the machine: one thread, which rests for
// a while where much comes, as package loadtest/generator does. What it reads was
// stamped by the kernel when it came: reading late delays no update, sending late
// does.
type generator struct {
	thread
	model *model
	due   queue[slice]
	came  int
	awake bool
}

// Bounds of package loadtest/generator.
const (
	quantum   = 500 * time.Microsecond // that it rests
	manyReady = 4                      // sockets with news in a turn that are much
)

func newGenerator(m *model, on *machine) *generator {
	g := &generator{model: m}
	g.thread = thread{machine: on, wake: m.wake, waking: us(m.costs.Generator.WakeUS)}
	return g
}

// do lets it do something, once it is awake.
func (g *generator) do(cost time.Duration, then func()) {
	g.due.push(slice{cost: cost, then: then})
	if !g.awake {
		g.awake = true
		g.post(0, g.turn)
	}
}

// read lets it read what came.
func (g *generator) read(cost time.Duration) {
	g.came++
	g.do(cost, func() {})
}

// turn does all that came, and then rests if that was much.
func (g *generator) turn() {
	for {
		s, ok := g.due.pop()
		if !ok {
			break
		}
		g.post(s.cost, s.then)
	}
	many := g.came >= manyReady
	g.came = 0
	g.post(0, func() {
		if many {
			g.model.after(quantum, func() { g.post(0, g.turn) })
			return
		}
		if g.awake = g.due.head < len(g.due.items); g.awake {
			g.post(0, g.turn)
		}
	})
}
