package regions

import (
	"slices"

	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// The methods here are called with followed.deliver held.

// listen makes those with a wish the listeners of a cell, and gives for how many
// participants they watch together.
func (s *followed) listen(c *watchedCell, list []wish) (total uint32) {
	c.listeners = slices.DeleteFunc(c.listeners, func(l listener) bool {
		wanted := slices.ContainsFunc(list, func(w wish) bool { return w.serial == l.serial })
		if !wanted {
			s.leave(l.member)
		}
		return !wanted
	})
	for _, w := range list {
		total += w.watchers
		if !slices.ContainsFunc(c.listeners, func(l listener) bool { return l.serial == w.serial }) {
			c.listeners = append(c.listeners, listener{member: s.enter(w.subscription), serial: w.serial})
		}
	}
	return total
}

func (s *followed) enter(sub *subscription) *member {
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.subscription == sub })
	if i < 0 {
		i = len(s.members)
		s.members = append(s.members, &member{subscription: sub})
	}
	s.members[i].cells++
	return s.members[i]
}

func (s *followed) leave(m *member) {
	if m.cells--; m.cells == 0 {
		s.members = slices.DeleteFunc(s.members, func(x *member) bool { return x == m })
	}
}

// tell confirms the cell to the listeners that do not know yet.
func (s *followed) tell(cell world.Cell, c *watchedCell) {
	for i := range c.listeners {
		if l := &c.listeners[i]; !l.told {
			l.told = true
			if sub := l.member.subscription; !sub.closed.Load() {
				sub.handler.Watching(s.shard, cell)
			}
		}
	}
}

// lose says that messages of the cell may be missing, to those who were told
// that they would come.
func (s *followed) lose(cell world.Cell, c *watchedCell) {
	for i := range c.listeners {
		if l := &c.listeners[i]; l.told {
			l.told = false
			if sub := l.member.subscription; !sub.closed.Load() {
				sub.handler.Lost(s.shard, cell)
			}
		}
	}
}

// publish hands each subscriber, in one call, those messages whose cells it
// listens to.
func (s *followed) publish(batch []pubsub.Message) {
	for i := range batch {
		c := s.cells[batch[i].Cell]
		if c == nil {
			continue
		}
		for k := range c.listeners {
			if l := &c.listeners[k]; l.told {
				l.member.pending = append(l.member.pending, batch[i])
			}
		}
	}
	for _, m := range s.members {
		if len(m.pending) == 0 {
			continue
		}
		if !m.subscription.closed.Load() {
			m.subscription.handler.Messages(m.pending)
		}
		clear(m.pending)
		m.pending = m.pending[:0]
	}
}
