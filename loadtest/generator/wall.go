package generator

import "time"

// wall turns the kernel's times, which are of the day, into the loop's.
type wall struct {
	ahead  int64 // nanoseconds since 1970 at the loop's epoch
	synced int64
	blind  int // reads whose bytes bore no stamp
}

// Bounds of a stamp.
const (
	resync    = int64(100 * time.Millisecond) // clocks are slewed by 0.05 % at most: 50 us
	oldestNew = int64(time.Second)            // what seems to be older was stamped by a clock that was set
)

// sync notes how the clocks differ.
func (w *wall) sync(epoch time.Time, now int64) {
	if w.ahead == 0 || now-w.synced >= resync {
		at := time.Now()
		w.ahead, w.synced = at.UnixNano()-int64(at.Sub(epoch)), now
	}
}

// arrived is when something stamped came, of what was read now. What is read at
// once counts as having come with the last of it.
func (w *wall) arrived(stamp, now int64) int64 {
	if stamp == 0 {
		w.blind++
		return now
	}
	at := stamp - w.ahead
	if at > now || at < now-oldestNew {
		return now
	}
	return at
}
