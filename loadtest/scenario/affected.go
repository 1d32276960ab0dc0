package scenario

import "time"

// crossing is somebody's change of cell.
type crossing struct {
	at          time.Duration
	participant int32
	from, to    int32
}

// crossings are those within the window of the action handed out last, in order.
type crossings struct {
	all   []crossing
	begin int
}

func (x *crossings) add(c crossing, s *sites) {
	if x.begin > 1024 && x.begin > len(x.all)/2 {
		x.all = x.all[:copy(x.all, x.all[x.begin:])]
		x.begin = 0
	}
	x.all = append(x.all, c)
	s.all[c.from].unsettled++
	s.all[c.to].unsettled++
}

func (x *crossings) forget(before time.Duration, s *sites) {
	for ; x.begin < len(x.all) && x.all[x.begin].at < before; x.begin++ {
		c := &x.all[x.begin]
		s.all[c.from].unsettled--
		s.all[c.to].unsettled--
	}
}

// Window is the time around an action within which those who cross a border, or
// come or go, may see it or not.
func (c *Crowd) Window() time.Duration { return c.options.Window }

// Affected gives the participants who must see an action, the one that Next gave
// last: the actor and all whose own cell is within the ring of the action's, in
// the same place, by the crowd's own positions and H3. uncertain are those, not
// among the expected, who changed their cell within Window of the action (before
// or after) so that they may see it or not, and neither is a fault; as are those
// in view of the cell that the actor left by it. With a target that crosses just
// then all but the actor are uncertain. Both slices are good until the next call.
//
// Who comes or goes is expected from Joins to Leaves: a generator that knows
// better when it was connected leaves out who was not.
func (c *Crowd) Affected(a *Action) (expected, uncertain []int32) {
	c.stamp++
	c.expected, c.uncertain = c.expected[:0], c.uncertain[:0]
	if c.settled(a) {
		c.gather(a)
		return c.expected, c.uncertain
	}
	c.people[a.Participant].mark = c.stamp // never uncertain
	elusive := false
	for _, x := range c.crossings.all[c.crossings.begin:] {
		if x.at > a.Due+c.options.Window {
			break
		}
		elusive = elusive || a.Target >= 0 && x.participant == a.Target && a.Target != a.Participant
		if c.sites.watches(x.from, a.site) != c.sites.watches(x.to, a.site) {
			c.doubt(x.participant)
		}
	}
	if a.from >= 0 {
		for _, near := range c.sites.around(a.from) {
			if c.sites.watches(near, a.site) {
				continue
			}
			for i := c.sites.all[near].first; i >= 0; i = c.people[i].next {
				c.doubt(i)
			}
		}
	}
	c.people[a.Participant].mark = 0
	c.gather(a)
	if elusive {
		c.doubtAll(a.Participant)
	}
	return c.expected, c.uncertain
}

// AppendSeen appends the participants whom one sees, itself among them: all present
// whose own cell is within the ring of its own, in the same place, as of the action
// that Next gave last.
func (c *Crowd) AppendSeen(dst []int32, participant int32) []int32 {
	for _, near := range c.sites.around(c.people[participant].site) {
		for i := c.sites.all[near].first; i >= 0; i = c.people[i].next {
			dst = append(dst, i)
		}
	}
	return dst
}

// settled says that nobody around crosses.
func (c *Crowd) settled(a *Action) bool {
	if a.from >= 0 {
		return false
	}
	for _, near := range c.sites.around(a.site) {
		if c.sites.all[near].unsettled > 0 {
			return false
		}
	}
	return true
}

// gather lists who is around and not in doubt.
func (c *Crowd) gather(a *Action) {
	for _, near := range c.sites.around(a.site) {
		for i := c.sites.all[near].first; i >= 0; i = c.people[i].next {
			if c.people[i].mark != c.stamp {
				c.expected = append(c.expected, i)
			}
		}
	}
}

func (c *Crowd) doubt(i int32) {
	if p := &c.people[i]; p.mark != c.stamp && p.here {
		p.mark = c.stamp
		c.uncertain = append(c.uncertain, i)
	}
}

func (c *Crowd) doubtAll(but int32) {
	for _, i := range c.expected {
		if i != but {
			c.doubt(i)
		}
	}
	c.expected = append(c.expected[:0], but)
}
