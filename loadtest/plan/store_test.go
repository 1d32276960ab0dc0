package plan

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// One round trip at a time, no two within the interval, nothing lost, in order.
func TestLanesKeepTheirInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Costs{Storage: StoreCosts{RoundUS: rapid.Float64Range(0, 500).Draw(t, "round"), IntervalUS: rapid.SampledFrom([]float64{0, 1500, 2000}).Draw(t, "interval")}}
		m := &model{costs: c, random: rand.New(rand.NewPCG(1, 2)), part: part{stores: portion{1, 1, 0}, owners: portion{1, 1, 0}}}
		on := m.newMachine(2)
		o := &owner{model: m, machine: on, process: newProcess(on, 0, 0), lanes: make(map[*store]*lane)}
		s := &store{model: m, thread: thread{machine: on}}
		n := rapid.IntRange(1, 40).Draw(t, "appends")
		var told []int
		l := o.laneTo(s)
		for i := range n {
			at := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "at")) * time.Microsecond
			m.after(at, func() {
				began := l.last
				l.submit(func() (int, func(*task)) {
					if !l.flight {
						t.Fatal("a batch is made before its round begins")
					}
					return 1, func(*task) { told = append(told, i) }
				})
				if l.last != began && l.last-began < us(c.Storage.IntervalUS) {
					t.Fatalf("round trips at %v and %v", began, l.last)
				}
			})
		}
		m.run(time.Second)
		slices.Sort(told)
		if len(told) != n || len(slices.Compact(told)) != n || l.flight || l.armed || s.turns > int64(n) {
			t.Fatalf("%d of %d told in %d turns", len(told), n, s.turns)
		}
	})
}
