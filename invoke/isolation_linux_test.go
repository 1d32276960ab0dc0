package invoke_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/starling-vr/starling/invoke"
)

// spin works for so long as it takes on a processor of its own, and makes garbage as
// annotation does: 32 KiB each millisecond.
func spin(d time.Duration, eachMillisecond func()) {
	for ; d > 0; d -= time.Millisecond {
		turn(int(float64(min(d, time.Millisecond)) / spinCost))
		garbage.Store(new([32 << 10]byte))
		if eachMillisecond != nil {
			eachMillisecond()
		}
	}
}

var (
	spun     atomic.Uint64
	garbage  atomic.Pointer[[32 << 10]byte]
	spinCost float64 // nanoseconds a turn
)

func turn(n int) {
	x := uint64(n)
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	spun.Store(x)
}

func calibrate() {
	spinCost = 1e9
	for range 50 {
		start := time.Now()
		turn(1e6)
		spinCost = min(spinCost, float64(time.Since(start))/1e6)
	}
}

// A copy of the test binary is the other process that has the long runs.
func init() {
	kind := os.Getenv("STARLING_SPIN")
	if kind == "" {
		return
	}
	switch kind {
	case "nice":
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) // inherited by the threads that begin now
	case "idle":
		setScheduler(5, 0)
	}
	calibrate()
	var done atomic.Int64
	for range 2 {
		go func() {
			for {
				d := longTime()
				spin(d, nil)
				done.Add(int64(d))
			}
		}()
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it is closed
	_, _ = os.Stdout.WriteString(time.Duration(done.Load()).String())
	os.Exit(0)
}

// setScheduler sets policy and, for 0 (SCHED_OTHER), a slice of its own for the calling thread.
func setScheduler(policy uint32, slice time.Duration) {
	attr := struct {
		size, policy              uint32
		flags                     uint64
		nice                      int32
		priority                  uint32
		runtime, deadline, period uint64
	}{size: 48, policy: policy, runtime: uint64(slice)}
	const schedSetattr = 314 // x86-64
	_, _, _ = syscall.RawSyscall(schedSetattr, 0, uintptr(unsafe.Pointer(&attr)), 0)
}

func longTime() time.Duration {
	return 20*time.Millisecond + time.Duration(rand.Int64N(int64(70*time.Millisecond)))
}

// BenchmarkIsolation measures what long runs of 20 to 90 ms, as many as fit, do to short
// ones of 1 ms that come 200 times a second, on two processors. The table in
// docs/decisions/isolation.md comes from it:
//
//	go test -run '^$' -bench Isolation -benchtime 1x ./invoke
func BenchmarkIsolation(b *testing.B) {
	calibrate()
	const long = 5 * time.Millisecond
	any := invoke.Config{Workers: 2, ShortWorkers: -1, LongRun: long}
	half := invoke.Config{Workers: 2, ShortWorkers: 1, LongRun: long}
	beside := invoke.Config{Workers: 2, LongWorkers: 2, LongRun: long}
	for _, v := range []struct {
		name       string
		config     invoke.Config
		processors int // GOMAXPROCS
		process    string
		each       func()
		thread     func() // called on the thread of each long worker
	}{
		{name: "no-long-runs", config: half, processors: 2, process: "none"},
		{name: "any-worker", config: any, processors: 2},
		{name: "half-the-workers", config: half, processors: 2},
		{name: "long-workers", config: beside, processors: 2},
		{name: "long-workers-yield-1ms", config: beside, processors: 2, each: runtime.Gosched},
		{name: "any-worker-yield-1ms", config: any, processors: 2, each: runtime.Gosched},
		{name: "more-processors", config: beside, processors: 5},
		{name: "threads-normal", config: beside, processors: 5, thread: func() {}},
		{name: "threads-slice-100ms", config: beside, processors: 5, thread: func() { setScheduler(0, 100*time.Millisecond) }},
		{name: "threads-batch", config: beside, processors: 5, thread: func() { setScheduler(3, 0) }},
		{name: "threads-nice-19", config: beside, processors: 5, thread: func() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) }},
		{name: "threads-idle", config: beside, processors: 5, thread: func() { setScheduler(5, 0) }},
		{name: "process-normal", config: half, processors: 2, process: "normal"},
		{name: "process-nice-19", config: half, processors: 2, process: "nice"},
		{name: "process-idle", config: half, processors: 2, process: "idle"},
	} {
		b.Run(v.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(v.processors))
			for b.Loop() {
				isolation(b, invoke.New(v.config), v.process, v.each, v.thread)
			}
		})
	}
}

