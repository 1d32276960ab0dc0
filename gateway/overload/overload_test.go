package overload_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/starling-vr/starling/gateway/overload"
)

// plant is what stands behind the gateway: it carries so many actions a second
// in order; what waits longer than the bound is old.
type plant struct {
	capacity float64 // actions per second
	bound    time.Duration
	waiting  []time.Duration // arrival of each
	credit   float64
	all, old uint64
}

func (p *plant) work(now, step time.Duration) (within int) {
	p.credit = min(p.credit+p.capacity*step.Seconds(), max(1, p.capacity*step.Seconds()))
	for p.credit >= 1 && len(p.waiting) > 0 {
		p.credit--
		p.all++
		if now-p.waiting[0] > p.bound {
			p.old++
		} else {
			within++
		}
		p.waiting = p.waiting[1:]
	}
	return within
}

type sender struct {
	overload.Sender
	rate             float64
	next             time.Duration
	offered, refused int
	admitted         int
}

// simulate runs senders against a plant and gives the goodput of the second half.
func simulate(l *overload.Limiter, p *plant, senders []*sender, seed uint64, length time.Duration) (goodput float64) {
	random := rand.New(rand.NewPCG(seed, 1))
	start := time.Unix(1_000_000, 0)
	for _, s := range senders {
		s.next = time.Duration(random.ExpFloat64() / s.rate * float64(time.Second))
	}
	const step = time.Millisecond
	within := 0
	for now := time.Duration(0); now < length; now += step {
		for i, s := range senders {
			for s.next <= now {
				s.next += time.Duration(random.ExpFloat64() / s.rate * float64(time.Second))
				if now < length/2 {
					_, ok := l.Admit(&s.Sender, uint64(i), start.Add(now))
					if ok {
						p.waiting = append(p.waiting, now)
					}
					continue
				}
				s.offered++
				if after, ok := l.Admit(&s.Sender, uint64(i), start.Add(now)); ok {
					s.admitted++
					p.waiting = append(p.waiting, now)
				} else if s.refused++; after <= 0 {
					panic("a refusal without a time to come back")
				}
			}
		}
		n := p.work(now, step)
		if now >= length/2 {
			within += n
		}
		if now%overload.WindowTime == 0 {
			l.Tick()
		}
	}
	return float64(within) / (length / 2).Seconds()
}

func crowd(n int, rate float64) (all []*sender) {
	for range n {
		all = append(all, &sender{rate: rate})
	}
	return all
}

func limiter(p *plant) *overload.Limiter {
	return overload.New(overload.Config{Ages: func() (uint64, uint64) { return p.all, p.old }})
}

// Whatever the load above the capacity, most of the capacity is of use. (Of a
// queue that is judged by its waits some of it never is.)
func TestGoodputStaysUnderOverload(t *testing.T) {
	for seed := range uint64(4) {
		for _, factor := range []float64{1.2, 2, 3} {
			random := rand.New(rand.NewPCG(seed, 2))
			capacity := 3000 + 3000*random.Float64()
			n := 200 + random.IntN(600)
			p := &plant{capacity: capacity, bound: 12 * time.Millisecond}
			goodput := simulate(limiter(p), p, crowd(n, capacity*factor/float64(n)), seed, 12*time.Second)
			if goodput < 0.75*capacity {
				t.Errorf("seed %d: goodput %.0f of %.0f/s at %.1f times the capacity", seed, goodput, capacity, factor)
			}
		}
	}
}

// Without it, the same load leaves next to nothing in time: the test above can fail.
func TestWithoutALimitEverythingIsLate(t *testing.T) {
	p := &plant{capacity: 4000, bound: 12 * time.Millisecond}
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return 0, 0 }})
	if goodput := simulate(l, p, crowd(200, 40), 1, 10*time.Second); goodput > 50 {
		t.Errorf("goodput %.0f/s", goodput)
	}
}

// Those who send little are not refused for those who send much, and equals are
// treated alike.
func TestTheShareIsFair(t *testing.T) {
	p := &plant{capacity: 4000, bound: 12 * time.Millisecond}
	senders := append(crowd(100, 4), crowd(100, 80)...)
	simulate(limiter(p), p, senders, 7, 60*time.Second)
	var little, much, squares float64
	for i, s := range senders {
		refused := float64(s.refused) / float64(s.offered)
		if i < 100 {
			little += refused / 100
			continue
		}
		much += float64(s.admitted) / 100
		squares += float64(s.admitted) * float64(s.admitted)
	}
	if little > 0.03 {
		t.Errorf("of the actions of those below their share %.1f %% were refused", 100*little)
	}
	// Jain's fairness index over those above it.
	if index := (much * 100) * (much * 100) / (100 * squares); index < 0.99 {
		t.Errorf("fairness index %.3f", index)
	}
}

func TestTheLimitEndsAfterTheOverload(t *testing.T) {
	p := &plant{capacity: 4000, bound: 12 * time.Millisecond}
	l := limiter(p)
	simulate(l, p, crowd(200, 60), 3, 5*time.Second)
	if math.IsInf(l.Share(), 1) {
		t.Fatal("no limit at three times the capacity")
	}
	quiet := crowd(200, 6)
	simulate(l, p, quiet, 4, 20*time.Second)
	for i, s := range quiet {
		if s.refused > 0 {
			t.Fatalf("sender %d still has %d refused", i, s.refused)
		}
	}
	if !math.IsInf(l.Share(), 1) {
		t.Errorf("the share is still %.1f/s", l.Share())
	}
}

// A single bad window, as a pause of the machine makes it, refuses nothing.
func TestAHiccupRefusesNothing(t *testing.T) {
	var all, old uint64
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return all, old }})
	var s overload.Sender
	l.Admit(&s, 1, time.Unix(1, 0))
	for _, late := range []uint64{0, 20, 0, 100, 0} {
		all, old = all+100, old+late
		l.Tick()
	}
	if !math.IsInf(l.Share(), 1) {
		t.Errorf("the share is %.1f/s", l.Share())
	}
}

func TestAdmitAllocatesNothing(t *testing.T) {
	l := overload.New(overload.Config{Ages: func() (uint64, uint64) { return 0, 0 }})
	var s overload.Sender
	now := time.Unix(1, 0)
	if n := testing.AllocsPerRun(100, func() { l.Admit(&s, 1, now) }); n != 0 {
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
	}
}
