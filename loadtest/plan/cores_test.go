package plan

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A machine with one core and random arrivals of equal work is a queue M/D/1: the
// mean wait is load / (2 (1 - load)) times the work (Pollaczek and Khinchine).
func TestOneCoreIsAQueueThatTheoryKnows(t *testing.T) {
	for _, load := range []float64{0.3, 0.6, 0.9} {
		var s simulation
		m := makeMachine(&s, 1, time.Millisecond)
		p := newProcess(m, 0, 0)
		random := rand.New(rand.NewPCG(1, 2))
		const work, jobs = time.Millisecond, 200_000
		total, done := time.Duration(0), 0
		at := 0.0
		for range jobs {
			at += random.ExpFloat64() / load
			arrived := time.Duration(at * float64(work))
			s.after(arrived, func() {
				p.spawn(work, func() {
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
	m := makeMachine(&s, 3, time.Millisecond)
	p := newProcess(m, 0, 0)
	var ends []time.Duration
	for range 6 {
		p.spawn(time.Second, func() { ends = append(ends, s.now) })
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

// Threads that share a core get the same of it, as far as they want it, and nobody
// falls behind by more than a slice and what cannot be interrupted.
func TestThreadsShareACore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s simulation
		const slice, piece = 3 * time.Millisecond, 500 * time.Microsecond
		m := makeMachine(&s, 1, slice)
		n := rapid.IntRange(2, 5).Draw(t, "threads")
		threads := make([]*thread, n)
		for i := range threads {
			threads[i] = &thread{machine: m}
			var again func()
			again = func() { threads[i].post(piece, again) }
			s.after(time.Duration(rapid.IntRange(0, 10).Draw(t, "begins"))*time.Millisecond, again)
		}
		s.run(time.Second)
		least, most := threads[0].spent, threads[0].spent
		for _, one := range threads {
			least, most = min(least, one.spent), max(most, one.spent)
		}
		if bound := 10*time.Millisecond + 2*(slice+defaultTick+piece); most-least > bound {
			t.Fatalf("%v and %v of a second, of %d threads", least, most, n)
		}
		if m.spent < time.Second-11*time.Millisecond {
			t.Fatalf("%v of a second were worked", m.spent)
		}
	})
}

// Who slept may interrupt who works, but not within a system call.
func TestWhoWakesRunsSoon(t *testing.T) {
	var s simulation
	m := makeMachine(&s, 1, 3*time.Millisecond)
	p := newProcess(m, 0, 0)
	long, short := p.newTask(), &thread{machine: m}
	for i := range 40 {
		long.push(slice{cost: time.Millisecond, joined: i%4 != 0, then: func() {}})
	}
	var began []time.Duration
	for _, at := range []time.Duration{9500, 21_500} {
		s.after(at*time.Microsecond, func() {
			asked := s.now
			short.post(0, func() { began = append(began, s.now-asked) })
		})
	}
	s.run(time.Second)
	if want := []time.Duration{2500 * time.Microsecond, 2500 * time.Microsecond}; !slices.Equal(began, want) {
		t.Errorf("waited %v, want %v", began, want)
	}
	if m.busy() != 0 || m.spent != 40*time.Millisecond || p.threads[0].wakes != 1 {
		t.Errorf("%d cores busy, %v spent, %d wakes", m.busy(), m.spent, p.threads[0].wakes)
	}
}

// A thread waits for the core that it ran on, though another rests, unless it moves.
func TestThreadsWaitForTheirCore(t *testing.T) {
	for moves, want := range map[float64]time.Duration{0: time.Millisecond, 1: 0} {
		var s simulation
		m := makeMachine(&s, 2, 10*time.Millisecond)
		m.moves, m.random = moves, rand.New(rand.NewPCG(1, 2))
		one, two := &thread{machine: m}, &thread{machine: m}
		two.core = m.cores[0]
		one.post(time.Millisecond, func() {})
		asked, began := false, time.Duration(-1)
		two.post(0, func() { asked, began = true, s.now })
		s.run(time.Second)
		if !asked || began != want || m.waited != want {
			t.Errorf("moves %v: it began at %v and waited %v, want %v", moves, began, m.waited, want)
		}
	}
}

// To let a core rest and wake costs processor time, but not where another takes it
// over, nor where more comes before it rests.
func TestOnlyCoresThatRestAreWoken(t *testing.T) {
	var s simulation
	m := makeMachine(&s, 1, time.Millisecond)
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
	if m.busy() != 0 || one.wakes != 1 || two.wakes != 2 || m.spent != 4*work+3*waking {
		t.Errorf("%d cores busy, %v spent, %d and %d wakes", m.busy(), m.spent, one.wakes, two.wakes)
	}
}

// Stalls make work longer by their share, and cost nothing.
func TestCoresStandStill(t *testing.T) {
	times := Spread{At: []float64{0, 1}, US: []float64{100, 900}}
	for cores, want := range map[int]float64{1: 1.1, 2: 1.02} {
		m := &model{costs: &Costs{Stalls: Stalls{Some: Stall{40, times}, All: Stall{200, times}}}, random: rand.New(rand.NewPCG(1, 2))}
		on, jobs := m.newMachine(cores), 0
		one := &thread{machine: on}
		const most, work = 100_000, 100 * time.Microsecond
		var ended time.Duration
		var next func()
		next = func() {
			if ended = m.now; jobs < most {
				jobs++
				one.post(work, next)
			}
		}
		next()
		m.run(time.Hour)
		if got := ended.Seconds() / (most * work).Seconds(); math.Abs(got-want) > 0.01 || on.spent != most*work {
			t.Errorf("%d cores: it took %v of its time, want %v; %v spent", cores, got, want, on.spent)
		}
	}
}
