package stream

import "math"

// urgency says in which order a poller takes what is due if not all of it can make the
// limit any more. What can still make it goes first; what cannot is put off until
// nothing else is due. In the order of falling due, one gap in which the core was away
// would make every record late until the backlog is gone; so it is only those of the gap.
// Overloaded systems with deadlines have long been scheduled so: what would make others
// late is put off, and made up for when there is time (Buttazzo and Stankovic, "RED:
// Robust Earliest Deadline Scheduling", 1993).
type urgency struct {
	on bool
	// calm is as oldest, for the kernels that are done with all of them soonest.
	calm [MostAtOnce + 1]int64
	// oldest is, for so many due records, how many ticks before now the first of them may
	// have been due so that all can make the limit; below 0 if they never can.
	oldest [MostAtOnce + 1]int64
	// plan is the kernel to begin with then.
	plan [MostAtOnce + 1]uint8
	// most is for how many due records oldest is worth asking.
	most uint64
	// spare is the kernel for what was put off: what falls due meanwhile makes the limit.
	spare uint8
}

// caution is by which part kernels may take longer than they took when they were timed.
const caution = 8

// newUrgency plans for records that fall due interval ticks one after another, at most
// atOnce of them at a time.
func newUrgency(c *compiled, limit uint64, interval float64, atOnce uint64) (u urgency) {
	if limit > math.MaxInt64 || len(c.kernels) == 0 {
		return u
	}
	cost := func(k int) int64 {
		t := c.costs[k] + c.batch
		return int64(t + t/caution)
	}
	// allowed is when the oldest of n may have been due if a batch of kernel k comes first,
	// and then what rest says: each batch must end in time.
	allowed := func(n, k int, rest *[MostAtOnce + 1]int64) int64 {
		t := int64(limit) - cost(k)
		if size := min(c.kernels[k].Size, int(atOnce)); n > size {
			t = min(t, rest[n-size]-cost(k)+int64(float64(size)*interval))
		}
		return t
	}
	for n := 1; n <= MostAtOnce; n++ {
		u.oldest[n] = math.MinInt64
		// The quickest kernel would leave room for the oldest record, but a poller that falls
		// behind with it soon has nothing left that is in time.
		keepsUp := func(k int) bool {
			return float64(cost(k)) <= float64(min(n, c.kernels[k].Size, int(atOnce)))*interval
		}
		any := false
		for k := range c.kernels {
			any = any || keepsUp(k)
		}
		for k := range c.kernels {
			if any && !keepsUp(k) {
				continue
			}
			if t := allowed(n, k, &u.oldest); t >= u.oldest[n] {
				u.oldest[n], u.plan[n] = t, uint8(k)
			}
		}
		u.calm[n] = allowed(n, int(c.plan[min(n, int(atOnce))]), &u.calm)
		if u.oldest[n] >= int64(float64(n-1)*interval) {
			u.most = uint64(n)
		}
	}
	u.on = u.most > 0
	for k := range c.kernels {
		meanwhile := min(int(float64(cost(k))/max(interval, 1))+1, MostAtOnce)
		if k == 0 || cost(k) <= u.oldest[meanwhile] {
			u.spare = uint8(k)
		}
	}
	return u
}

// stretch is a row of records: those from first on, up to end.
type stretch struct{ first, end uint64 }

// mostStretches is how many gaps a poller can be behind with.
const mostStretches = 1024

// backlog is what was put off, the oldest first.
type backlog struct {
	stretches [mostStretches]stretch
	head, n   int
}

func (b *backlog) at(i int) *stretch { return &b.stretches[(b.head+i)%mostStretches] }

// put adds records behind the others; false if there is no room.
func (b *backlog) put(first, end uint64) bool {
	if b.n > 0 {
		if last := b.at(b.n - 1); last.end == first {
			last.end = end
			return true
		}
	}
	if b.n == mostStretches {
		return false
	}
	*b.at(b.n) = stretch{first, end}
	b.n++
	return true
}

// drop takes the first n records away, of the first stretch at most, and returns how many
// those were.
func (b *backlog) drop(n uint64) uint64 {
	s := b.at(0)
	n = min(n, s.end-s.first)
	if s.first += n; s.first == s.end {
		b.head = (b.head + 1) % mostStretches
		b.n--
	}
	return n
}

// shift renumbers all of it when an era ends.
func (b *backlog) shift(by uint64) {
	for i := range b.n {
		s := b.at(i)
		s.first -= by
		s.end -= by
	}
}

// choose says what to do next of what is due: n records from first on, by a kernel of
// the program; n is 0 if there is nothing to do. putOff says that they are of the backlog.
func (p *poller) choose(now, due uint64) (first, n uint64, kernel uint8, putOff bool) {
	plan := &p.program.plan
	if due > 0 {
		n = min(due, p.most)
		u := &p.urgency
		if !u.on || due <= MostAtOnce && int64(now-p.due(p.next)) <= u.calm[due] {
			return p.next, n, plan[n], false
		}
		if p.crowded() {
			s := p.behind.at(0)
			n = min(s.end-s.first, p.most)
			return s.first, n, plan[n], true
		}
		timely, ok := p.timely(now, due)
		if !ok {
			return p.next, n, plan[n], false
		}
		if timely > 0 {
			return p.next, min(timely, p.most), u.plan[timely], false
		}
	}
	if p.behind.n == 0 {
		return p.next, 0, 0, false
	}
	s := p.behind.at(0)
	return s.first, min(s.end-s.first, p.most), p.urgency.spare, true
}

// timely finds how many of the due records can make the limit, the youngest, and puts
// the others off; false if a ring's poller cannot note any more of them.
func (p *poller) timely(now, due uint64) (n uint64, ok bool) {
	u := &p.urgency
	for n = min(due, u.most); n > 0; n-- {
		if int64(now-p.due(p.next+due-n)) <= u.oldest[n] {
			break
		}
	}
	late := due - n
	if late == 0 {
		return n, true
	}
	if !p.behind.put(p.next, p.next+late) {
		if p.ring != nil {
			return 0, false
		}
		p.counters.lost += p.behind.drop(math.MaxUint64) // far behind for good: the oldest
		p.behind.put(p.next, p.next+late)
	}
	p.next += late
	p.counters.putOff += late
	return n, true
}

// crowded says that what was put off takes half of a ring: its producer needs the room.
func (p *poller) crowded() bool {
	return p.ring != nil && p.behind.n > 0 && p.next-p.behind.at(0).first > p.mask/2
}

// due is the tick at which a record is due.
func (p *poller) due(record uint64) uint64 {
	if p.ring != nil {
		return p.ring.due[record&p.mask]
	}
	return p.table.at(record)
}
