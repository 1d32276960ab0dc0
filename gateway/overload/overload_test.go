package overload_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/gateway/overload"
)

const second = time.Second

// Whatever the load above the capacity, most of the capacity is of use, from
// within a second on: nine tenths, but just above it, where a queue is hardest to
// tell from chance.
func TestGoodputStaysUnderOverload(t *testing.T) {
	for _, factor := range []float64{1.2, 2, 5, 10} {
		for seed := range uint64(2) {
			const capacity = 3000
			s := newSimulation(&fifo{capacity: capacity, takes: 3 * time.Millisecond}, crowd(300, capacity*factor/300), seed)
			s.run(9 * second)
			enough := 0.88
			if factor < 1.5 {
				enough = 0.83
			}
			if g := s.goodput(1*second, 9*second) / capacity; g < enough {
				t.Errorf("seed %d: goodput %.2f of the capacity at %.1f times it", seed, g, factor)
			}
		}
	}
}

// What works in rounds has no queue that grows: it gets later and later instead.
// Less is admitted until it is in time: at a fixed cost of each round a seventh less
// than could be, since few old updates count, which is what real rounds, that
// vary, gain by.
func TestGoodputOfRoundsStaysUnderOverload(t *testing.T) {
	for _, rate := range []float64{12000, 20000, 50000} {
		plant := func() plant { return &rounds{each: 3 * time.Millisecond, action: 60 * time.Microsecond} }
		const limit = 8500 // the highest rate of which 1 % is late
		s := newSimulation(plant(), crowd(200, limit/200), 1)
		s.unlimited = true
		s.run(3 * second)
		if g := s.goodput(1*second, 3*second); g < 0.97*limit {
			t.Fatalf("of %d/s %.0f/s are in time: the limit is lower", limit, g)
		}
		s = newSimulation(plant(), crowd(200, rate/200), 1)
		s.run(6 * second)
		if g := s.goodput(2*second, 6*second) / limit; g < 0.8 {
			t.Errorf("goodput %.2f of the limit at %.0f/s", g, rate)
		}
	}
}

// Without it, the same load leaves nothing in time: the tests above can fail.
func TestWithoutALimitEverythingIsLate(t *testing.T) {
	s := newSimulation(&fifo{capacity: 3000}, crowd(100, 40), 1)
	s.unlimited = true
	s.run(4 * second)
	if g := s.goodput(1*second, 4*second); g > 50 {
		t.Errorf("goodput %.0f/s", g)
	}
}

// A crowd that acts fifty times as often for two seconds: what is carried stays,
// what is under way stays bounded, and a second later nobody is refused.
func TestAFlashCrowd(t *testing.T) {
	for seed := range uint64(3) {
		const capacity, usual = 3000, 0.4
		s := newSimulation(&fifo{capacity: capacity, takes: 3 * time.Millisecond}, crowd(400, capacity*usual/400), seed)
		s.factor = func(now time.Duration) float64 {
			if now > 3*second && now <= 5*second {
				return 50
			}
			return 1
		}
		s.run(9 * second)
		if r := s.refusedPart(0, 3*second); r > 0 {
			t.Errorf("seed %d: %.1f %% refused before it", seed, 100*r)
		}
		if s.longest > 2*capacity {
			t.Errorf("seed %d: %d actions under way at once", seed, s.longest)
		}
		if r := s.refusedPart(8*second, 9*second); r > 0 {
			t.Errorf("seed %d: %.1f %% refused long after it", seed, 100*r)
		}
		if g := s.goodput(8*second, 9*second); g < 0.9*capacity*usual {
			t.Errorf("seed %d: goodput %.0f/s long after it", seed, g)
		}
	}
}

// Where the rest of the machine bounds what can be under way, a flash costs no
// more than the time to notice it, and a second later all is as before.
func TestAFlashCrowdBehindABoundedQueue(t *testing.T) {
	for seed := range uint64(3) {
		const capacity, usual = 3000, 0.4
		s := newSimulation(&bounded{fifo: fifo{capacity: capacity, takes: 3 * time.Millisecond}, most: capacity / 10},
			crowd(400, capacity*usual/400), seed)
		s.factor = func(now time.Duration) float64 {
			if now > 3*second && now <= 6*second {
				return 50
			}
			return 1
		}
		s.run(8 * second)
		if g := s.goodput(4*second, 6*second) / capacity; g < 0.88 {
			t.Errorf("seed %d: goodput %.2f of the capacity in the flash", seed, g)
		}
		if r := s.refusedPart(7*second, 8*second); r > 0 {
			t.Errorf("seed %d: %.1f %% refused a second after it", seed, 100*r)
		}
		if g := s.goodput(7*second, 8*second); g < 0.93*capacity*usual {
			t.Errorf("seed %d: goodput %.0f/s a second after it", seed, g)
		}
	}
}

