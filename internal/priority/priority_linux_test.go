package priority_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-vr/starling/internal/priority"
)

// inChild runs the test in a process of its own: a priority cannot be taken back.
func inChild(t *testing.T) bool {
	t.Helper()
	const child = "STARLING_TEST_PRIORITY"
	if os.Getenv(child) != "" {
		return true
	}
	run := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	run.Env = append(os.Environ(), child+"=1")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func TestAllThreadsHaveIt(t *testing.T) {
	if !inChild(t) {
		return
	}
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if before.Policy != unix.SCHED_NORMAL && before.Policy != unix.SCHED_BATCH {
		// One that somebody gave a policy of its own keeps that.
		if err := (priority.Priority{Nice: 19}).Process(); err != nil {
			t.Error(err)
		}
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := (priority.Priority{Nice: 19, Background: true}).Process(); err != nil {
			t.Fatal(err)
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil || len(threads) < 2 {
		t.Fatal(err, len(threads))
	}
	some := 0
	for _, thread := range threads {
		id, _ := strconv.Atoi(thread.Name())
		attr, err := unix.SchedGetAttr(id, 0)
		if errors.Is(err, unix.ESRCH) {
			continue // it ended
		}
		if err != nil {
			t.Fatal(err)
		}
		if attr.Policy == unix.SCHED_BATCH && attr.Nice == 19 {
			some++
		}
		if attr.Policy == unix.SCHED_NORMAL {
			t.Errorf("thread %s has niceness %d and no background", thread.Name(), attr.Nice)
		}
	}
	if some == 0 {
		t.Error("no thread is in the background")
	}
}

// A slice is there afterwards, or an error says that this kernel has none.
func TestSlice(t *testing.T) {
	if !inChild(t) {
		return
	}
	runtime.LockOSThread()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0); err != nil {
		t.Fatal(err)
	}
	err := priority.Priority{Slice: priority.LeastSlice}.Thread()
	attr, got := unix.SchedGetAttr(0, 0)
	if got != nil {
		t.Fatal(got)
	}
	if has := time.Duration(attr.Runtime) == priority.LeastSlice; has != (err == nil) {
		t.Errorf("slice %d ns, error %v", attr.Runtime, err)
	}
}

func TestNothing(t *testing.T) {
	if err := (priority.Priority{}).Process(); err != nil {
		t.Error(err)
	}
	if err := (priority.Priority{}).Thread(); err != nil {
		t.Error(err)
	}
}
