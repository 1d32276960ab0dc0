package plan

// coresPerPoller: a gateway has one poller for each four processors, as in
// gateway/conn.
const coresPerPoller = 4

// poller is the goroutine that reads a part of the sockets.
type poller struct {
	gateway *gateway
	task    *task
	route   func(*action) // what is done with an action that was read
	unread  []*action     // that lie in sockets while it rests
}

// poller is that of a participant's connection.
func (g *gateway) poller(participant int32) *poller {
	return g.pollers[int(participant)%len(g.pollers)]
}

// arrive is when an action comes in at a socket. It wakes the poller, unless that
// rests.
func (p *poller) arrive(a *action) {
	if p.gateway.resting {
		p.unread = append(p.unread, a)
		return
	}
	p.read(p.task, a)
}

// read has a task read an action, and do what follows.
func (p *poller) read(by *task, a *action) {
	g := p.gateway
	by.post(g.cost(g.model.costs.Gateway.ActionUS), func() { p.route(a) })
}

// serve has a task read what lies in the sockets by now.
func (p *poller) serve(by *task) {
	for _, a := range p.unread {
		p.read(by, a)
	}
	p.unread = p.unread[:0]
}

// rest says that sockets are to wake no poller, or that they are to again: what
// came meanwhile then does at once.
func (g *gateway) rest(on bool) {
	g.resting = on
	if !on {
		for _, p := range g.pollers {
			p.serve(p.task)
		}
	}
}

// collect has a task serve the sockets of the first poller, and the others theirs
// beside it; it goes on with then when all did.
func (g *gateway) collect(by *task, then func()) {
	serving := 1
	done := func() {
		if serving--; serving == 0 {
			by.post(0, then)
		}
	}
	for _, p := range g.pollers[1:] {
		if len(p.unread) > 0 {
			serving++
			p.serve(p.task)
			p.task.post(0, done)
		}
	}
	g.pollers[0].serve(by)
	by.post(0, done)
}
