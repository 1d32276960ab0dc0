package stream

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke"
)

// Whatever the pace at which a poller gets to look: each record is decided once or
// counted as lost, those that can make the limit before those that cannot, and nothing
// waits any more when the poller has caught up.
func TestWhatIsPutOffIsDecidedOrLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arena, err := NewArena(rapid.SampledFrom([]int{1, 2, 64, 256}).Draw(t, "ring"), 16)
		if err != nil {
			t.Fatal(err)
		}
		defer arena.Close()
		interval := rapid.Uint64Range(5, 300).Draw(t, "interval")
		s := newStepper(t, Spec{
			Program: &Program{Kernels: ladder(empty, 1, 4, 16, 64)},
			Sources: []Source{&Schedule{Arena: arena, Rate: testFrequency / float64(interval)}},
			Batch:   rapid.IntRange(1, MostAtOnce).Draw(t, "batch"), Contract: invoke.Contract{Deadline: 400},
		}, []uint64{20, 40, 100, 200})
		if rapid.Bool().Draw(t, "an era ends") {
			s.next = era - 20
			s.now = s.table.at(s.next)
		}
		begin := s.next
		seen := make(map[uint64]bool)
		for range rapid.IntRange(1, 80).Draw(t, "looks") {
			s.now += uint64(rapid.SampledFrom([]int{0, 1, 50, 400, 3000, 20000}).Draw(t, "pause"))
			s.batches = nil
			s.step()
			for i := range s.batch.n {
				at := s.eras + s.batch.first + i
				if seen[at] {
					t.Fatalf("record %d is decided twice", at)
				}
				seen[at] = true
				if s.batches[0][i] != arena.refs[at%uint64(arena.Len())] {
					t.Fatalf("record %d is another one", at)
				}
			}
		}
		s.catchUp()
		stats := s.stats()
		if due := s.eras + s.next - begin; stats.Decided+stats.Lost != due || stats.Latency.Count() != stats.Decided || s.behind.n != 0 {
			t.Fatalf("%d decided and %d lost of %d, %d latencies, %d stretches left", stats.Decided, stats.Lost, due, stats.Latency.Count(), s.behind.n)
		}
	})
}

// A core that was away for 2 us comes back: the 20 records of that time are put off, and
// none that falls due later is late. In order, the next ones would all be late, too.
func TestAGapMakesOnlyItsOwnRecordsLate(t *testing.T) {
	for _, inOrder := range []bool{false, true} {
		s := newStepper(t, Spec{
			Program: &Program{Kernels: ladder(empty, 1, 2, 4, 8)}, InOrder: inOrder,
			Sources: []Source{&Schedule{Arena: newArena(t, 1024, 16), Rate: 1e7}}, Contract: invoke.Contract{Deadline: 300},
		}, []uint64{60, 100, 180, 340})
		s.now += 2000
		for range 200 {
			s.step()
			if s.batch.n == 0 {
				s.now += 10
			}
		}
		stats := s.stats()
		if late := stats.Late; !inOrder && (late > 20 || stats.PutOff != late) || inOrder && late < 25 {
			t.Errorf("in order %v: %d late, %d put off of %d", inOrder, late, stats.PutOff, stats.Decided)
		}
	}
}

// A ring's producer gets its room back although later records were decided first.
func TestARingGetsItsRoomBack(t *testing.T) {
	arena := newArena(t, 64, 16)
	f := NewClock(nil, testFrequency, 0, 1)
	ring := NewRing(arena, f)
	s := newStepper(t, Spec{
		Program: &Program{Kernels: ladder(empty, 1, 4)}, Sources: []Source{ring},
		Contract: invoke.Contract{Deadline: 300, Rate: 1e7},
	}, []uint64{60, 150})
	due := s.now
	decided := 0
	for i := range 1000 {
		for range 1 + i%3 { // more than can be held: some are late
			if _, n := ring.Reserve(1); n == 1 {
				due += 50
				ring.Publish(1, due)
			}
		}
		if i%100 == 50 {
			s.now += 3000
		}
		s.now = max(s.now, due)
		s.step()
		decided += int(s.batch.n)
	}
	s.catchUp()
	for s.next != ring.head.Load() {
		s.step()
	}
	stats := s.stats()
	s.giveBack()
	if stats.Decided != ring.head.Load() || ring.tail.Load() != ring.head.Load() || stats.PutOff == 0 || stats.PutOff == stats.Decided {
		t.Errorf("%d decided of %d, %d places free again, %d put off", stats.Decided, ring.head.Load(), ring.tail.Load(), stats.PutOff)
	}
}

// All that the table allows is in time by its plan; a record older, and it is not.
func TestTheTableOfUrgencyIsRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		costs := []uint64{rapid.Uint64Range(10, 100).Draw(t, "one")}
		for range 3 {
			costs = append(costs, costs[len(costs)-1]+rapid.Uint64Range(1, 200).Draw(t, "more"))
		}
		c := compile(ladder(empty, 1, 2, 4, 8), costs, 0, 1)
		interval := rapid.Uint64Range(10, 200).Draw(t, "interval")
		const limit = 500
		u := newUrgency(c, limit, float64(interval), MostAtOnce)
		n := rapid.IntRange(1, 12).Draw(t, "due")
		age, took, left := u.oldest[n], int64(0), n
		for left > 0 {
			k := u.plan[left]
			cost := costs[k] + costs[k]/caution
			took += int64(cost)
			if done := age - int64(n-left)*int64(interval) + took; done > limit {
				t.Fatalf("the first of %d is decided after %d", left, done)
			}
			left -= min(left, c.kernels[k].Size)
		}
	})
}