// When the load falls below the capacity nobody is refused a second later.
func TestTheLimitEndsWithTheOverload(t *testing.T) {
	for seed := range uint64(3) {
		const capacity = 3000
		s := newSimulation(&fifo{capacity: capacity, takes: 3 * time.Millisecond}, crowd(300, 3*capacity/300), seed)
		s.factor = func(now time.Duration) float64 {
			if now > 4*second {
				return 0.7 / 3
			}
			return 1
		}
		s.run(4 * second)
		if math.IsInf(s.limiter.Share(), 1) {
			t.Fatal("no limit at three times the capacity")
		}
		s.run(3 * second)
		if r := s.refusedPart(5*second, 7*second); r > 0 || !math.IsInf(s.limiter.Share(), 1) {
			t.Errorf("seed %d: %.2f %% refused from a second on; share %.1f/s", seed, 100*r, s.limiter.Share())
		}
	}
}

// Machines that stand still for some milliseconds again and again, and stores
// that do for longer, make updates old: nobody is refused for that.
func TestStandstillsRefuseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		load := rapid.Float64Range(0.1, 0.6).Draw(t, "load")
		var p plant = &fifo{capacity: 1500, takes: 6 * time.Millisecond}
		if rapid.Bool().Draw(t, "rounds") {
			p = &rounds{each: 3 * time.Millisecond, action: 300 * time.Microsecond}
			load *= 0.6
		}
		stands := &standstill{plant: p, random: rand.New(rand.NewPCG(seed, 8)), next: 500 * time.Millisecond,
			every: 100 * time.Millisecond, from: 5 * time.Millisecond, to: 15 * time.Millisecond}
		if rapid.Bool().Draw(t, "long") {
			stands.every, stands.from, stands.to = 4*second, 50*time.Millisecond, 500*time.Millisecond
			load = min(load, 0.5)
		}
		s := newSimulation(stands, crowd(60, 1500*load/60), seed)
		s.load = overload.Load{Known: true, Own: 0.5, Idle: rapid.SampledFrom([]float64{0.2, 0.5}).Draw(t, "idle")}
		s.run(4 * second)
		if r := s.refusedPart(0, 4*second); r > 0 {
			t.Fatalf("%.1f %% refused", 100*r)
		}
	})
}

// A store that is slow whatever the load: refusing makes nothing better, and is
// given up for longer and longer.
func TestRefusingThatDoesNotHelpIsGivenUp(t *testing.T) {
	s := newSimulation(&fifo{capacity: 5000, takes: 25 * time.Millisecond}, crowd(100, 3), 1)
	s.load = overload.Load{Known: true, Own: 0.1, Idle: 0.8}
	s.run(60 * second)
	if r := s.refusedPart(0, 60*second); r > 0.1 {
		t.Errorf("%.1f %% refused", 100*r)
	}
	if r := s.refusedPart(30*second, 60*second); r > 0.07 {
		t.Errorf("%.1f %% refused later", 100*r)
	}
}

// Old updates of a process that gets next to nothing of the processors are
// somebody else's doing.
func TestABusyMachineRefusesNothing(t *testing.T) {
	s := newSimulation(&rounds{each: 20 * time.Millisecond}, crowd(100, 5), 1)
	s.load = overload.Load{Known: true, Own: 0.1, Idle: 0.02}
	s.run(5 * second)
	if r := s.refusedPart(0, 5*second); r > 0 {
		t.Errorf("%.1f %% refused", 100*r)
	}
}

