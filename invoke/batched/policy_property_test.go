package batched

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/starling-vr/starling/invoke"
	"pgregory.net/rapid"
)

func drawDevice(t *rapid.T) *accelerator {
	d := &accelerator{
		launch:  time.Duration(rapid.IntRange(0, 2000).Draw(t, "launch us")) * time.Microsecond,
		perItem: time.Duration(rapid.IntRange(1, 300).Draw(t, "item us")) * time.Microsecond,
		jitter:  float64(rapid.IntRange(0, 3).Draw(t, "jitter")) / 10,
		random:  rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
	}
	if rapid.Bool().Draw(t, "slows down") {
		d.slow = func(now invoke.Instant) float64 { return 1 + 2*float64(now/50_000_000%2) }
	}
	return d
}

func drawFunctions(t *rapid.T, p *Policy) []*Function {
	var all []*Function
	for i := range rapid.IntRange(1, 3).Draw(t, "functions") {
		spec := Spec{
			Name: string(rune('a' + i)), Largest: rapid.IntRange(1, 12).Draw(t, "largest"),
			Company:  time.Duration(rapid.IntRange(-1, 3).Draw(t, "company")) * time.Millisecond,
			Contract: invoke.Contract{Hard: rapid.Bool().Draw(t, "hard"), Deadline: time.Duration(rapid.IntRange(1, 40).Draw(t, "deadline")) * time.Millisecond},
			Queue: invoke.Bounds{Count: rapid.IntRange(8, 40).Draw(t, "count"),
				Age: time.Duration(rapid.IntRange(5, 60).Draw(t, "age")) * time.Millisecond},
		}
		if rapid.Bool().Draw(t, "model") {
			spec.Model = Model{time.Millisecond, 100 * time.Microsecond}
		}
		if rapid.Bool().Draw(t, "guaranteed") {
			spec.Contract.Rate, spec.Contract.Burst = float64(rapid.IntRange(1, 200).Draw(t, "rate")), rapid.IntRange(1, 4).Draw(t, "burst")
		}
		if f, err := p.Deploy(1, spec); err == nil {
			all = append(all, f)
		}
	}
	return all
}

func drawArrivals(t *rapid.T, functions []*Function) []arrival {
	var all []arrival
	at := invoke.Instant(1)
	for range rapid.IntRange(0, 40).Draw(t, "groups") {
		at = at.Add(time.Duration(rapid.IntRange(0, 8000).Draw(t, "gap us")) * time.Microsecond)
		for range rapid.IntRange(1, 10).Draw(t, "at once") {
			a := arrival{at: at, fn: functions[rapid.IntRange(0, len(functions)-1).Draw(t, "function")], sender: rapid.Uint64Range(0, 3).Draw(t, "sender")}
			if rapid.IntRange(0, 4).Draw(t, "own deadline") == 0 {
				a.deadline = at.Add(time.Duration(rapid.IntRange(-2000, 30000).Draw(t, "due us")) * time.Microsecond)
			}
			all = append(all, a)
		}
	}
	return all
}

// Whatever comes and however the device behaves: each invocation runs once or is
// refused once, the account adds up, and each batch is what the documentation says.
func TestEachIsRunOrRefusedOnceInBatchesThatAreMaximal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := NewPolicy(Config{Random: rand.NewPCG(1, 1)}, 1)
		functions := drawFunctions(t, p)
		if len(functions) == 0 {
			return
		}
		s := &simulation{policy: p, device: drawDevice(t), late: time.Duration(rapid.IntRange(0, 500).Draw(t, "late us")) * time.Microsecond}
		s.check = func(now invoke.Instant, b *Batch) { checkBatch(t, now, b) }
		fates := s.run(drawArrivals(t, functions))
		for i, fate := range fates {
			if fate.ran+fate.refused != 1 {
				t.Fatalf("%d: ran %d times, refused %d times", i, fate.ran, fate.refused)
			}
			if fate.ran == 0 {
				checkReason(t, fate)
			}
		}
		checkAccounts(t, p.Accounts(p.now), fates)
	})
}

