// Package processor tells how much time of the processors this process has used.
package processor

import "time"

// Time is what this process has used of all processors so far, in the kernel too, but
// without processes that it started. ok is false where the system does not tell.
func Time() (used time.Duration, ok bool) { return processTime() }