// Two records due each 90 ticks, one at a time in 100 or both in 140: one after the other
// leaves more room for the older one, but each step falls 10 ticks further behind.
func TestTheUrgentPlanKeepsUpIfItCan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		costs := []uint64{rapid.Uint64Range(10, 200).Draw(t, "one")}
		for range 3 {
			costs = append(costs, costs[len(costs)-1]+rapid.Uint64Range(1, 200).Draw(t, "more"))
		}
		c := compile(ladder(empty, 1, 2, 4, 8), costs, 0, 1)
		interval := rapid.Uint64Range(10, 200).Draw(t, "interval")
		u := newUrgency(c, 500, float64(interval), MostAtOnce)
		n := rapid.IntRange(1, 12).Draw(t, "due")
		keepsUp := func(k uint8) bool {
			return costs[k]+costs[k]/caution <= uint64(min(n, c.kernels[k].Size))*interval
		}
		for k := range c.kernels {
			if keepsUp(uint8(k)) && !keepsUp(u.plan[n]) {
				t.Fatalf("%d due, one each %d: kernel %d of %v falls behind, %d would not", n, interval, u.plan[n], costs, k)
			}
		}
	})
	c := compile(ladder(empty, 1, 2), []uint64{100, 140}, 0, 1)
	if u := newUrgency(c, 300, 90, MostAtOnce); u.plan[2] != 1 {
		t.Errorf("kernel %d for two", u.plan[2])
	}
}

// gaps are how often a core was away on the machine that the performance page
// describes: times a second, and for how many nanoseconds.
var gaps = []struct{ perS, ns float64 }{{9000, 200}, {550, 2000}, {450, 18000}, {350, 45000}, {35, 220000}, {4, 3000000}}

// simulate lets records fall due every interval nanoseconds for a while, on a core that
// is away at times, and returns which share was decided within the limit. A batch of a
// kernel takes what costs says, the look at the clock included.
func simulate(t failing, arena *Arena, interval float64, costs func(size int) uint64, inOrder bool, length time.Duration) float64 {
	sizes := []int{1, 2, 4, 8, 16, 32, 64}
	var all []uint64
	for _, size := range sizes {
		all = append(all, costs(size))
	}
	s := newStepper(t, Spec{
		Program: &Program{Kernels: ladder(empty, sizes...)}, InOrder: inOrder,
		Sources: []Source{&Schedule{Arena: arena, Rate: testFrequency / interval}}, Contract: invoke.Contract{Deadline: 300},
	}, all)
	random := rand.New(rand.NewPCG(1, 2))
	next := make([]float64, len(gaps))
	again := func(i int) { next[i] = float64(s.now) + random.ExpFloat64()*1e9/gaps[i].perS }
	for i := range gaps {
		again(i)
	}
	for end := s.now + uint64(length); s.now < end; {
		for i := range gaps {
			if float64(s.now) >= next[i] {
				s.now += uint64(gaps[i].ns * (0.5 + random.Float64()))
				again(i)
			}
		}
		s.batches = s.batches[:0]
		s.step()
		if s.batch.n == 0 {
			s.now += 15 // a look
		}
	}
	s.catchUp()
	stats := s.stats()
	return float64(stats.Decided-stats.Late) / float64(stats.Records())
}

// jetCosts are what batches of the jet network take on that machine.
func jetCosts(size int) uint64 {
	return map[int]uint64{1: 117, 2: 155, 4: 237, 8: 420, 16: 780, 32: 1500, 64: 2950}[size]
}

func nothingCosts(size int) uint64 { return uint64(45 + size) }

// At 20 million records a second on two cores the network gets what the empty function
// does; in order it would not.
func TestGapsCostTheNetworkWhatTheyCostTheEmptyFunction(t *testing.T) {
	arena := newArena(t, 1<<15, 16)
	const interval, length = 100, 100 * time.Millisecond
	floor := simulate(t, arena, interval, nothingCosts, false, length)
	share := simulate(t, arena, interval, jetCosts, false, length)
	ordered := simulate(t, arena, interval, jetCosts, true, length)
	t.Logf("within 300 ns: empty %.4f, network %.4f, in order %.4f", floor, share, ordered)
	if share < 0.98*floor || ordered > 0.97*floor || math.IsNaN(share) {
		t.Errorf("empty %.4f, network %.4f, in order %.4f", floor, share, ordered)
	}
}

// BenchmarkSimulated predicts the share within 300 ns for two pollers on the machine of
// the performance page, in the order of falling due and otherwise.
func BenchmarkSimulated(b *testing.B) {
	arena, err := NewArena(1<<15, 16)
	if err != nil {
		b.Fatal(err)
	}
	defer arena.Close()
	for _, rate := range []float64{10e6, 20e6, 25e6, 30e6, 35e6, 40e6} {
		for name, costs := range map[string]func(int) uint64{"empty": nothingCosts, "jet": jetCosts} {
			for _, inOrder := range []bool{true, false} {
				b.Run(fmt.Sprintf("%s/%.0fM/in order %v", name, rate/1e6, inOrder), func(b *testing.B) {
					for b.Loop() {
						b.ReportMetric(100*simulate(b, arena, 2e9/rate, costs, inOrder, 300*time.Millisecond), "%")
					}
				})
			}
		}
	}
}
