// Package arrival tells when what a socket receives reached this machine, as the
// kernel noted it: what waits unread because a process was busy, or had no
// processor, came when it came. On Linux only; elsewhere there are no stamps.
package arrival

import "time"

const (
	// resync is how long the difference of the two clocks is good: they are slewed
	// by 0.05 % at most, 50 us.
	resync = 100 * time.Millisecond
	// longestUnread is the longest that bytes are believed to have waited: what
	// seems to be older was stamped by a clock that was set.
	longestUnread = time.Second
)

// Clock turns the kernel's times, which are of the day, into times since an
// epoch, which never go back. It belongs to one goroutine.
type Clock struct {
	epoch  time.Time
	ahead  int64 // nanoseconds since 1970 at the epoch; 0: not synced yet
	synced time.Duration
}

// NewClock makes a clock for times since epoch, which has to have a monotonic
// reading (as those of time.Now have).
func NewClock(epoch time.Time) Clock { return Clock{epoch: epoch} }

// Sync notes how the two clocks differ, unless it did so within the last 100 ms.
// It is to be called before Since; now is the time since the epoch.
func (c *Clock) Sync(now time.Duration) {
	if c.ahead == 0 || now-c.synced >= resync {
		at := time.Now()
		c.ahead, c.synced = at.UnixNano()-int64(at.Sub(c.epoch)), now
	}
}

// Since gives a stamp, in nanoseconds since 1970, as the time since the epoch. It
// is now, the time since the epoch at which the bytes were read, where there is
// no stamp (0) or one that cannot be: later than now, or more than a second ago.
func (c *Clock) Since(stamp int64, now time.Duration) time.Duration {
	if at := time.Duration(stamp - c.ahead); stamp != 0 && at <= now && at >= now-longestUnread {
		return at
	}
	return now
}