func checkReason(t *rapid.T, f *fate) {
	hard := f.fn.spec.Contract.Hard
	switch f.reason {
	case invoke.TooLate:
		if !hard {
			t.Fatalf("a soft one is refused as too late")
		}
	case invoke.OverAge, invoke.QueueFull, invoke.SenderOverShare:
	default:
		t.Fatalf("refused for %v", f.reason)
	}
}

func checkAccounts(t *rapid.T, accounts []invoke.Account, fates []*fate) {
	for _, a := range accounts {
		var submitted, ran, refused, missed uint64
		for _, f := range fates {
			if f.fn.Name() != a.Name {
				continue
			}
			submitted++
			ran += uint64(f.ran)
			refused += uint64(f.refused)
			if f.ran == 1 && f.ended > f.inv.Deadline {
				missed++
			}
		}
		if a.Submitted != submitted || a.Invocations != ran || a.Refused() != refused || a.Misses != missed ||
			a.Waiting != 0 || a.Running != 0 || a.QueueTime.Count() != ran || a.GuaranteedMisses > a.Guaranteed {
			t.Fatalf("%s: submitted %d, ran %d, refused %d, missed %d, but %+v", a.Name, submitted, ran, refused, missed, a)
		}
	}
}

// checkBatch checks a batch just launched against what still waits.
func checkBatch(t *rapid.T, now invoke.Instant, b *Batch) {
	f := b.Function
	n := len(b.Items)
	limit := f.limit()
	if n == 0 || n > limit {
		t.Fatalf("%d in a batch of at most %d", n, limit)
	}
	earliest := invoke.Instant(math.MaxInt64)
	guaranteed := 0
	alone := now.Add(f.predict(1))
	met := func(deadline invoke.Instant) bool { return deadline >= alone }
	for i := range b.Items {
		item := &b.Items[i]
		if item.guaranteed {
			guaranteed++
		}
		if met(item.deadline) && (item.guaranteed || guaranteed == 0) {
			earliest = min(earliest, item.deadline)
		}
	}
	if !b.Sacrificed && earliest < b.Predicted {
		t.Fatalf("a batch that ends at %d takes one due at %d along", b.Predicted, earliest)
	}
	if b.Sacrificed || n == limit {
		return
	}
	tried := now.Add(f.predict(n + 1))
	check := func(q *queue, first bool) {
		for _, inv := range q.all() {
			could := tried <= inv.Deadline && tried <= earliest && first
			if could {
				t.Fatalf("%d of %d: one due at %d would have fitted: then the end is %d, the earliest deadline %d", n, limit, inv.Deadline, tried, earliest)
			}
		}
	}
	check(&f.guaranteed, true)
	check(&f.rest, guaranteed == 0)
	for i := range b.Items { // earlier deadlines first, within the guarantee and beyond
		item := &b.Items[i]
		q := &f.rest
		if item.guaranteed {
			q = &f.guaranteed
		}
		for _, inv := range q.all() {
			if inv.Deadline < item.deadline && inv.meets(alone) && (item.guaranteed || guaranteed == 0) {
				t.Fatalf("one due at %d went before one due at %d", item.deadline, inv.Deadline)
			}
		}
	}
}

// A queue gives what it was given, in order, whatever is taken out of it.
func TestQueueIsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []*Invocation
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "step") > 0 {
				inv := &Invocation{due: invoke.Instant(rapid.IntRange(0, 9).Draw(t, "due")), seq: uint64(i + 1)}
				q.push(inv)
				model = append(model, inv)
				slices.SortFunc(model, func(a, b *Invocation) int {
					return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq))
				})
			} else if n := rapid.IntRange(0, len(model)).Draw(t, "of the first"); n > 0 {
				odd := func(inv *Invocation) bool { return inv.seq%2 == 1 }
				var taken, want []*Invocation
				q.take(n, odd, func(inv *Invocation) { taken = append(taken, inv) })
				for _, inv := range model[:n] {
					if odd(inv) {
						want = append(want, inv)
					}
				}
				model = slices.DeleteFunc(model, func(inv *Invocation) bool { return slices.Contains(want, inv) })
				if !slices.Equal(taken, want) {
					t.Fatal("took others")
				}
			}
			if !slices.Equal(q.all(), model) {
				t.Fatalf("holds %v, want %v", q.all(), model)
			}
		}
	})
}
