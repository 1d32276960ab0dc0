package stream

import (
	"errors"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke"
)

// stepper is a poller that the test moves on, by a clock of its own. The kernels
// take as many ticks as they cost.
type stepper struct {
	*poller
	now     uint64
	batches [][]Ref
}

const testFrequency = 1e9 // a tick is a nanosecond

func newStepper(t failing, spec Spec, costs []uint64) *stepper {
	s := &stepper{now: 1000}
	f := &Function{name: "test", errors: make(chan error, pendingErrors)}
	f.clock = NewClock(func() uint64 { return s.now }, testFrequency, 0, 1)
	f.spec = spec
	if err := f.checkSpec(); err != nil {
		t.Fatal(err)
	}
	kernels, err := spec.Program.check()
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range kernels {
		kernels[i].Run = func(batch []Ref, out []Decision) {
			s.batches = append(s.batches, batch)
			s.now += costs[i]
			k.Run(batch, out)
		}
	}
	f.program.Store(compile(kernels, costs, 0, spec.Program.Version))
	if err := f.makePollers(); err != nil {
		t.Fatal(err)
	}
	s.poller = f.pollers[0]
	s.table.start(s.now, s.phase)
	s.sampleAt = s.now
	return s
}

type failing interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

func (s *stepper) stats() *Stats {
	var out Stats
	out.Latency.clock, out.Wait.clock, out.Run.clock = s.function.clock, s.function.clock, s.function.clock
	s.settle(s.now)
	out.take(s.counters, s.function.clock)
	return &out
}

func TestAPollerTakesWhatIsDue(t *testing.T) {
	arena := newArena(t, 128, 16)
	s := newStepper(t, Spec{
		Program:  &Program{Kernels: ladder(empty, 1, 2, 4, 16)},
		InOrder:  true,
		Sources:  []Source{&Schedule{Arena: arena, Rate: 1e7}}, // one each 100 ticks
		Contract: invoke.Contract{Deadline: 300},
	}, []uint64{10, 11, 12, 13})
	script := []struct {
		after uint64 // ticks after the last look
		want  int
	}{
		{0, 1},   // record 0
		{0, 0},   // nothing more, and no kernel is called
		{191, 2}, // 1 and 2 (10 ticks went by in the kernel)
		{300, 3}, // 3, 4, 5 in the kernel for four
		{1000, 10},
		{5000, 16}, // the largest kernel takes 16 of 50
		{0, 16},
		{0, 16},
		{0, 2},
	}
	for i, step := range script {
		s.now += step.after
		s.batches = nil
		s.step()
		got := 0
		if len(s.batches) > 0 {
			got = len(s.batches[0])
		}
		if got != step.want || len(s.batches) > 1 {
			t.Fatalf("step %d: a batch of %d, want %d", i, got, step.want)
		}
	}
	stats := s.stats()
	if stats.Decided != 66 || stats.Lost != 0 || stats.Batches != 8 || stats.Late == 0 {
		t.Errorf("%d decided, %d lost, %d late in %d batches", stats.Decided, stats.Lost, stats.Late, stats.Batches)
	}
	if stats.BySize[1] != 1 || stats.BySize[2] != 2 || stats.BySize[4] != 1 || stats.BySize[16] != 4 {
		t.Errorf("by size %v", stats.BySize)
	}
}

