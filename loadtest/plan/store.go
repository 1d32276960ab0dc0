package plan

import "time"

// lane is an owner's connection to a store: one round trip at a time, and one
// each interval at most, as in world/redis. What is submitted meanwhile goes with
// the next.
type lane struct {
	owner   *owner
	store   *store
	timer   *task // sends what had to wait
	reader  *task // takes the answers
	waiting []ask
	flight  bool
	armed   bool
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
	m := l.owner.model
	if rest := l.last + l.interval() - m.now; rest > 0 {
		l.armed = true
		l.owner.process.timer(rest, func() {
			l.timer.post(0, func() {
				l.armed = false
				l.advance()
			})
		})
		return
	}
	l.last, l.flight = m.now, true
	asked := l.waiting
	l.waiting = nil
	l.owner.process.work(time.Duration(len(asked))*l.owner.halfCommit(), func() { l.send(asked) })
}

// send makes the batches, as late as can be, and sends them.
func (l *lane) send(asked []ask) {
	actions := 0
	round := make([]func(*task), len(asked))
	for i, batch := range asked {
		n, told := batch()
		actions, round[i] = actions+n, told
	}
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

// store takes the round trips of all owners: all that wait at once, then it waits
// for the disk, then it answers, as Redis does with appendfsync always.
type store struct {
	thread
	model   *model
	busy    bool // with a turn, be it that it waits for the disk
	waiting []trip
	turns   int64
}

// trip is one round trip.
type trip struct {
	appends, actions int
	then             func()
}

// take takes a round trip, and stands in for those of other shares of the crowd
// that the owners do not stand in for.
func (s *store) take(t trip) {
	s.push(t)
	p := &s.model.part
	for range s.model.poisson((1+p.stores.others)/(1+p.owners.others) - 1) {
		s.model.after(time.Duration(s.model.random.Int64N(int64(meanwhile))), func() {
			s.push(trip{t.appends, t.actions, func() {}})
		})
	}
}

func (s *store) push(t trip) {
	s.waiting = append(s.waiting, t)
	if !s.busy {
		s.busy = true
		s.turn()
	}
}

func (s *store) turn() {
	taken, m := s.waiting, s.model
	s.waiting = nil
	if len(taken) == 0 {
		s.busy = false
		return
	}
	s.turns++
	c := &m.costs.Storage
	cost := us(c.RoundUS)
	for _, t := range taken {
		cost += us((float64(t.appends)*c.AppendUS + float64(t.actions)*c.ActionUS) * m.part.stores.scale)
	}
	s.post(cost, func() {
		m.after(c.Sync.draw(m.random), func() {
			for _, t := range taken {
				m.after(us(c.ReplicaUS), t.then)
			}
			s.turn()
		})
	})
}
