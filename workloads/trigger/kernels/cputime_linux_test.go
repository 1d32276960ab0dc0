package kernels_test

import (
	"runtime"
	"syscall"
	"testing"
)

// cpuTime reads the processor time of this thread in nanoseconds.
func cpuTime(b *testing.B) int64 {
	runtime.LockOSThread()
	b.Cleanup(runtime.UnlockOSThread)
	const thread = 1 // RUSAGE_THREAD
	var usage syscall.Rusage
	if err := syscall.Getrusage(thread, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano()
}
