package stream

import (
	"math/bits"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// cpuSet is the kernel's cpu_set_t, for 1,024 processors.
type cpuSet [16]uint64

// AllowedCores lists the processors that this process may use, ascending; empty if
// the system does not tell.
func AllowedCores() (cores []int) {
	var set cpuSet
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set))); errno != 0 {
		return nil
	}
	for i, word := range set {
		for ; word != 0; word &= word - 1 {
			cores = append(cores, i*64+bits.TrailingZeros64(word))
		}
	}
	return cores
}

// pinThread keeps the calling thread on one processor.
func pinThread(core int) error {
	var set cpuSet
	if core < 0 || core >= len(set)*64 {
		return syscall.EINVAL
	}
	set[core/64] = 1 << (core % 64)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set))); errno != 0 {
		return errno
	}
	return nil
}

// niceThread sets the calling thread's niceness, -20 to 19.
func niceThread(nice int) error {
	return syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), nice)
}

const setTimerSlack = 29 // PR_SET_TIMERSLACK

// sharpenTimer lets the calling thread wake up when it asked to, not up to 50 us
// later together with others (prctl(2)).
func sharpenTimer() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
}

// yieldCore lets other threads of the core go first.
func yieldCore() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
}

// sleepThread sleeps without the Go scheduler's knowing, which would take 0.1 ms
// or more to let the thread go on. A collection ends the sleep: its signal does.
func sleepThread(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
	runtime.KeepAlive(&ts)
}
