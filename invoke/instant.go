package invoke

import "time"

// Instant is a point in time: nanoseconds of one monotonic clock of this
// process. It is never zero, so that a zero Instant means "not given"; two
// Instants compare with < and >. An Instant means nothing to another process:
// send an age instead.
type Instant int64

// Add returns the instant d later.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Clock tells the time. It must never go backwards.
type Clock func() Instant

// The origin lies an hour before the first reading, so that an arrival a
// little before the start of the process is still positive.
var clockOrigin = time.Now().Add(-time.Hour)

// Now reads the process's monotonic clock, the default Clock.
func Now() Instant { return Instant(time.Since(clockOrigin)) }
