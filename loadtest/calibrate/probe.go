package calibrate

import (
	"context"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/processor"
	"github.com/starling-vr/starling/loadtest/plan"
)

// probed is what the machine itself takes time for, measured alone: no server is
// there, so that nothing has to be told apart.
type probed struct {
	wake   time.Duration // median from waking a thread that rests to its running
	sync   plan.Spread   // waiting for the disk, without the processor time of asking
	stalls plan.Stalls
	slice  time.Duration // that a thread asks the kernel for a core for
	moves  float64       // share of wakes for which a thread goes to a core that rests, as its own works
}

// How long the probes take.
const (
	probeWakes  = 400              // one each pause
	probeSyncs  = 10 * time.Second // one each pause; the longest are what matters, and rare
	probeStalls = 3 * time.Second
	probeMoves  = 500                  // one each pause
	probePause  = 2 * time.Millisecond // about that of a server's round trips to its store
)

// probe measures the machine, and the disk that holds directory ("": that of
// temporary files) unless that is not asked for.
func probe(ctx context.Context, directory string, disk bool) (p probed, err error) {
	if p.wake, err = wakeTime(ctx, probeWakes); err != nil {
		return p, err
	}
	if disk {
		if p.sync, err = syncTimes(ctx, directory, probeSyncs); err != nil {
			return p, err
		}
	}
	if p.moves, err = moveShare(ctx, probeMoves); err != nil {
		return p, err
	}
	cores := runtime.NumCPU()
	p.slice = sliceTime(cores)
	p.stalls = plan.Stalls{Some: stalls(ctx, max(1, cores/2), probeStalls), All: stalls(ctx, cores, probeStalls)}
	return p, ctx.Err()
}

// wakeTime is the median time from writing to a pipe to the end of another thread's
// read from it, when both and the cores have rested a little.
func wakeTime(ctx context.Context, n int) (time.Duration, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	woken := make(chan time.Time, 1)
	go func() {
		defer close(woken)
		var b [1]byte
		for {
			if _, err := r.Read(b[:]); err != nil {
				return
			}
			woken <- time.Now()
		}
	}()
	var all []time.Duration
	for range n {
		if ctx.Err() != nil {
			break
		}
		time.Sleep(probePause)
		asked := time.Now()
		if _, err = w.Write([]byte{1}); err != nil {
			break
		}
		all = append(all, (<-woken).Sub(asked))
	}
	_ = w.Close()
	for range woken {
	}
	if err != nil || len(all) == 0 {
		return 0, fmt.Errorf("waking a thread: %w", err)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// sliceTime is what the kernel's scheduler gives a thread at a time, as it says of
// this one; where it does not, 0.7 ms times one and the logarithm of the cores, eight
// at most (kernel/sched/fair.c of Linux 6.18).
func sliceTime(cores int) time.Duration {
	text, _ := os.ReadFile("/proc/thread-self/sched")
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) != "se.slice" {
			continue
		}
		if nanoseconds, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil && nanoseconds > 0 {
			return time.Duration(nanoseconds)
		}
	}
	return 700 * time.Microsecond * time.Duration(bits.Len(uint(min(cores, 8))))
}

// syncedBytes is what is written before each wait for the disk: about a round of
// small batches.
const syncedBytes = 2000

// syncTimes appends to a file and waits for the disk, again and again.
func syncTimes(ctx context.Context, directory string, during time.Duration) (plan.Spread, error) {
	file, err := os.CreateTemp(directory, "starling-calibrate-")
	if err != nil {
		return plan.Spread{}, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var all []time.Duration
	var spent time.Duration
	data := make([]byte, syncedBytes)
	for end := time.Now().Add(during); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(probePause) {
		if _, err := file.Write(data); err != nil {
			return plan.Spread{}, err
		}
		usedBefore, _ := processor.Time()
		before := time.Now()
		if err := syncData(file); err != nil {
			return plan.Spread{}, err
		}
		all = append(all, time.Since(before))
		used, _ := processor.Time()
		spent += used - usedBefore
	}
	if n := time.Duration(len(all)); n > 0 {
		for i := range all {
			all[i] = max(0, all[i]-spent/n) // the store's own time is among its other costs
		}
	}
	return plan.SpreadOf(all), nil
}

// shortestStall is how long a core must stand still for it to count: the kernel's
// ticks and interrupts are shorter, and part of all that is measured.
const shortestStall = 50 * time.Microsecond

// stalls keeps so many threads busy with looking at the clock: where it jumps, the
// core was taken away.
func stalls(ctx context.Context, spinners int, during time.Duration) plan.Stall {
	jumps := make([][]time.Duration, spinners)
	var group sync.WaitGroup
	for i := range spinners {
		group.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			last := time.Now()
			for end := last.Add(during); last.Before(end) && ctx.Err() == nil; {
				now := time.Now()
				if jump := now.Sub(last); jump >= shortestStall {
					jumps[i] = append(jumps[i], jump)
				}
				last = now
			}
		})
	}
	group.Wait()
	var all []time.Duration
	total := time.Duration(0)
	for _, some := range jumps {
		all = append(all, some...)
		for _, jump := range some {
			total += jump
		}
	}
	working := time.Duration(spinners)*during - total
	if len(all) == 0 || working <= 0 {
		return plan.Stall{}
	}
	return plan.Stall{PerS: float64(len(all)) / working.Seconds(), Time: plan.SpreadOf(all)}
}