// Those who send little are not refused for those who send much, and equals are
// treated alike.
func TestTheShareIsFair(t *testing.T) {
	people := append(crowd(50, 4), crowd(50, 80)...)
	s := newSimulation(&fifo{capacity: 2000, takes: 3 * time.Millisecond}, people, 7)
	s.run(2 * second)
	for _, p := range people {
		p.offered, p.admitted, p.refused = 0, 0, 0
	}
	s.run(40 * second)
	var little, much, squares, least, most float64
	least = math.Inf(1)
	for i, p := range people {
		if i < 50 {
			little += float64(p.refused) / float64(p.offered) / 50
			continue
		}
		n := float64(p.admitted)
		much, squares, least, most = much+n, squares+n*n, min(least, n), max(most, n)
	}
	if little > 0.03 {
		t.Errorf("of the actions of those below their share %.1f %% were refused", 100*little)
	}
	// Jain's fairness index over those above it.
	if index := much * much / (50 * squares); index < 0.99 || most > 1.15*least {
		t.Errorf("fairness index %.3f, from %.0f to %.0f", index, least, most)
	}
}

// A refusal costs about as much as an action. Those who would send much more than
// their share are refused less often than they are admitted, if they do as they
// are told; and goodput and fairness stay.
func TestTheRefusedComeBackForSeveral(t *testing.T) {
	const capacity = 3000
	s := newSimulation(&fifo{capacity: capacity, takes: 3 * time.Millisecond}, crowd(300, 3*capacity/300), 5)
	s.obedient = true
	s.run(2 * second)
	for _, p := range s.people {
		p.admitted, p.refused = 0, 0
	}
	s.run(10 * second)
	var admitted, refused, squares float64
	for _, p := range s.people {
		n := float64(p.admitted)
		admitted, squares, refused = admitted+n, squares+n*n, refused+float64(p.refused)
	}
	if refused > 0.6*admitted {
		t.Errorf("%.0f refused for %.0f admitted", refused, admitted)
	}
	if index := admitted * admitted / (300 * squares); index < 0.97 {
		t.Errorf("fairness index %.3f", index)
	}
	if g := s.goodput(2*second, 12*second) / capacity; g < 0.85 {
		t.Errorf("goodput %.2f of the capacity", g)
	}
}

// However long updates stay old, everybody may act now and then, and is asked to
// come back soon enough to notice that the load has fallen.
func TestTheShareHasAFloor(t *testing.T) {
	var all, old uint64
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return all, old }})
	s := make([]overload.Sender, 10)
	l.Tick(start)
	lowest := math.Inf(1)
	for n := range 1000 {
		now := start.Add(time.Duration(n) * overload.WindowTime)
		for i := range s {
			if after, ok := l.Admit(&s[i], uint64(i), now); ok {
				l.Done(uint64(i))
			} else if after <= 0 || after > 500*time.Millisecond {
				t.Fatalf("come back after %v", after)
			}
		}
		all, old = all+100, old+100
		l.Tick(now.Add(overload.WindowTime))
		lowest = min(lowest, l.Share())
	}
	if lowest < 0.25 || lowest > 5 {
		t.Errorf("lowest share %v", lowest)
	}
}

// A window that lasted long says nothing: the process itself stood still.
func TestALongWindowIsNotJudged(t *testing.T) {
	var all, old uint64
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return all, old }})
	var s overload.Sender
	now := start
	l.Tick(now)
	for range 20 {
		for range 20 {
			l.Admit(&s, 1, now)
			l.Done(1)
		}
		all, old = all+100, old+100
		now = now.Add(time.Second)
		l.Tick(now)
	}
	if !math.IsInf(l.Share(), 1) {
		t.Errorf("the share is %.1f/s", l.Share())
	}
}

// While less is about to be made of each action, old updates refuse nobody; when
// that has had its time, they do.
func TestReliefIsWaitedFor(t *testing.T) {
	var all, old uint64
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return all, old }, Relieves: func() bool { return true }})
	var s overload.Sender
	now := start
	l.Tick(now)
	limitedAfter := func(n int) bool {
		for range n {
			now = now.Add(overload.WindowTime)
			for range 20 {
				l.Admit(&s, 1, now)
				l.Done(1)
			}
			all, old = all+100, old+100
			l.Tick(now)
			if !math.IsInf(l.Share(), 1) {
				return true
			}
		}
		return false
	}
	if limitedAfter(6) {
		t.Error("refused before relief had its time")
	}
	if !limitedAfter(10) {
		t.Error("waits for relief for ever")
	}
}

