package batched

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// poisson makes arrivals at a rate per second.
func poisson(random *rand.Rand, f *Function, from, to invoke.Instant, rate float64) []arrival {
	var all []arrival
	for at := float64(from); ; {
		at += random.ExpFloat64() / rate * 1e9
		if at >= float64(to) {
			return all
		}
		all = append(all, arrival{at: invoke.Instant(at), fn: f})
	}
}

func share(fates []*fate, count func(*fate) bool) float64 {
	n := 0
	for _, f := range fates {
		if count(f) {
			n++
		}
	}
	return float64(n) / float64(len(fates))
}

func since(fates []*fate, from, to invoke.Instant) []*fate {
	var all []*fate
	for _, f := range fates {
		if f.at >= from && f.at < to {
			all = append(all, f)
		}
	}
	return all
}

func deploy(t *testing.T, p *Policy, spec Spec) *Function {
	t.Helper()
	f, err := p.Deploy(1, spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const second = invoke.Instant(time.Second)

func testDevice(seed uint64, jitter float64) *accelerator {
	return &accelerator{launch: time.Millisecond, perItem: 50 * time.Microsecond, jitter: jitter, random: rand.New(rand.NewPCG(seed, 2))}
}

// Run times that nobody declared are learned, jitter and all: at 70 % of what the
// device can do nearly all are in time, in batches that are far larger than one.
func TestUndeclaredRunTimesAreLearned(t *testing.T) {
	p := NewPolicy(Config{Random: rand.NewPCG(1, 1)}, 1)
	f := deploy(t, p, Spec{Name: "f", Largest: 64, Contract: invoke.Contract{Deadline: 20 * time.Millisecond}})
	d := testDevice(1, 0.1)
	s := &simulation{policy: p, device: d}
	capacity := 64 / d.exact(64).Seconds()
	fates := s.run(poisson(d.random, f, 1, 10*second, 0.7*capacity))
	late := share(since(fates, second, 10*second), (*fate).missed)
	mean := float64(len(fates)) / float64(len(s.batches))
	t.Logf("%.2f %% late, %.1f a batch", 100*late, mean)
	if late > 0.01 || mean < 20 {
		t.Errorf("%.2f %% late, %.1f a batch", 100*late, mean)
	}
	for n := range 64 {
		usual, exact := f.times.usual(n+1), d.exact(n+1)
		if ratio := float64(usual) / float64(exact); n > 8 && (ratio < 0.8 || ratio > 1.2) {
			t.Errorf("a batch of %d takes %v, learned %v", n+1, exact, usual)
		}
	}
}

// Waiting for company makes batches larger at the same lateness, and Company ends it.
func TestBatchesWaitForCompany(t *testing.T) {
	mean := map[time.Duration]float64{}
	for _, company := range []time.Duration{0, -1} {
		p := NewPolicy(Config{Random: rand.NewPCG(1, 1)}, 1)
		f := deploy(t, p, Spec{Name: "f", Company: company, Model: Model{1500 * time.Microsecond, 60 * time.Microsecond},
			Contract: invoke.Contract{Deadline: 20 * time.Millisecond}})
		d := testDevice(2, 0.05)
		s := &simulation{policy: p, device: d, late: 100 * time.Microsecond}
		fates := s.run(poisson(d.random, f, 1, 4*second, 2000))
		if late := share(fates, (*fate).missed); late > 0.005 {
			t.Errorf("%.2f %% late", 100*late)
		}
		mean[company] = float64(len(fates)) / float64(len(s.batches))
	}
	t.Logf("items a batch: %v", mean)
	if mean[0] < 3*mean[-1] {
		t.Errorf("items a batch: %v", mean)
	}
}

// A device that is three times slower for a second misses little after the first
// batches of it, and less than a fifth of that second's in all; once it is well again all is as before.
func TestASlowSpellIsNoticedAndForgotten(t *testing.T) {
	p := NewPolicy(Config{Random: rand.NewPCG(1, 1)}, 1)
	f := deploy(t, p, Spec{Name: "f", Contract: invoke.Contract{Deadline: 25 * time.Millisecond}})
	d := testDevice(3, 0.05)
	slowFrom, slowTo := 4*second, 5*second
	d.slow = func(now invoke.Instant) float64 {
		if now >= slowFrom && now < slowTo {
			return 3
		}
		return 1
	}
	s := &simulation{policy: p, device: d}
	rate := 0.6 * 64 / (3 * d.exact(64).Seconds()) // what it can hold when it is slow
	fates := s.run(poisson(d.random, f, 1, 8*second, rate))
	late := func(from, to invoke.Instant) float64 { return share(since(fates, from, to), (*fate).missed) }
	t.Logf("late before %.4f, at first %.3f, while slow %.4f, after %.4f",
		late(second, slowFrom), late(slowFrom, slowFrom+second/5), late(slowFrom+second/5, slowTo), late(slowTo+second/5, 8*second))
	if late(second, slowFrom) > 0.005 || late(slowFrom, slowTo) > 0.2 || late(slowFrom+second/5, slowTo) > 0.02 || late(slowTo+second/5, 8*second) > 0.005 {
		t.Error("more than that are late")
	}
}

// Offered twice what the device can do, it does nine tenths of what it can, in time: it
// is not worked off in ever smaller batches for the sake of what is nearly late.
func TestOverloadDoesNotMakeBatchesSmall(t *testing.T) {
	for _, hard := range []bool{true, false} {
		p := NewPolicy(Config{Random: rand.NewPCG(1, 1)}, 1)
		f := deploy(t, p, Spec{Name: "f", Contract: invoke.Contract{Hard: hard, Deadline: 25 * time.Millisecond},
			Model: Model{time.Millisecond, 50 * time.Microsecond}, Queue: invoke.Bounds{Count: 1000, Age: 200 * time.Millisecond}})
		d := testDevice(4, 0.02)
		s := &simulation{policy: p, device: d}
		capacity := 64 / d.exact(64).Seconds()
		fates := s.run(poisson(d.random, f, 1, 2*second, 2*capacity))
		good := share(fates, func(f *fate) bool { return !f.missed() }) * 2
		late := share(fates, func(f *fate) bool { return f.ran > 0 && f.missed() }) * 2
		t.Logf("hard %v: goodput %.3f of capacity, late %.3f, sacrificed %d of %d batches", hard, good, late, s.sacrificed, len(s.batches))
		if good < 0.9 {
			t.Errorf("hard %v: goodput %.2f of what the device can do", hard, good)
		}
	}
}

// A flood beyond one function's guarantee costs neither its own guaranteed rate nor
// another function's on the same device.
func TestAFloodCostsNobodyItsContract(t *testing.T) {
	p := NewPolicy(Config{Random: rand.NewPCG(1, 1)}, 1)
	model := Model{1200 * time.Microsecond, 60 * time.Microsecond}
	contract := invoke.Contract{Rate: 2000, Burst: 40, Deadline: 20 * time.Millisecond, MissTarget: 0.01}
	flooded := deploy(t, p, Spec{Name: "flooded", Model: model, Contract: contract})
	quiet := deploy(t, p, Spec{Name: "quiet", Model: model, Contract: contract})
	d := testDevice(5, 0.05)
	s := &simulation{policy: p, device: d}
	arrivals := append(poisson(d.random, flooded, 1, 2*second, 40_000), poisson(d.random, quiet, 1, 2*second, 1500)...)
	s.run(arrivals)
	for _, a := range p.Accounts(p.now) {
		t.Logf("%s: %d guaranteed, %d of them late, %d ran, %d refused", a.Name, a.Guaranteed, a.GuaranteedMisses, a.Invocations, a.Refused())
		if a.MissRate() > contract.MissTarget {
			t.Errorf("%s misses %.2f %% of what is guaranteed", a.Name, 100*a.MissRate())
		}
	}
}

func TestWhatADeviceCannotHoldIsRefusedWithTheArithmetic(t *testing.T) {
	model := Model{time.Millisecond, 100 * time.Microsecond}
	for name, test := range map[string]struct {
		contract invoke.Contract
		want     string
	}{
		"device":   {invoke.Contract{Rate: 20_000, Burst: 1, Deadline: 20 * time.Millisecond}, "function f not admitted: gpu: f 20000/s / 64 x 7.4ms = 2.31 of its time > 0.8 reservable"},
		"deadline": {invoke.Contract{Rate: 10, Deadline: 2 * time.Millisecond}, "function f not admitted: deadline: f: a batch of one takes 1.1ms > 1ms, half of the tightest deadline promised on gpu"},
		"burst":    {invoke.Contract{Rate: 100, Burst: 200, Deadline: 20 * time.Millisecond}, "function f not admitted: burst: f: due within 20ms after all bursts: f 200 in batches of 64: 24ms = 24ms of work > 12.6ms (deadline 20ms - the longest batch 7.4ms)"},
		"spec":     {invoke.Contract{Rate: 1}, "function f not admitted: spec: Rate or Hard without Deadline"},
	} {
		p := NewPolicy(Config{Name: "gpu"}, 1)
		if _, err := p.Deploy(1, Spec{Name: "f", Model: model, Contract: test.contract}); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v", name, err)
		}
		if len(p.functions) > 0 {
			t.Errorf("%s: kept what was refused", name)
		}
	}
}
