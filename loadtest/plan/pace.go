package plan

import "time"

// pace decides how long a write waits for company: the rule of package
// gateway/hub, with the same constants.
type pace struct {
	share, deadline     time.Duration
	wait, reserve, each time.Duration
	busy, late          float64
	last, spent, behind time.Duration
	flushes             int
}

const (
	idleBusy  = 0.002
	shareBusy = 0.01
	fullBusy  = 0.04
	firstEach = 10 * time.Microsecond
)

func newPace(share, deadline time.Duration) pace {
	return pace{share: share, deadline: deadline, reserve: deadline / 4, each: firstEach}
}

func (p *pace) worked(flushes int, took, late time.Duration) {
	p.flushes += flushes
	p.spent += took
	p.behind += time.Duration(flushes) * max(0, late)
}

func (p *pace) tick(now time.Duration) {
	if elapsed := now - p.last; elapsed > 0 {
		p.busy += (min(1, float64(p.spent)/float64(elapsed)) - p.busy) / 4
	}
	if p.flushes > 0 {
		p.each += (p.spent/time.Duration(p.flushes) - p.each) / 8
		p.late += (float64(p.behind)/float64(p.flushes) - p.late) / 4
	}
	p.last, p.spent, p.behind, p.flushes = now, 0, 0, 0
	p.reserve = min(p.deadline/4+time.Duration(2*p.late), p.deadline*3/4)
	switch {
	case p.share == 0 || p.busy <= idleBusy:
		p.wait = 0
	case p.busy <= shareBusy:
		p.wait = time.Duration((p.busy - idleBusy) / (shareBusy - idleBusy) * float64(p.share))
	default:
		beyond := max(0, p.deadline-p.reserve-p.share)
		p.wait = p.share + time.Duration(min(1, (p.busy-shareBusy)/(fullBusy-shareBusy))*float64(beyond))
	}
}

func (p *pace) due(now, arrived time.Duration) time.Duration {
	if p.wait == 0 {
		return now
	}
	return min(now+p.wait, arrived+p.deadline-p.reserve)
}
