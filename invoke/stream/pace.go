package stream

import "time"

// Pace is what a poller does while nothing is due.
type Pace uint8

const (
	// Pinned pollers have a core of their own and never leave it: the answer to a
	// limit below what waking up takes.
	Pinned Pace = iota
	// Yielding pollers leave the core to others. If the next record is far they sleep
	// until shortly before it is due; else they let others go first, which costs them
	// what those take.
	Yielding
)

func (p Pace) String() string {
	if p == Yielding {
		return "yielding"
	}
	return "pinned"
}

// pace is how a poller leaves its core, with what it learned of waking up.
type pace struct {
	yields bool
	// margin is how many ticks before the next record it wants to wake: what
	// waking was late by in all but one of twenty cases.
	margin      uint64
	least, most uint64
	slack       uint64 // how many ticks after it is due a record may find the poller asleep
	ticksPerNS  float64
	quiet       uint64 // since this tick a ring has been empty; 0 if it is not
}

const (
	firstMargin  = 50 * time.Microsecond
	leastMargin  = 5 * time.Microsecond
	mostMargin   = 2 * time.Millisecond
	longestNap   = 10 * time.Millisecond // so that others' requests are heard
	slackShare   = 3                     // what part of the deadline a record may wait for the poller to wake
	ringPatience = 100 * time.Microsecond
	ringNap      = 50 * time.Microsecond
)

// newPace is for records with so long a deadline; 0 is none, and none may wait.
func newPace(kind Pace, clock *Clock, deadline time.Duration) pace {
	return pace{
		yields: kind == Yielding, margin: clock.Ticks(firstMargin), slack: clock.Ticks(deadline / slackShare),
		least: clock.Ticks(leastMargin), most: clock.Ticks(mostMargin), ticksPerNS: clock.Frequency / 1e9,
	}
}

// nap is how long to sleep if the next record is due so many ticks from now; 0 is
// not at all, since waking would take as long. Where deadlines are long it wakes after
// the record, and so for several at a time.
func (p *pace) nap(until uint64) time.Duration {
	until += p.slack
	if until < 2*p.margin {
		return 0
	}
	return min(time.Duration(float64(until-p.margin)/p.ticksPerNS), longestNap)
}

// woke learns from a nap that was to take asked and took took ticks: the margin
// goes up nineteen steps where it was too small and down one where it was not, so
// that it settles where one nap in twenty is later.
func (p *pace) woke(asked, took uint64) {
	step := p.margin/128 + 1
	if took > asked+p.margin {
		p.margin = min(p.margin+19*step, p.most)
	} else {
		p.margin = max(p.margin-step, p.least)
	}
}

// leave gives the core to others, until shortly before the next record is due if
// that is known.
func (p *poller) leave(now uint64) {
	var nap time.Duration
	switch {
	case p.ring == nil:
		nap = p.pace.nap(p.table.at(p.next) - now)
	case p.pace.quiet == 0:
		p.pace.quiet = now
	case float64(now-p.pace.quiet) > float64(ringPatience)*p.pace.ticksPerNS:
		nap = ringNap
	}
	if nap == 0 {
		yieldCore()
		return
	}
	sleepThread(nap)
	if p.ring == nil {
		p.pace.woke(uint64(float64(nap)*p.pace.ticksPerNS), p.read()-now)
	}
}
