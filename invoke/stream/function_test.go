package stream

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
)

func deploy(t testing.TB, s *invoke.Scheduler, spec Spec) *Function {
	t.Helper()
	// The pollers of a test must not have all threads.
	if most := runtime.GOMAXPROCS(0); most < len(spec.Sources)+2 {
		runtime.GOMAXPROCS(len(spec.Sources) + 2)
		t.Cleanup(func() { runtime.GOMAXPROCS(most) })
	}
	f, err := Deploy(s, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// until waits for a condition; a test that waits for ever is ended by its timeout.
func until(condition func() bool) {
	for !condition() {
		yieldCore()
	}
}

func newScheduler(t testing.TB) *invoke.Scheduler {
	s := invoke.New(invoke.Config{Workers: 2, Cores: 16})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Everything at once: two pollers on a schedule, one record in 64 selected, samples,
// new weights while it runs. What leaves by the outlets is accounted for, and what is
// decided after a swap is decided by the new program.
func TestAStream(t *testing.T) {
	s := newScheduler(t)
	arena := newArena(t, 64, 128)
	arena.Record(5)[0] = 1
	program := func(version uint64) *Program {
		return &Program{Version: version, Kernels: ladder(func(batch []Ref, out []Decision) {
			for i, ref := range batch {
				out[i] = Decision(version)
				if ref.Bytes(128)[0] == 1 {
					out[i] |= Selected
				}
			}
		}, 1, 8, 64)}
	}
	var wrong, later atomic.Uint64
	take := func(o *Sample) {
		if o.Record[0] == 1 != o.Decision.Selected() || uint64(o.Decision.Value()) != o.Version || o.Due == 0 || len(o.Record) != 128 {
			wrong.Add(1)
		}
		if o.Version == 2 {
			later.Add(1)
		}
	}
	outlet := func(name string) (*invoke.Function, Outlet) {
		f, err := s.Deploy(Receive(invoke.Spec{Name: name}, take))
		if err != nil {
			t.Fatal(err)
		}
		return f, Outlet{To: f, Slots: 64}
	}
	_, samples := outlet("update")
	_, selected := outlet("chain")
	f := deploy(t, s, Spec{
		Name: "stream", Program: program(1), Pace: Yielding, Pass: time.Millisecond,
		Sources:  []Source{&Schedule{Arena: arena, Rate: 50_000}, &Schedule{Arena: arena, Rate: 50_000, Phase: 0.5}},
		Contract: invoke.Contract{Rate: 100_000, Deadline: time.Second},
		Samples:  samples, SampleRate: 2000, Selected: selected,
	})
	until(func() bool { return f.Stats().Selected > 50 && f.Stats().SamplesDone > 20 })
	if err := f.Swap(program(2)); err != nil {
		t.Fatal(err)
	}
	until(func() bool { return later.Load() > 50 })
	f.Close()
	until(func() bool {
		st := f.Stats()
		return st.SamplesDone+st.SamplesRefused+st.SamplesLost == st.Sampled &&
			st.SelectedDone+st.SelectedRefused+st.SelectedLost == st.Selected
	})
	st := f.Stats()
	if wrong.Load() != 0 || st.Version != 2 || st.Swaps != 2 || st.SamplesFailed != 0 {
		t.Errorf("%d wrong samples, version %d after %d swaps, %d failed", wrong.Load(), st.Version, st.Swaps, st.SamplesFailed)
	}
	if st.Latency.Count() != st.Decided || st.Wait.Count() != st.Decided || st.Run.Count() != st.Decided || st.Busy <= 0 {
		t.Errorf("%d latencies, %d waits, %d runs of %d; busy %v", st.Latency.Count(), st.Wait.Count(), st.Run.Count(), st.Decided, st.Busy)
	}
	if len(st.Kernels) != 3 || st.Kernels[2].Size != 64 || st.Kernels[2].Time <= 0 {
		t.Errorf("kernels %v", st.Kernels)
	}
	// Every sample was an invocation of its own.
	for _, a := range s.Accounts().Functions {
		if a.Name == "update" && a.Invocations != st.SamplesDone || a.Name == "chain" && a.Invocations != st.SelectedDone {
			t.Errorf("%s: %d invocations of %d samples, %d selected", a.Name, a.Invocations, st.SamplesDone, st.SelectedDone)
		}
	}
}

func TestTheAccount(t *testing.T) {
	s := newScheduler(t)
	arena := newArena(t, 1024, 16)
	f := deploy(t, s, Spec{
		Name: "stream", Program: &Program{Kernels: ladder(empty, 1, 64)}, Pace: Yielding,
		Sources: []Source{&Schedule{Arena: arena, Rate: 20_000}}, Contract: invoke.Contract{Rate: 20_000, Deadline: time.Millisecond, Memory: 1 << 20},
	})
	until(func() bool { return f.Stats().Decided > 500 })
	find := func() *invoke.Account {
		for _, a := range s.Accounts().Functions {
			if a.Name == "stream" {
				return &a
			}
		}
		return nil
	}
	a := find()
	if a == nil || a.Shape != invoke.Stream || a.Invocations < 500 || a.Submitted != a.Invocations+a.Refused() || a.Contract.RunTime <= 0 || a.ReservedCores <= 0 || a.QueueTime.Count() == 0 || a.Guaranteed == 0 {
		t.Errorf("%+v", a)
	}
	if st := f.Stats(); st.Time <= 0 || float64(st.Records()) > 20_000*st.Time.Seconds()+1 {
		t.Errorf("%d records in %v", st.Records(), st.Time)
	}
	if c := f.Contract(); c.Burst != 20 || c.Rate != 20_000 || f.Name() != "stream" {
		t.Errorf("%+v", c)
	}
	f.Close()
	f.Close()
	if find() != nil {
		t.Error("it is still there")
	}
}

// A function that panics now and then goes on, and so do others; one that hangs is
// seen.
func TestFunctionsThatPanicOrHang(t *testing.T) {
	s := newScheduler(t)
	arena := newArena(t, 64, 16)
	var calls atomic.Uint64
	release := make(chan struct{})
	run := func(batch []Ref, out []Decision) {
		switch n := calls.Add(1); {
		case n%7 == 0:
			panic(n)
		case n > 300:
			<-release
		}
	}
	failed := make(chan error, 1000)
	f := deploy(t, s, Spec{
		Name: "bad", Program: &Program{Kernels: ladder(run, 1)}, Pace: Yielding,
		Sources: []Source{&Schedule{Arena: arena, Rate: 20_000}}, Failed: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	})
	var panicked *PanicError
	if err := <-failed; !errors.As(err, &panicked) || panicked.Function != "bad" || !strings.Contains(err.Error(), "panicked") {
		t.Error(err)
	}
	until(func() bool { return f.Stats().Stuck == 1 })
	close(release)
	until(func() bool { return f.Stats().Stuck == 0 })
	if st := f.Stats(); st.Panics == 0 || st.Failed != st.Panics || st.Decided == 0 {
		t.Errorf("%d panics, %d failed, %d decided", st.Panics, st.Failed, st.Decided)
	}
}

func TestAReceiverThatPanics(t *testing.T) {
	s := newScheduler(t)
	arena := newArena(t, 64, 16)
	to, err := s.Deploy(Receive(invoke.Spec{Name: "update"}, func(*Sample) { panic("no") }))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1000)
	f := deploy(t, s, Spec{
		Name: "stream", Program: &Program{Kernels: ladder(empty, 1)}, Pace: Yielding, Pass: time.Millisecond,
		Sources: []Source{&Schedule{Arena: arena, Rate: 10_000}}, Samples: Outlet{To: to, Slots: 4}, SampleRate: 5000,
		Failed: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	})
	var panicked *PanicError
	if err := <-failed; !errors.As(err, &panicked) || panicked.Function != "update" || panicked.Value != "no" {
		t.Error(err)
	}
	until(func() bool { return f.Stats().SamplesFailed > 10 })
	to.Undeploy()
	until(func() bool { return f.Stats().SamplesRefused > 0 })
}

// What a full outlet cannot take is lost, not waited for.
func TestAFullOutletLoses(t *testing.T) {
	s := newScheduler(t)
	arena := newArena(t, 64, 16)
	release := make(chan struct{})
	to, err := s.Deploy(Receive(invoke.Spec{Name: "slow"}, func(*Sample) { <-release }))
	if err != nil {
		t.Fatal(err)
	}
	f := deploy(t, s, Spec{
		Name: "stream", Program: &Program{Kernels: ladder(func(_ []Ref, out []Decision) { out[0] = Selected }, 1)}, Pace: Yielding, Pass: time.Millisecond,
		Sources: []Source{&Schedule{Arena: arena, Rate: 10_000}}, Selected: Outlet{To: to, Slots: 2},
	})
	until(func() bool { st := f.Stats(); return st.SelectedLost > 10 && st.Decided > 12 })
	close(release)
	until(func() bool { return f.Stats().SelectedDone > 3 })
}

func TestWhatIsNotAdmitted(t *testing.T) {
	s := invoke.New(invoke.Config{Workers: 1, Cores: 2})
	defer s.Close(context.Background())
	arena, small := newArena(t, 64, 16), newArena(t, 64, 8)
	slow := ladder(func([]Ref, []Decision) {
		for end := invoke.Now().Add(20 * time.Microsecond); invoke.Now() < end; {
		}
	}, 1)
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	at := func(rate float64) []Source { return []Source{&Schedule{Arena: arena, Rate: rate}} }
	ring := NewRing(small, ProcessorClock())
	quick := &Program{Kernels: ladder(empty, 1)}
	for why, spec := range map[string]Spec{
		"deadline: a batch of 1 takes": {Program: &Program{Kernels: slow}, Sources: at(1000), Contract: invoke.Contract{Rate: 1000, Deadline: 300}},
		"cores: 200000/s x":            {Program: &Program{Kernels: slow}, Sources: at(200_000), Contract: invoke.Contract{Rate: 200_000, Deadline: time.Second}},
		"cores: stream 2 = 2 cores":    {Program: quick, Sources: append(at(10), at(10)...), Contract: invoke.Contract{Rate: 20, Deadline: time.Second}},
		"4 pollers + 1 for the rest":   {Program: quick, Sources: append(append(at(1), at(1)...), append(at(1), at(1)...)...)},
		"Rate -1":                      {Program: quick, Sources: at(1), Contract: invoke.Contract{Rate: -1}},
	} {
		spec.Name = "stream"
		var refused *invoke.NotAdmittedError
		if _, err := Deploy(s, spec); !errors.As(err, &refused) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
	for why, spec := range map[string]Spec{
		"no sources":        {Program: quick},
		"no kernels":        {Sources: at(1)},
		"of 16 and 8 bytes": {Program: quick, Sources: append(at(1), &Schedule{Arena: small, Rate: 1})},
		"has no records":    {Program: quick, Sources: []Source{&Schedule{Rate: 1}}},
		"SampleRate":        {Program: quick, Sources: at(1), SampleRate: 1},
		"out of its range":  {Program: quick, Sources: at(1), Batch: 65},
		"a schedule of 0":   {Program: quick, Sources: at(0)},
		"cannot have two":   {Program: quick, Sources: []Source{ring, ring}},
	} {
		if _, err := Deploy(s, spec); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if left := s.Accounts().Functions; len(left) != 0 {
		t.Errorf("%d functions are left", len(left))
	}
}

// Where a poller may not be kept on its core, it runs elsewhere, and says so.
func TestACoreThatIsNotThere(t *testing.T) {
	s := newScheduler(t)
	arena := newArena(t, 64, 16)
	f := deploy(t, s, Spec{
		Name: "stream", Program: &Program{Kernels: ladder(empty, 1)}, Pace: Pinned, Cores: []int{1 << 20},
		Sources: []Source{&Schedule{Arena: arena, Rate: 1000}},
	})
	until(func() bool { return f.Stats().Decided > 5 })
	if notes := f.Stats().Notes; len(notes) != 1 || !strings.Contains(notes[0], "not kept on core") {
		t.Error(notes)
	}
	if cores := AllowedCores(); len(cores) == 0 && runtime.GOOS == "linux" {
		t.Error("no core is allowed")
	}
}

// A poller that is not preempted still lets the world be stopped.
func TestCollectionsBesideAPollerThatIsNotPreempted(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if !collectorOff() {
		t.Error("the collector is on")
	}
	s := newScheduler(t)
	arena := newArena(t, 1<<15, 16)
	f := deploy(t, s, Spec{
		Name: "stream", Program: &Program{Kernels: ladder(empty, 1, 64)}, Pace: Pinned,
		Sources: []Source{&Schedule{Arena: arena, Rate: 1e5}},
	})
	for range 3 {
		before := f.Stats().Decided
		runtime.GC()
		until(func() bool { return f.Stats().Decided > before })
	}
}

func TestSwapRefusesWhatCannotRun(t *testing.T) {
	s := newScheduler(t)
	arena := newArena(t, 64, 16)
	f := deploy(t, s, Spec{Name: "stream", Program: &Program{Kernels: ladder(empty, 1)}, Pace: Yielding, Sources: []Source{&Schedule{Arena: arena, Rate: 10}}})
	var bad *ProgramError
	if err := f.Swap(&Program{}); !errors.As(err, &bad) {
		t.Error(err)
	}
}