// Whatever happens, the share is a number that can be lived with.
func TestTheShareIsAlwaysSane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all, old uint64
		load := overload.Load{}
		l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return all, old }, Load: func() overload.Load { return load }})
		people := make([]overload.Sender, rapid.IntRange(1, 50).Draw(t, "people"))
		now, waiting := start, 0
		l.Tick(now)
		for range rapid.IntRange(1, 60).Draw(t, "windows") {
			for range rapid.IntRange(0, 200).Draw(t, "actions") {
				i := rapid.IntRange(0, len(people)-1).Draw(t, "who")
				if _, ok := l.Admit(&people[i], uint64(i), now); ok {
					waiting++
				}
			}
			if waiting > 0 {
				done := rapid.IntRange(0, waiting).Draw(t, "done")
				l.Dropped(0, done/3)
				for range done - done/3 {
					l.Done(0)
				}
				waiting -= done
			}
			updates := rapid.Uint64Range(0, 1000).Draw(t, "updates")
			all += updates
			old += rapid.Uint64Range(0, updates).Draw(t, "old")
			load = overload.Load{Known: rapid.Bool().Draw(t, "known"), Own: rapid.Float64Range(0, 1).Draw(t, "own"), Idle: rapid.Float64Range(0, 1).Draw(t, "idle")}
			now = now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
			l.Tick(now)
			if share := l.Share(); math.IsNaN(share) || share < 0.25 {
				t.Fatalf("share %v", share)
			}
		}
	})
}

func TestAdmitAllocatesNothing(t *testing.T) {
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return 0, 0 }})
	var s overload.Sender
	if n := testing.AllocsPerRun(100, func() {
		l.Admit(&s, 1, start)
		l.Done(1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return 0, 0 }})
	var s overload.Sender
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l.Admit(&s, 1, now)
		l.Done(1)
	}
}

// A limit that began before it was known what is carried, because the way behind
// was slow as a crowd came, leaves processors idle: it is let go of in two seconds.
func TestALimitThatLeavesProcessorsIdleSoonEnds(t *testing.T) {
	const rate = 4000
	for seed := range uint64(10) {
		p := &warming{fifo: fifo{capacity: rate / 10, takes: 3 * time.Millisecond}, until: 500 * time.Millisecond, then: 3 * rate}
		s := newSimulation(p, crowd(400, rate/400), seed)
		s.load = overload.Load{Known: true, Own: 0.3, Idle: 0.5}
		s.run(5 * second)
		if s.refusedPart(0, second) == 0 {
			t.Errorf("seed %d: no limit began: nothing was tried", seed)
		}
		if r := s.refusedPart(3*second, 5*second); r > 0 {
			t.Errorf("seed %d: %.1f %% refused long after it", seed, 100*r)
		}
	}
}

// Where it is not the processors that bound what is carried, their idle time makes
// nobody admit too much for long.
func TestIdleProcessorsDoNotHideAnotherBottleneck(t *testing.T) {
	const capacity = 3000
	for seed := range uint64(3) {
		s := newSimulation(&fifo{capacity: capacity, takes: 3 * time.Millisecond}, crowd(300, 2*capacity/300), seed)
		s.load = overload.Load{Known: true, Own: 0.2, Idle: 0.7}
		s.run(9 * second)
		if g := s.goodput(2*second, 9*second) / capacity; g < 0.75 {
			t.Errorf("seed %d: goodput %.2f of the capacity", seed, g)
		}
	}
}

// Where several times as much comes as was carried in time before, and the
// processors are used up, a limit begins within three windows, at about as much as
// makes sense to begin with, and waits for no relief; be it that not yet most updates
// are old. What a standstill leaves comes within one window, and begins none; nor does
// what leaves the processors idle, or what hardly grows.
func TestASteepRiseIsMetAtOnce(t *testing.T) {
	const usual, flash = 200, 4000 // actions per second
	for _, c := range []struct {
		name   string
		rises  int // windows that it lasts
		to     int
		old    uint64 // of a thousand updates
		idle   float64
		limits bool
	}{
		{"flash", 3, flash, 800, 0.02, true},
		{"flash that begins to be late", 3, flash, 200, 0.02, true},
		{"some are old, of hardly more", 3, 2 * usual, 200, 0.02, false},
		{"after a standstill", 1, flash, 800, 0.02, false},
		{"processors are idle", 3, flash, 800, 0.5, false},
	} {
		var all, old uint64
		l := overload.New(overload.Config{
			Ages:     func() (uint64, uint64) { return all, old },
			Load:     func() overload.Load { return overload.Load{Known: true, Own: 0.5, Idle: c.idle} },
			Relieves: func() bool { return true },
		})
		senders := make([]overload.Sender, 1000)
		now, next := start, 0
		l.Tick(now)
		pass := func(rate int, late uint64) {
			now = now.Add(overload.WindowTime)
			for range rate / 10 {
				next = (next + 1) % len(senders)
				if _, ok := l.Admit(&senders[next], uint64(next), now); ok {
					l.Done(uint64(next))
				}
			}
			all += 1000
			old += late
			l.Tick(now)
		}
		for range 20 {
			pass(usual, 0)
		}
		for range c.rises {
			pass(c.to, c.old)
		}
		if c.rises > 1 {
			pass(usual, c.old)
		} else {
			pass(usual, 0)
		}
		if limited := !math.IsInf(l.Share(), 1); limited != c.limits {
			t.Errorf("%s: limited: %v, want %v", c.name, limited, c.limits)
		}
	}
}

