package plan

import (
	"slices"
	"time"
)

// lane is an owner's connection to a store: one round trip at a time, and one
// each interval at most, as in world/redis. What is submitted meanwhile goes with
// the next.
type lane struct {
	owner   *owner
	store   *store
	timer   *task // sends what had to wait
	reader  *task // takes the answers
	waiting []ask
	flight  bool          // a round trip is under way, or what it is to carry is collected
	armed   bool          // the timer is
	dense   bool          // the round trip before began shortly before this one
	driving bool          // the timer collects what comes to gateways, see drive
	last    time.Duration // when the last round trip began
	ease    float64       // how far the next may be put off, 0 to 1
}

// ask makes a batch when a round trip begins: of so many actions. told is called, by
// the thread that reads the answer, when it is in the log.
type ask func() (actions int, told func(reader *task))

func (o *owner) laneTo(s *store) *lane {
	l := o.lanes[s]
	if l == nil {
		l = &lane{owner: o, store: s, timer: o.process.newTask(), reader: o.process.newTask(), last: -time.Hour}
		o.lanes[s] = l
	}
	return l
}

func (l *lane) submit(a ask) {
	l.waiting = append(l.waiting, a)
	l.advance()
}

// interval is how long after a round trip began the next may: the rule of
// world/redis.
func (l *lane) interval() time.Duration {
	c := &l.owner.model.costs.Storage
	return us(c.IntervalUS + l.ease*max(0, c.MaxIntervalUS-c.IntervalUS))
}

// told has the hubs of the process turn, since all that a round trip committed was
// told, and gives how much time their updates have to spare: the rule of
// gateway/hub.
func (l *lane) told() (ease float64) {
	ease, known := 1, false
	for _, g := range l.owner.model.gateways {
		if g.process != l.owner.process {
			continue
		}
		for _, h := range g.hubs {
			h.told()
			if of, ok := h.pace.Ease(); ok {
				ease, known = min(ease, of), true
			}
		}
	}
	if !known {
		return 0
	}
	return ease
}

// advance begins a round trip if one may begin.
func (l *lane) advance() {
	if l.flight || l.armed || len(l.waiting) == 0 {
		return
	}
	if rest := l.rest(); rest > 0 {
		l.arm(rest)
		return
	}
	now := l.owner.model.now
	l.dense = now-l.last < 2*l.interval()
	l.last, l.flight = now, true
	asked := l.waiting
	l.waiting = nil
	l.owner.process.work(time.Duration(len(asked))*l.owner.halfCommit(), func() { l.send(asked) })
}

// rest is how long it is until the next round trip may begin.
func (l *lane) rest() time.Duration { return l.last + l.interval() - l.owner.model.now }

func (l *lane) arm(rest time.Duration) {
	l.armed = true
	l.owner.process.timer(rest, func() { l.timer.post(0, l.due) })
}

// due begins the round trip that the timer put off. Where round trips follow each
// other it brings first what came meanwhile.
func (l *lane) due() {
	l.armed = false
	if !l.driving || l.flight {
		l.advance()
		l.stop()
		return
	}
	l.flight = true // so that nobody begins meanwhile
	l.owner.collect(l.timer, func() {
		l.flight = false
		l.advance()
		if !l.flight {
			l.stop()
		}
	})
}

// drive arms the timer for the next round trip, whether or not there is anything for
// it yet, if round trips follow each other, and lets pollers rest until then.
func (l *lane) drive() {
	if rest := l.rest(); l.dense && !l.armed && rest > 0 && l.owner.feeds() {
		l.arm(rest)
		if !l.driving {
			l.driving = true
			l.owner.drive(1)
		}
	}
	l.stop()
}

// stop lets sockets wake their pollers again if no timer is going to collect.
func (l *lane) stop() {
	if l.driving && !l.armed {
		l.driving = false
		l.owner.drive(-1)
	}
}

// feeds says whether there are gateways in the process.
func (o *owner) feeds() bool {
	return slices.ContainsFunc(o.model.gateways, func(g *gateway) bool { return g.process == o.process })
}

// drive says that so many lanes more collect what comes to the process's gateways.
func (o *owner) drive(lanes int) {
	was := o.drives > 0
	o.drives += lanes
	if is := o.drives > 0; is != was {
		for _, g := range o.model.gateways {
			if g.process == o.process {
				g.rest(is)
			}
		}
	}
}

// collect has a task read what came to the process's gateways, and then go on.
func (o *owner) collect(by *task, then func()) {
	for _, g := range o.model.gateways {
		if g.process == o.process {
			next := then
			then = func() { g.collect(by, next) }
		}
	}
	then()
}

// send makes the batches, as late as can be, and sends them.
func (l *lane) send(asked []ask) {
	actions := 0
	round := make([]func(*task), len(asked))
	for i, batch := range asked {
		n, told := batch()
		actions, round[i] = actions+n, told
	}
	l.drive()
	l.store.take(trip{appends: len(asked), actions: actions, then: func() {
		l.reader.post(0, func() {})
		for _, told := range round {
			told(l.reader)
		}
		// Those who are told now can still join the next.
		l.reader.post(0, func() {
			l.flight, l.ease = false, l.told()
			l.advance()
		})
	}})
}
