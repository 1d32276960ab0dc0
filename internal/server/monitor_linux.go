package server

import (
	"fmt"
	"os"
	"slices"
	"strconv"
)

// monitorSlack is how late the runtime's monitor thread may wake.
const monitorSlack = "1000000" // nanoseconds

// calmMonitor lets the kernel wake the Go runtime's monitor thread (sysmon) up to
// a millisecond late. While a process is neither idle nor at its limit that
// thread asks to be woken every 20 µs to look for threads that hang in system
// calls: on a virtual machine, where a switch of threads costs 10 µs, a sixth of
// a gateway's processor time. Nothing here needs it: sockets are never waited
// for in system calls.
//
// The monitor is the first thread that the runtime makes after the main one
// (runtime.main, before package initialisation). Each thread's slack is a file:
// proc(5), timerslack_ns.
func calmMonitor() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var ids []int
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil && id > os.Getpid() {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", slices.Min(ids)), []byte(monitorSlack), 0)
}
