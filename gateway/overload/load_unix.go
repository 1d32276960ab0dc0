//go:build unix

package overload

import (
	"syscall"
	"time"
)

// processorTime is what the process has used of the processors so far.
func processorTime() (time.Duration, bool) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0, false
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), true
}
