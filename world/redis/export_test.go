package redis

import "time"

// IntervalAt gives the least time between two round trips.
func IntervalAt(c Config, ease float64) time.Duration {
	c.setDefaults()
	return c.interval(ease)
}