// In order, whatever the pace at which a poller gets to look: each record is decided once,
// in its turn, or counted as lost; batches lie one after another in memory; and what is
// accounted is what a clock beside it says.
func TestEveryRecordIsDecidedOrLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arena, err := NewArena(rapid.SampledFrom([]int{1, 2, 64, 256}).Draw(t, "ring"), 16)
		if err != nil {
			t.Fatal(err)
		}
		defer arena.Close()
		const limit = 700
		interval := rapid.Uint64Range(5, 300).Draw(t, "interval")
		s := newStepper(t, Spec{
			Program: &Program{Kernels: ladder(empty, 1, 4, 16, 64)}, InOrder: true,
			Sources: []Source{&Schedule{Arena: arena, Rate: testFrequency / float64(interval)}},
			Batch:   rapid.IntRange(1, MostAtOnce).Draw(t, "batch"), Contract: invoke.Contract{Deadline: limit},
		}, []uint64{20, 40, 100, 200})
		var late, within uint64
		next := uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			s.now += uint64(rapid.SampledFrom([]int{0, 1, 50, 400, 3000, 100000}).Draw(t, "pause"))
			s.batches = nil
			lost := s.counters.lost
			s.step()
			next += s.counters.lost - lost
			if len(s.batches) == 0 {
				continue
			}
			batch := s.batches[0]
			for i, ref := range batch {
				if ref != arena.refs[(next+uint64(i))%uint64(arena.Len())] || ref.Pointer() != unsafe.Add(batch[0].Pointer(), i*arena.Stride()) {
					t.Fatalf("record %d of a batch of %d from %d on is the wrong one", i, len(batch), next)
				}
				if took := s.now - s.table.at(next+uint64(i)); took > limit {
					late++
				} else if took <= 300 {
					within++
				}
			}
			next += uint64(len(batch))
			s.settle(s.now)
		}
		stats := s.stats()
		if stats.Decided+stats.Lost != next || stats.Late != late {
			t.Fatalf("%d decided and %d lost of %d, %d late of %d", stats.Decided, stats.Lost, next, stats.Late, late)
		}
		if got := stats.Latency.Within(300 + 16); stats.Latency.Count() != stats.Decided || got < within {
			t.Fatalf("%d latencies of %d, %d within 300 of at least %d", stats.Latency.Count(), stats.Decided, got, within)
		}
	})
}

func TestABatchThatPanicsIsATypedError(t *testing.T) {
	arena := newArena(t, 64, 16)
	because := errors.New("weights of the wrong shape")
	run := func(batch []Ref, out []Decision) {
		if len(batch) == 3 {
			panic(because)
		}
	}
	s := newStepper(t, Spec{Program: &Program{Kernels: ladder(run, 1, 4), Version: 9}, Sources: []Source{&Schedule{Arena: arena, Rate: 1e7}}}, []uint64{10, 20})
	s.now += 1
	s.step()
	s.now += 300
	again := func() (again bool) {
		defer s.caught(&again)
		s.step()
		return false
	}()
	if !again {
		t.Fatal("the poller does not go on")
	}
	s.now += 200
	s.step()
	var panicked *PanicError
	if err := <-s.function.errors; !errors.As(err, &panicked) || !errors.Is(err, because) {
		t.Fatal(err)
	}
	if panicked.Function != "test" || panicked.Version != 9 || panicked.Kernel != 4 || panicked.Sequence != 1 || panicked.Records != 3 || len(panicked.Stack) == 0 {
		t.Errorf("%+v", panicked)
	}
	if stats := s.stats(); stats.Panics != 1 || stats.Failed != 3 || stats.Decided != 3 {
		t.Errorf("%d panics, %d failed, %d decided", stats.Panics, stats.Failed, stats.Decided)
	}
}

// If everything fails, only some of it is told.
func TestErrorsDoNotPileUp(t *testing.T) {
	arena := newArena(t, 64, 16)
	s := newStepper(t, Spec{
		Program: &Program{Kernels: ladder(func(batch []Ref, out []Decision) { out[0] = Malformed | Selected }, 1)},
		Sources: []Source{&Schedule{Arena: arena, Rate: 1e7}},
	}, []uint64{10})
	for range 3 * pendingErrors {
		s.now += 100
		s.step()
	}
	var malformed *RecordError
	if err := <-s.function.errors; !errors.As(err, &malformed) || malformed.Sequence != 0 || malformed.Function != "test" {
		t.Error(err)
	}
	if stats := s.stats(); stats.Malformed != 3*pendingErrors || stats.Selected != 0 || len(s.function.errors) != pendingErrors-1 {
		t.Errorf("%d malformed, %d selected, %d errors more", stats.Malformed, stats.Selected, len(s.function.errors))
	}
}

func TestAnEraEndsUnnoticed(t *testing.T) {
	arena := newArena(t, 1024, 16)
	s := newStepper(t, Spec{Program: &Program{Kernels: ladder(empty, 1, 64)}, Sources: []Source{&Schedule{Arena: arena, Rate: 1e7}}}, []uint64{10, 20})
	s.next = era - 100
	s.now = s.table.at(s.next) + 1
	for range 300 {
		s.now += 90
		s.step()
		if len(s.batches) != 1 || len(s.batches[0]) != 1 {
			t.Fatalf("batches %v at record %d", s.batches, s.next)
		}
		s.batches = nil
	}
	if stats := s.stats(); stats.Decided != 300 || stats.Lost != 0 || stats.Latency.Max() > 210 || s.eras != era {
		t.Errorf("%d decided, %d lost, latency up to %v", stats.Decided, stats.Lost, stats.Latency.Max())
	}
}