const measured = 2500 * time.Millisecond

func isolation(b *testing.B, s *invoke.Scheduler, process string, each, thread func()) {
	var busy atomic.Int64
	var stopped atomic.Bool
	var long *invoke.Function
	deploy := func(spec invoke.Spec) *invoke.Function {
		f, err := s.Deploy(spec)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	long = deploy(invoke.Spec{Name: "long", Contract: invoke.Contract{RunTime: 50 * time.Millisecond},
		Run: func(inv *invoke.Invocation) {
			if thread != nil {
				runtime.LockOSThread() // for good: the thread ends with the worker
				thread()
			}
			d := longTime()
			spin(d, each)
			if !stopped.Load() {
				busy.Add(int64(d))
				*inv = invoke.Invocation{}
				_ = long.Submit(inv)
			}
		},
		Refused: func(*invoke.Invocation, *invoke.Refusal) {}})
	type sample struct {
		invoke.Invocation
		due, took time.Duration
	}
	start := time.Now()
	samples := make([]sample, measured/(5*time.Millisecond))
	short := deploy(invoke.Spec{Name: "short", Contract: invoke.Contract{Deadline: 15 * time.Millisecond, RunTime: 900 * time.Microsecond},
		Run: func(inv *invoke.Invocation) {
			spin(time.Millisecond, nil)
			one := inv.Payload.(*sample)
			one.took = time.Since(start) - one.due
		},
		Refused: func(*invoke.Invocation, *invoke.Refusal) {}})
	var child *exec.Cmd
	stop := func() time.Duration { return time.Duration(busy.Load()) }
	switch process {
	case "":
		for range 4 {
			_ = long.Submit(&invoke.Invocation{})
		}
	case "none":
	default:
		child = exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "STARLING_SPIN="+process)
		stop = startChild(b, child)
	}
	timer := time.NewTicker(5 * time.Millisecond)
	for i := range samples {
		samples[i].due = time.Duration(i) * 5 * time.Millisecond
		for time.Since(start) < samples[i].due {
			<-timer.C
		}
		samples[i].Payload = &samples[i]
		_ = short.Submit(&samples[i].Invocation)
	}
	timer.Stop()
	work, wall := stop(), time.Since(start)
	stopped.Store(true)
	if err := s.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	slices.SortFunc(samples, func(a, b sample) int { return cmp.Compare(a.took, b.took) })
	late := 0
	for i := range samples {
		if samples[i].took > 15*time.Millisecond {
			late++
		}
	}
	at := func(q float64) float64 { return float64(samples[int(q*float64(len(samples)-1))].took) / 1e6 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
	b.ReportMetric(100*float64(late)/float64(len(samples)), "late-%")
	b.ReportMetric(work.Seconds()/wall.Seconds(), "long-cores")
}

// startChild starts the process of long runs; stop ends it and tells what it did.
func startChild(b *testing.B, child *exec.Cmd) (stop func() time.Duration) {
	in, err := child.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	var out output
	child.Stdout = &out
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	return func() time.Duration {
		_ = in.Close()
		_ = child.Wait()
		d, _ := time.ParseDuration(string(out))
		return d
	}
}

type output []byte

func (b *output) Write(p []byte) (int, error) { *b = append(*b, p...); return len(p), nil }
