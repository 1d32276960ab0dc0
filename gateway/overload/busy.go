package overload

import "time"

// enough is the share of the processors' time that this process must spend for
// old updates to count as its own overload: on a machine that is busy with other
// work, refusing actions would help nobody.
const enough = 0.3

// Busy measures the share of the processors' time that this process takes. One
// goroutine calls it, once a window; the first call gives 1.
type Busy struct {
	processors float64
	spent      func() (time.Duration, bool)
	used       time.Duration
	at         time.Time
}

// NewBusy measures against so many processors.
func NewBusy(processors int) *Busy {
	return &Busy{processors: float64(processors), spent: processorTime}
}

// Share is what the process took since the call before, 0 to 1; 1 where the
// system does not tell.
func (b *Busy) Share(now time.Time) float64 {
	used, ok := b.spent()
	before, at := b.used, b.at
	b.used, b.at = used, now
	elapsed := now.Sub(at)
	if !ok || at.IsZero() || elapsed <= 0 {
		return 1
	}
	return min(1, float64(used-before)/float64(elapsed)/b.processors)
}
