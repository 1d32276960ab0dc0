package calibrate

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How long who wakes works before, so that the other cores rest, and after, so that
// the woken thread has to go elsewhere or to wait.
const (
	worksBefore = 150 * time.Microsecond
	worksAfter  = 250 * time.Microsecond
)

// moveShare is the share of wakes for which the kernel lets a thread go to a core
// that rests, when the core that it ran on last works: one thread wakes another, that
// sleeps, from the core where that ran last, and goes on working.
func moveShare(ctx context.Context, n int) (float64, error) {
	if runtime.NumCPU() < 2 {
		return 0, nil
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[0])
	var core, turns atomic.Int64
	ended := make(chan struct{})
	go func() { // the woken one
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var b [1]byte
		for {
			core.Store(int64(currentCore()))
			turns.Add(1)
			if got, err := unix.Read(pipe[0], b[:]); err == unix.EINTR {
				continue
			} else if err != nil || got == 0 {
				return
			}
		}
	}()
	moved, counted, err := wakeByTurns(ctx, pipe[1], n, &core, &turns)
	_ = unix.Close(pipe[1])
	<-ended
	if err != nil || counted == 0 {
		return 0, err
	}
	return float64(moved) / float64(counted), nil
}

// wakeByTurns wakes the reader of a pipe, n times, on a thread bound to where that
// ran last.
func wakeByTurns(ctx context.Context, pipe, n int, core, turns *atomic.Int64) (moved, counted int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread, which is bound to a core, ends
		for range n {
			if ctx.Err() != nil {
				return
			}
			before, turn := core.Load(), turns.Load()
			var set unix.CPUSet
			set.Set(int(before))
			if err = unix.SchedSetaffinity(0, &set); err != nil {
				err = fmt.Errorf("counting where threads wake: %w", os.NewSyscallError("sched_setaffinity", err))
				return
			}
			work(worksBefore)
			if _, err = unix.Write(pipe, []byte{1}); err != nil {
				return
			}
			work(worksAfter)
			time.Sleep(probePause)
			for limit := time.Now().Add(time.Second); turns.Load() == turn && time.Now().Before(limit); {
				time.Sleep(probePause)
			}
			counted++
			if core.Load() != before {
				moved++
			}
		}
	}()
	<-done
	return moved, counted, err
}

// work keeps a core busy for so long.
func work(d time.Duration) {
	for until := time.Now().Add(d); time.Now().Before(until); {
	}
}

func currentCore() (core uint32) {
	_, _, _ = unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&core)), 0, 0)
	return core
}