func TestNothingIsAllocated(t *testing.T) {
	arena := newArena(t, 1024, 64)
	read := ProcessorClock()
	f := &Function{name: "test", clock: read, errors: make(chan error, 1)}
	f.spec = Spec{Sources: []Source{&Schedule{Arena: arena, Rate: 1e6}}, Program: &Program{Kernels: ladder(func(_ []Ref, out []Decision) { out[0] = Selected }, 1, 64)}}
	if err := f.checkSpec(); err != nil {
		t.Fatal(err)
	}
	kernels, _ := f.spec.Program.check()
	f.program.Store(compile(kernels, []uint64{1, 2}, 0, 1))
	if err := f.makePollers(); err != nil {
		t.Fatal(err)
	}
	p := f.pollers[0]
	p.table.start(read.Read(), 0)
	if n := testing.AllocsPerRun(10000, p.step); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}

// A poller that may yield learns how late it wakes up, and wakes that much earlier.
func TestWakingUpInTime(t *testing.T) {
	p := newPace(Yielding, &Clock{Frequency: 1e9}, 3*time.Microsecond)
	overshoot := []uint64{20_000, 22_000, 25_000, 21_000, 30_000, 23_000, 20_000, 24_000, 26_000, 21_000}
	late, naps := 0, 0
	for i := range 20_000 {
		nap := uint64(p.nap(200_000))
		if nap == 0 {
			t.Fatal("no time to sleep within 200 us")
		}
		over := overshoot[i%len(overshoot)]
		p.woke(nap, nap+over)
		if i >= 10_000 {
			naps++
			if nap+over > 200_000 {
				late++
			}
		}
	}
	if share := float64(late) / float64(naps); share > 0.12 || p.margin > 60_000 {
		t.Errorf("woke up late in %.1f %%, with a margin of %d ticks", 100*share, p.margin)
	}
	if nap := p.nap(p.margin); nap != 0 {
		t.Errorf("sleeps %v although waking takes as long", nap)
	}
	if nap := p.nap(1e12); nap != longestNap {
		t.Errorf("sleeps %v", nap)
	}
}

// However late wakes are: a deadline of milliseconds leaves time to sleep between
// records a millisecond apart, and one of microseconds none.
func TestLongDeadlinesLeaveTimeToSleep(t *testing.T) {
	clock := &Clock{Frequency: 1e9}
	for _, c := range []struct {
		deadline time.Duration
		sleeps   bool
	}{{10 * time.Millisecond, true}, {3 * time.Microsecond, false}, {0, false}} {
		p := newPace(Yielding, clock, c.deadline)
		for range 1000 {
			p.woke(1_000_000, 5_000_000)
		}
		if nap := p.nap(uint64(time.Millisecond)); nap > 0 != c.sleeps || nap > c.deadline/3+time.Millisecond {
			t.Errorf("deadline %v: sleeps %v", c.deadline, nap)
		}
	}
}

func TestClockConversions(t *testing.T) {
	c := NewClock(nil, 2.5e9, 1000, 5_000_000)
	if c.Ticks(time.Microsecond) != 2500 || c.Duration(2500) != time.Microsecond || c.Ticks(-1) != 0 {
		t.Errorf("1 us is %d ticks", c.Ticks(time.Microsecond))
	}
	if c.Instant(1000) != 5_000_000 || c.Instant(3500) != 5_001_000 || c.Instant(0) != 4_999_600 {
		t.Errorf("%d %d %d", c.Instant(1000), c.Instant(3500), c.Instant(0))
	}
	p := ProcessorClock()
	if before, now, after := invoke.Now(), p.Instant(p.Read()), invoke.Now(); now.Sub(before) < -100*time.Microsecond || now.Sub(after) > 100*time.Microsecond {
		t.Errorf("the processor's clock is %v off, %s", now.Sub(before), p.Source)
	}
	readings := []uint64{p.Read(), p.Read(), p.Read()}
	if !slices.IsSorted(readings) {
		t.Error(readings)
	}
}
