package workflow

import (
	"fmt"
	"time"
)

// reckoning is how long a document takes by itself: what is done with it as a whole, and
// what is done with its parts by so many workers; 0 if it is not split.
type reckoning struct {
	whole, mapped cost
	workers       float64
	size          int
}

func (r reckoning) took() time.Duration {
	if r.workers == 0 {
		return time.Duration(r.whole.at(r.size))
	}
	return time.Duration(float64(r.whole.at(r.size)) + float64(r.mapped.at(r.size))/r.workers)
}

// String shows what it is made of.
func (r reckoning) String() string {
	if r.workers == 0 {
		return r.whole.of(r.size)
	}
	return fmt.Sprintf("the whole: %s; its parts on %.3g workers: %s", r.whole.of(r.size), r.workers, r.mapped.of(r.size))
}

// of shows what a line is at a size.
func (c cost) of(size int) string {
	return fmt.Sprintf("fixed %v + %.4g ns x size %d = %v",
		time.Duration(c.fixed).Round(time.Microsecond), c.slope, size, time.Duration(c.at(size)).Round(time.Microsecond))
}
