package plan

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEventsHappenInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s simulation
		type planned struct {
			at    time.Duration
			order int
		}
		var want, got []planned
		var plan func(depth int)
		plan = func(depth int) {
			for range rapid.IntRange(0, 20).Draw(t, "events") {
				p := planned{s.now + time.Duration(rapid.IntRange(0, 5).Draw(t, "after")), len(want)}
				want = append(want, p)
				again := depth > 0 && rapid.Bool().Draw(t, "plans more")
				s.after(p.at-s.now, func() {
					if s.now != p.at {
						t.Fatalf("happens at %v, not %v", s.now, p.at)
					}
					got = append(got, p)
					if again {
						plan(depth - 1)
					}
				})
			}
		}
		plan(3)
		s.run(time.Hour)
		slices.SortStableFunc(want, func(a, b planned) int { return int(a.at - b.at) })
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// A machine with one core and random arrivals of equal work is a queue M/D/1: the
// mean wait is load / (2 (1 - load)) times the work (Pollaczek and Khinchine).
func TestOneCoreIsAQueueThatTheoryKnows(t *testing.T) {
	for _, load := range []float64{0.3, 0.6, 0.9} {
		var s simulation
		m := &machine{sim: &s, cores: 1}
		random := rand.New(rand.NewPCG(1, 2))
		const work, jobs = time.Millisecond, 200_000
		total, done := time.Duration(0), 0
		at := 0.0
		for range jobs {
			at += random.ExpFloat64() / load
			arrived := time.Duration(at * float64(work))
			s.after(arrived, func() {
				m.work(work, func() {
					done++
					total += s.now - arrived - work
				})
			})
		}
		s.run(1 << 60)
		wait := total.Seconds() / float64(done) / work.Seconds()
		if want := load / (2 * (1 - load)); done != jobs || math.Abs(wait/want-1) > 0.1 {
			t.Errorf("load %v: the mean wait is %v of the work, want %v (%d of %d done)", load, wait, want, done, jobs)
		}
		if m.spent != jobs*work {
			t.Errorf("spent %v", m.spent)
		}
	}
}

func TestCoresWorkAtOnceAndThreadsDoNot(t *testing.T) {
	var s simulation
	m := &machine{sim: &s, cores: 3}
	var ends []time.Duration
	for range 6 {
		m.work(time.Second, func() { ends = append(ends, s.now) })
	}
	s.run(time.Minute)
	if want := []time.Duration{1e9, 1e9, 1e9, 2e9, 2e9, 2e9}; !slices.Equal(ends, want) {
		t.Errorf("ends %v", ends)
	}
	ends = nil
	thread := &thread{machine: m, wake: time.Second}
	for range 3 {
		thread.post(time.Second, func() { ends = append(ends, s.now-time.Minute) })
	}
	s.run(2 * time.Minute)
	if want := []time.Duration{2e9, 3e9, 4e9}; !slices.Equal(ends, want) || thread.spent != 3*time.Second {
		t.Errorf("ends %v", ends)
	}
}

func TestPortions(t *testing.T) {
	for _, c := range []struct {
		n     int
		share float64
		want  portion
	}{
		{10, 1, portion{10, 1, 0}},
		{10, 0.1, portion{1, 1, 0}},
		{10, 0.05, portion{1, 1, 1}},
		{1, 0.01, portion{1, 1, 99}},
		{10, 0.16, portion{2, 1.25, 0}},
	} {
		if got := portionOf(c.n, c.share); got.count != c.want.count || math.Abs(got.scale-c.want.scale) > 1e-9 || math.Abs(got.others-c.want.others) > 1e-9 {
			t.Errorf("%d machines, a share of %v: %+v, want %+v", c.n, c.share, got, c.want)
		}
	}
}

// A thread keeps its core for its slice while another waits, and as long as it
// likes while nobody does.
func TestThreadsKeepTheirCoreForASlice(t *testing.T) {
	var s simulation
	m := &machine{sim: &s, cores: 1, slice: 3 * time.Millisecond}
	var order []string
	long, short := &thread{machine: m}, &thread{machine: m}
	for range 5 {
		long.post(time.Millisecond, func() { order = append(order, "long") })
	}
	s.after(time.Microsecond, func() { short.post(time.Millisecond, func() { order = append(order, "short") }) })
	s.run(time.Second)
	if want := []string{"long", "long", "long", "short", "long", "long"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
	if m.busy != 0 || m.spent != 6*time.Millisecond || long.wakes != 1 || short.wakes != 0 {
		t.Errorf("%d cores busy, %v spent, %d and %d wakes", m.busy, m.spent, long.wakes, short.wakes)
	}
}

// To let a core rest and wake costs processor time, but not where another takes it
// over, nor where more comes before it rests.
func TestOnlyCoresThatRestAreWoken(t *testing.T) {
	var s simulation
	m := &machine{sim: &s, cores: 1, slice: time.Millisecond}
	const wake, waking, work = 10 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond
	one, two := &thread{machine: m, wake: wake, waking: waking}, &thread{machine: m, wake: wake, waking: waking}
	var ends []time.Duration
	note := func() { ends = append(ends, s.now) }
	one.post(work, note)                                           // wakes the core
	two.post(work, note)                                           // takes over
	s.after(wake+2*work+waking/2, func() { two.post(work, note) }) // as it goes to rest
	s.after(time.Millisecond, func() { one.post(work, note) })     // wakes it again
	s.run(time.Second)
	if want := []time.Duration{wake + work, wake + 2*work, wake + 3*work + waking, time.Millisecond + wake + work}; !slices.Equal(ends, want) {
		t.Errorf("%v, want %v", ends, want)
	}
	if m.busy != 0 || one.wakes != 1 || two.wakes != 2 || m.spent != 4*work+3*waking {
		t.Errorf("%d cores busy, %v spent, %d and %d wakes", m.busy, m.spent, one.wakes, two.wakes)
	}
}

// Stalls make work longer by their share, and cost nothing.
func TestCoresStandStill(t *testing.T) {
	times := Spread{At: []float64{0, 1}, US: []float64{100, 900}}
	for cores, want := range map[int]float64{1: 1.1, 2: 1.02} {
		m := &model{costs: &Costs{Stalls: Stalls{Some: Stall{40, times}, All: Stall{200, times}}}, random: rand.New(rand.NewPCG(1, 2))}
		on, jobs := m.newMachine(cores), 0
		const most, work = 100_000, 100 * time.Microsecond
		var ended time.Duration
		var next func()
		next = func() {
			if ended = m.now; jobs < most {
				jobs++
				on.work(work, next)
			}
		}
		next()
		m.run(time.Hour)
		if got := ended.Seconds() / (most * work).Seconds(); math.Abs(got-want) > 0.01 || on.spent != most*work {
			t.Errorf("%d cores: it took %v of its time, want %v; %v spent", cores, got, want, on.spent)
		}
	}
}

func TestTimersFireWhenTheirProcessLooks(t *testing.T) {
	var s simulation
	p := &process{sim: &s}
	var fired []time.Duration
	note := func() { fired = append(fired, s.now) }
	p.timer(300*time.Microsecond, note)  // alone: at the next whole millisecond
	p.timer(2300*time.Microsecond, note) // a thread wakes before that
	s.after(2500*time.Microsecond, p.look)
	s.run(time.Second)
	if want := []time.Duration{time.Millisecond, 2500 * time.Microsecond}; !slices.Equal(fired, want) {
		t.Errorf("fired at %v, want %v", fired, want)
	}
}