// A crowd that comes to act fifty times as often within a second: from the second
// after on most of what can be carried is, although a limit that begins so knows
// nothing of it.
func TestGoodputInAFlashThatRises(t *testing.T) {
	plant := func() plant { return &rounds{each: 4 * time.Millisecond, action: 600 * time.Microsecond} }
	const limit, usual = 500, 150 // at the limit 2 % are late
	for seed := range uint64(4) {
		s := newSimulation(plant(), crowd(1000, usual/1000.), seed)
		s.obedient, s.load.Idle = true, 0.02
		s.factor = func(now time.Duration) float64 {
			switch at := now.Seconds() - 3; {
			case at < 0 || at > 4:
				return 1
			case at < 1:
				return 1 + 49*at
			case at < 3:
				return 50
			default:
				return 1 + 49*(4-at)
			}
		}
		s.run(9 * second)
		if g := s.goodput(4*second, 6*second) / limit; g < 0.7 {
			t.Errorf("seed %d: goodput %.2f of the limit in the flash", seed, g)
		}
		offered := float64(sum(s.offered, 8*second, 9*second))
		if g := s.goodput(8*second, 9*second) / offered; g < 0.9 {
			t.Errorf("seed %d: goodput %.2f of what is offered a second after it", seed, g)
		}
	}
}

// What a disturbed second has taken for the most that can be carried is soon left
// behind where the processors tell that there is more.
func TestIdleProcessorsRaiseALimit(t *testing.T) {
	const disturbed, usual = 1500, 4000
	for seed := range uint64(5) {
		p := &warming{fifo: fifo{capacity: disturbed, takes: 3 * time.Millisecond}, until: 4 * second, then: usual}
		s := newSimulation(p, crowd(800, 2*usual/800), seed)
		s.load.Idle = 0.02
		s.run(4 * second)
		if s.refusedPart(2*second, 4*second) < 0.5 {
			t.Errorf("seed %d: hardly limited: nothing was tried", seed)
		}
		s.load.Idle = 0.38 // not so much that the limit leaps
		s.run(2 * second)
		if g := s.goodput(5*second+500*time.Millisecond, 6*second) / usual; g < 0.5 {
			t.Errorf("seed %d: goodput %.2f of what is carried again for two seconds", seed, g)
		}
	}
}

// Where a queue stands outcomes come in fits. A window with more of them than actions
// is none in which the queue passes.
func TestOutcomesInFitsDoNotHideAQueue(t *testing.T) {
	var all, old uint64
	l := overload.New(overload.Config{
		Ages: func() (uint64, uint64) { return all, old },
		Load: func() overload.Load { return overload.Load{Known: true, Own: 0.6, Idle: 0.02} },
	})
	senders := make([]overload.Sender, 1000)
	now := start
	l.Tick(now)
	waiting := 0
	for window := range 10 {
		now = now.Add(overload.WindowTime)
		for i := range senders {
			if _, ok := l.Admit(&senders[i], uint64(i), now); ok {
				waiting++
			}
		}
		told := min(waiting, 800+400*(window%2))
		for i := range told {
			l.Done(uint64(i))
		}
		waiting -= told
		all += 1000
		old += 1000
		l.Tick(now)
		if !math.IsInf(l.Share(), 1) {
			return
		}
	}
	t.Error("a second of old updates alone, and nobody is refused")
}
