package target

import (
	"os"
	"runtime"
	"testing"
)

// Linux tells for how long threads waited for a core, and it only grows.
func TestThreadsThatWaitAreKnown(t *testing.T) {
	before, known := processWaited(os.Getpid())
	if !known {
		if runtime.GOOS == "linux" {
			if _, err := os.Stat("/proc/self/schedstat"); err == nil {
				t.Error("it is not told")
			}
		}
		return
	}
	if again, known := processWaited(os.Getpid()); !known || before < 0 || again < before {
		t.Errorf("%v, then %v, %v", before, again, known)
	}
	if _, known := processWaited(-1); known {
		t.Error("no process waited")
	}
}
