package workflow_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// waits is one entry of the plain list that the tree is held against.
type waits struct {
	due       invoke.Instant
	work      int64
	hard, far bool
}

// slotOf is the slot that a deadline counts in, seen from base.
func slotOf(base, due invoke.Instant) int64 {
	return max(int64(due.Sub(base))/int64(workflow.SlotWidth), 0)
}

// Whatever is added, removed and moved along, the tree says what a list would.
func TestDemandIsWhatAListSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := invoke.Instant(1e9)
		d := workflow.NewDemand(now)
		var list []waits
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				e := waits{
					due:  now.Add(time.Duration(rapid.Int64Range(0, 3e9).Draw(t, "due"))),
					work: rapid.Int64Range(0, 1e8).Draw(t, "work"), hard: rapid.Bool().Draw(t, "hard"),
				}
				d.Follow(now, e.due)
				e.far = d.Add(e.due, e.work, e.hard)
				list = append(list, e)
			case 2:
				if len(list) > 0 {
					i := rapid.IntRange(0, len(list)-1).Draw(t, "which")
					d.Remove(list[i].due, list[i].work, list[i].hard, list[i].far)
					list = append(list[:i], list[i+1:]...)
				}
			case 3:
				now = now.Add(time.Duration(rapid.Int64Range(0, 2e9).Draw(t, "later")))
			}
			same(t, d, list, now)
		}
	})
}

func same(t *rapid.T, d *workflow.Demand, list []waits, now invoke.Instant) {
	until := now.Add(time.Duration(rapid.Int64Range(0, 4e9).Draw(t, "until")))
	var want int64
	late := int64(math.MinInt64)
	near := slotOf(d.Base(), until) < workflow.DemandSlots
	for _, e := range list {
		if !near || !e.far && slotOf(d.Base(), e.due) <= slotOf(d.Base(), until) {
			want += e.work
		}
		if e.far || !e.hard {
			continue
		}
		var sum int64
		for _, other := range list {
			if !other.far && slotOf(d.Base(), other.due) <= slotOf(d.Base(), e.due) {
				sum += other.work
			}
		}
		at := d.Base().Add(time.Duration(slotOf(d.Base(), e.due)) * workflow.SlotWidth)
		late = max(late, sum+int64(now.Sub(at)))
	}
	if got := d.Until(until); got != want {
		t.Fatalf("until %v: %d, want %d", until, got, want)
	}
	if got := d.Late(now); late != math.MinInt64 && int64(got) != late {
		t.Fatalf("late %v, want %v", got, time.Duration(late))
	}
}

func TestLineFindsFixedAndSlope(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	l := workflow.NewLine(750, 0)
	for range 5000 {
		size := 50 + random.IntN(700)
		took := time.Duration(20_000 + 400*size)
		if random.IntN(200) == 0 {
			took += 10 * time.Millisecond // interrupted
		}
		l.Record(size, time.Duration(float64(took)*(0.9+0.2*random.Float64())))
	}
	for _, size := range []int{50, 300, 750} {
		want := float64(20_000 + 400*size)
		if got := float64(l.At(size)); math.Abs(got-want) > 0.15*want {
			t.Errorf("size %d: %v, want %v", size, time.Duration(got), time.Duration(want))
		}
	}
}

func TestCriticalPath(t *testing.T) {
	// parse -> tokens -> {tags -> entities, summary}
	after := []uint64{0, 1, 2, 4, 2}
	took := []time.Duration{5, 16, 54, 48, 7}
	until, through, longest := workflow.CriticalPath(after, took)
	if longest != 123 || through[4] != 28 || until[2] != 75 || through[0] != 123 {
		t.Error(until, through, longest)
	}
}
