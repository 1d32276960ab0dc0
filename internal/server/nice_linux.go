package server

import (
	"os"
	"strconv"
	"syscall"
)

// beNice sets the niceness of all threads of the process: on Linux each has its own,
// and one that is made has that of the thread that makes it. So it looks again until
// no thread is there that it has not seen.
func beNice(nice int) error {
	set := make(map[string]bool)
	for more := true; more; {
		more = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, thread := range threads {
			if set[thread.Name()] {
				continue
			}
			set[thread.Name()], more = true, true
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, nice); err != nil && err != syscall.ESRCH {
				return os.NewSyscallError("setpriority", err)
			}
		}
	}
	return nil
}
