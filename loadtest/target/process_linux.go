package target

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// childAttributes: the child ends with this process, and signals to the
// terminal's group do not reach it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// processCPU gives the processor seconds of a process, kernel included, to the
// nanosecond. Source: the encoding of clock ids in linux/posix-timers.h
// (CPUCLOCK_SCHED of a process), as clock_getcpuclockid(3) gives it.
func processCPU(pid int) (float64, error) {
	const schedule = 2
	id := int32(^pid)<<3 | schedule
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, errno)
	}
	return float64(ts.Nano()) / 1e9, nil
}

// processWaited is for how long the threads of a process that are there now have
// waited for a core. Source: Documentation/scheduler/sched-stats.rst of Linux.
func processWaited(pid int) (waited time.Duration, known bool) {
	threads := "/proc/" + strconv.Itoa(pid) + "/task"
	entries, err := os.ReadDir(threads)
	if err != nil {
		return 0, false
	}
	for _, entry := range entries {
		text, err := os.ReadFile(threads + "/" + entry.Name() + "/schedstat")
		if err != nil { // it ended, or the kernel does not count
			continue
		}
		fields := strings.Fields(string(text))
		if len(fields) < 2 {
			return 0, false
		}
		nanoseconds, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, false
		}
		waited, known = waited+time.Duration(nanoseconds), true
	}
	return waited, known
}

// residentMemory gives the resident memory of a process in bytes.
func residentMemory(pid int) (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm: %q", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
