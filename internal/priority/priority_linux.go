package priority

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Process sets the priority of all threads of this process: on Linux each has its own,
// and one that is made has that of the thread that makes it. So it looks again until
// no thread is there that it has not seen.
func (p Priority) Process() error {
	if p == (Priority{}) {
		return nil
	}
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
			if err := p.set(id); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// Thread sets the priority of the calling thread, which the processes and threads that
// it starts inherit. Lock the goroutine to it (runtime.LockOSThread) and do not unlock it.
func (p Priority) Thread() error {
	if p == (Priority{}) {
		return nil
	}
	return p.set(0)
}

// set leaves what the Priority does not name as it is.
func (p Priority) set(thread int) error {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err != nil {
		return fmt.Errorf("sched_getattr: %w", err)
	}
	if attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return nil // somebody gave it another on purpose
	}
	if p.Nice != 0 {
		attr.Nice = int32(p.Nice)
	}
	if p.Background {
		attr.Policy = unix.SCHED_BATCH
	}
	if p.Slice != 0 {
		attr.Runtime = uint64(p.Slice)
	}
	if err := unix.SchedSetAttr(thread, attr, 0); err != nil {
		return fmt.Errorf("sched_setattr: %w", err)
	}
	if p.Slice == 0 {
		return nil
	}
	if now, err := unix.SchedGetAttr(thread, 0); err != nil || now.Runtime != attr.Runtime {
		return fmt.Errorf("slice %v: this kernel does not set it (Linux 6.12 does)", p.Slice)
	}
	return nil
}
