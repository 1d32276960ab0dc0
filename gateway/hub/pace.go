package hub

import "time"

// pace decides how long a flush waits for company. Writes are what costs, and
// waiting saves writes: not at all while the hub is idle, up to the share as it
// gets busier, and never past what an update's deadline leaves.
type pace struct {
	share time.Duration
	wait  time.Duration
	busy  float64 // share of the time spent writing, smoothed
	spent time.Duration
	last  time.Time
}

const (
	// Below idleBusy nothing waits; from fullBusy on the whole share is used.
	idleBusy = 0.05
	fullBusy = 0.25
	// reserve of the deadline for the write itself and the way to the socket.
	reserve = 3 * time.Millisecond
)

func newPace(share time.Duration) pace { return pace{share: share} }

func (p *pace) worked(d time.Duration) { p.spent += d }

// tick renews the estimate; some times a second.
func (p *pace) tick(now time.Time) {
	if elapsed := now.Sub(p.last); !p.last.IsZero() && elapsed > 0 {
		p.busy = (p.busy + min(1, float64(p.spent)/float64(elapsed))) / 2
	}
	p.last, p.spent = now, 0
	load := max(0, min(1, (p.busy-idleBusy)/(fullBusy-idleBusy)))
	p.wait = time.Duration(load * float64(p.share))
}

// due is when something that arrived at the gateway at arrived must leave.
func (p *pace) due(now, arrived time.Time, deadline time.Duration) time.Time {
	if p.wait == 0 {
		return now
	}
	due := now.Add(p.wait)
	if latest := arrived.Add(deadline - reserve); latest.Before(due) {
		return latest
	}
	return due
}
