package target

import (
	"os"
	"time"
)

// Waited is for how long threads of its processes and of this one that are there now
// have waited for a core, in all; false where the kernel does not tell.
func (s *Self) Waited() (waited time.Duration, known bool) {
	pids := []int{os.Getpid()}
	for _, c := range s.servers {
		pids = append(pids, c.pid())
	}
	for _, store := range s.redis {
		pids = append(pids, store.PID())
	}
	for _, pid := range pids {
		one, known := processWaited(pid)
		if !known {
			return 0, false
		}
		waited += one
	}
	return waited, true
}
