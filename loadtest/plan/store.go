package plan

import "time"

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
