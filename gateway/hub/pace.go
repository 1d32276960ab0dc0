package hub

import "time"

// pace decides how long a flush waits for company. Writes are what costs, and
// waiting saves writes: not at all while the hub is idle, up to the share as it
// gets busier, and from then on up to what an update's deadline leaves.
type pace struct {
	share    time.Duration
	deadline time.Duration

	wait    time.Duration // of what comes now
	reserve time.Duration // of the deadline, kept for the write and the way to the socket
	each    time.Duration // that one flush takes, smoothed
	busy    float64       // share of the time spent on flushes, smoothed
	late    float64       // nanoseconds by which flushes came after they were due, smoothed
	caution time.Duration // more to be kept, because too many updates left old
	ease    float64       // how much later than usual what comes may come, 0 to 1
	part    float64       // of updates that leave old, smoothed
	told    bool          // enough updates left in the last tick to say something

	// Since the last tick.
	last    time.Time
	spent   time.Duration
	behind  time.Duration
	flushes int
	updates int
	old     int // of the updates
}

// Shares of the time that a hub spends on flushes.
const (
	idleBusy  = 0.002 // below it nothing waits
	shareBusy = 0.01  // the whole share is used
	fullBusy  = 0.04  // all that the deadline leaves is used
)

// firstEach is what a flush is taken to cost before any was measured.
const firstEach = 10 * time.Microsecond

func newPace(share, deadline time.Duration) pace {
	return pace{share: share, deadline: deadline, reserve: reserved(deadline), each: firstEach}
}

// worked notes flushes and the time they took, and by how much they were late.
func (p *pace) worked(flushes int, took, late time.Duration) {
	p.flushes += flushes
	p.spent += took
	p.behind += time.Duration(flushes) * max(0, late)
}

// left notes how old an update was when it was handed to a socket.
func (p *pace) left(age time.Duration) {
	p.updates++
	if age > oldAge(p.deadline) {
		p.old++
	}
}

// oldAge is the age from which on an update is old: no flush waits that long.
func oldAge(deadline time.Duration) time.Duration { return deadline * 3 / 4 }

// enoughUpdates is how many tell something.
const enoughUpdates = 20

// learn keeps more of the deadline while more than 1 % of updates are three
// quarters of it old when they leave, and dares less and less of that later:
// additive increase, multiplicative decrease (Chiu and Jain, 1989).
func (p *pace) learn() {
	if p.told = p.updates >= enoughUpdates; !p.told {
		return
	}
	if p.old*100 > p.updates {
		p.caution = min(p.caution+p.deadline/15, p.deadline/2)
	} else {
		p.caution -= p.caution / 16
	}
	p.part += (float64(p.old)/float64(p.updates) - p.part) / 8
	switch {
	case p.part < easyPart:
		p.ease = min(1, p.ease+easeStep)
	case p.part > hardPart:
		p.ease *= easeKept
	}
	p.updates, p.old = 0, 0
}

const (
	// Parts of updates that leave old: below the first there is time to spare,
	// above the second there is none.
	easyPart = 0.015
	hardPart = 0.025
	// easeStep is what a tick adds: from nothing to all in two seconds.
	easeStep = 1. / 40
	// easeKept is what a tick without time to spare leaves.
	easeKept = 0.85
)

// tick renews the estimates; some times a second.
func (p *pace) tick(now time.Time) {
	if elapsed := now.Sub(p.last); !p.last.IsZero() && elapsed > 0 {
		p.busy += (min(1, float64(p.spent)/float64(elapsed)) - p.busy) / 4
	}
	if p.flushes > 0 {
		p.each += (p.spent/time.Duration(p.flushes) - p.each) / 8
		p.late += (float64(p.behind)/float64(p.flushes) - p.late) / 4
	}
	p.last, p.spent, p.behind, p.flushes = now, 0, 0, 0
	p.learn()
	// Part of the deadline is for the way to the gateway, the write, and the
	// way to the client; where flushes come late, so much more.
	p.reserve = min(reserved(p.deadline)+time.Duration(2*p.late)+p.caution, p.deadline*3/4)
	if p.wait = p.waitAt(p.busy); p.wait < leisure {
		p.ease = 0
	}
}

func (p *pace) waitAt(busy float64) time.Duration {
	if p.share == 0 || busy <= idleBusy {
		return 0
	}
	if busy <= shareBusy {
		return time.Duration((busy - idleBusy) / (shareBusy - idleBusy) * float64(p.share))
	}
	beyond := max(0, p.deadline-p.reserve-p.share)
	return p.share + time.Duration(min(1, (busy-shareBusy)/(fullBusy-shareBusy))*float64(beyond))
}

// due is when something that arrived at the gateway at arrived must leave.
func (p *pace) due(now, arrived time.Time) time.Time {
	if p.wait == 0 {
		return now
	}
	due := now.Add(p.wait)
	if latest := arrived.Add(p.deadline - p.reserve); latest.Before(due) {
		return latest
	}
	return due
}

// reserved is what is kept of the deadline where flushes come in time: 5 of 15 ms.
func reserved(deadline time.Duration) time.Duration { return deadline / 3 }
