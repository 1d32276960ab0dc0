package plan

import (
	"math"
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

func TestTimersFireWhenTheirProcessLooks(t *testing.T) {
	var s simulation
	p := newProcess(makeMachine(&s, 1, time.Millisecond), 0, 0)
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
