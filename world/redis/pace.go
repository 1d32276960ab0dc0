package redis

import "time"

// pace says how far apart the rounds of a node are. A round costs the same
// whatever it carries, so they are as far apart as the time for a commit allows:
// what waits, and twice what nine answers in ten take, fit into commitShare.
// Twice, because where answers are slow they vary, and what comes after a commit
// is slow as well: there the rounds are close, and what waits is the queue.
type pace struct {
	least, most time.Duration
	slow        time.Duration // what nine answers in ten take at most, by the last few hundred
}

const (
	// commitShare gives rounds 4 ms while answers take up to 1.5 ms, and 2 ms from
	// 2.5 ms on.
	commitShare = 7 * time.Millisecond
	// paceStep is how far one answer moves what nine in ten take: down by a tenth
	// of it, up by nine.
	paceStep = 40 * time.Microsecond
)

// answered notes what a round took, from the time it was due.
func (p *pace) answered(took time.Duration) {
	if took > p.slow {
		p.slow += paceStep * 9 / 10
	} else {
		p.slow -= paceStep / 10
	}
}

// interval is from the beginning of one round to that of the next, at least.
func (p *pace) interval() time.Duration {
	return max(p.least, min(p.most, commitShare-2*p.slow))
}
