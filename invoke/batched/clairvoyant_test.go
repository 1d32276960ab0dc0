package batched

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
	"pgregory.net/rapid"
)

// clairvoyant says whether somebody who knows all arrivals can run them in batches so
// that each ends by its deadline: the earliest end for each set of arrivals done (Held and
// Karp's way of trying all orders).
func clairvoyant(arrivals []arrival, largest int, took func(n int) time.Duration, spare time.Duration) bool {
	ends := make([]invoke.Instant, 1<<len(arrivals))
	for set := range ends {
		ends[set] = math.MaxInt64
	}
	ends[0] = 0
	for done := range ends {
		if ends[done] == math.MaxInt64 {
			continue
		}
		left := len(ends) - 1 - done
		for batch := left; batch > 0; batch = (batch - 1) & left {
			n := bits.OnesCount(uint(batch))
			if n > largest {
				continue
			}
			start, due := ends[done], invoke.Instant(math.MaxInt64)
			for i, a := range arrivals {
				if batch>>i&1 == 1 {
					start, due = max(start, a.at), min(due, a.deadline-invoke.Instant(spare))
				}
			}
			if end := start.Add(took(n)); end <= due {
				ends[done|batch] = min(ends[done|batch], end)
			}
		}
	}
	return ends[len(ends)-1] != math.MaxInt64
}

// No deadline is missed that somebody who knows all arrivals would hold with
// 2 T(B) - T(1) to spare: the promise of the package's documentation, over random
// devices, arrivals and deadlines, against a search of all ways to batch.
func TestNothingIsMissedThatAClairvoyantHoldsWithSpareTime(t *testing.T) {
	feasible, instances := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		device := &accelerator{
			launch:  time.Duration(rapid.IntRange(0, 1000).Draw(t, "launch us")) * time.Microsecond,
			perItem: time.Duration(rapid.IntRange(1, 500).Draw(t, "item us")) * time.Microsecond,
		}
		largest := rapid.IntRange(1, 4).Draw(t, "largest")
		spare := 2*device.exact(largest) - device.exact(1)
		p := NewPolicy(Config{Random: rand.NewPCG(1, 1), Slack: time.Nanosecond}, 1)
		f, err := p.Deploy(1, Spec{
			Name: "f", Largest: largest, Model: Model{device.launch, device.perItem},
			Company:  time.Duration(rapid.IntRange(-1, 1).Draw(t, "company")) * time.Millisecond,
			Contract: invoke.Contract{Hard: rapid.Bool().Draw(t, "hard"), Deadline: time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		var arrivals []arrival
		at := invoke.Instant(1000)
		for range rapid.IntRange(1, 8).Draw(t, "arrivals") {
			at = at.Add(time.Duration(rapid.IntRange(0, 2*int(device.exact(1))).Draw(t, "gap")))
			within := spare + device.exact(1) + time.Duration(rapid.IntRange(0, 3*int(device.exact(largest))).Draw(t, "due"))
			arrivals = append(arrivals, arrival{at: at, deadline: at.Add(within), fn: f})
		}
		instances++
		if !clairvoyant(arrivals, largest, device.exact, spare) {
			return
		}
		feasible++
		s := &simulation{policy: p, device: device}
		for i, fate := range s.run(arrivals) {
			if fate.missed() {
				t.Fatalf("arrival %d at %d due %d: %+v (spare %v)", i, fate.at, fate.deadline, fate, spare)
			}
		}
	})
	if feasible*5 < instances {
		t.Errorf("only %d of %d instances say anything", feasible, instances)
	}
}

// Why time to spare is needed at all: without, there are arrivals that
// only somebody who knows them holds.
func TestTheClairvoyantIsBetterWithoutSpareTime(t *testing.T) {
	device := &accelerator{launch: 900 * time.Microsecond, perItem: 100 * time.Microsecond}
	p := NewPolicy(Config{Random: rand.NewPCG(1, 1)}, 1)
	f, err := p.Deploy(1, Spec{Name: "f", Largest: 4, Model: Model{device.launch, device.perItem}, Company: -1})
	if err != nil {
		t.Fatal(err)
	}
	// The first is launched as it comes; the second had to be run at once.
	arrivals := []arrival{{at: 1e6, deadline: 9e6, fn: f}, {at: 1e6 + 1, deadline: 1e6 + 1 + 1_100_000, fn: f}}
	if !clairvoyant(arrivals, 4, device.exact, 0) {
		t.Fatal("the instance is none")
	}
	s := &simulation{policy: p, device: device}
	if fates := s.run(arrivals); fates[0].missed() || !fates[1].missed() {
		t.Errorf("%+v %+v", fates[0], fates[1])
	}
}
