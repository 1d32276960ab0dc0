package redis

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// settled is the interval after so many answers that take what next says.
func settled(p *pace, answers int, next func() time.Duration) time.Duration {
	for range answers {
		p.answered(next())
	}
	return p.interval()
}

func steady(took time.Duration) func() time.Duration { return func() time.Duration { return took } }

func TestRoundsAreFarApartWhileAnswersComeSoon(t *testing.T) {
	p := pace{least: DefaultInterval, most: DefaultMaxInterval}
	if got := settled(&p, 400, steady(time.Millisecond)); got != p.most {
		t.Errorf("answers after 1 ms: rounds %v apart, want %v", got, p.most)
	}
	if got := settled(&p, 400, steady(6*time.Millisecond)); got != p.least {
		t.Errorf("answers after 6 ms: rounds %v apart, want %v", got, p.least)
	}
	if got := settled(&p, 3000, steady(time.Millisecond)); got != p.most {
		t.Errorf("answers after 1 ms again: rounds %v apart, want %v", got, p.most)
	}
	between := settled(&p, 3000, steady(2000*time.Microsecond))
	if want := commitShare - 2*2000*time.Microsecond; between < want-2*paceStep || between > want+2*paceStep {
		t.Errorf("answers after 2 ms: rounds %v apart, want about %v", between, want)
	}
}

// One answer in fifty that comes late says nothing about the others; one in five
// does.
func TestRoundsFollowNineAnswersInTen(t *testing.T) {
	for _, c := range []struct {
		late float64
		far  bool
	}{{0.02, true}, {0.2, false}} {
		random := rand.New(rand.NewPCG(1, 2))
		p := pace{least: DefaultInterval, most: DefaultMaxInterval}
		got := settled(&p, 5000, func() time.Duration {
			if random.Float64() < c.late {
				return 20 * time.Millisecond
			}
			return time.Millisecond
		})
		if far := got == p.most; far != c.far {
			t.Errorf("with %.0f %% late answers rounds are %v apart", 100*c.late, got)
		}
	}
}

// Whatever answers take, the interval is one that was asked for.
func TestRoundsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := pace{
			least: time.Duration(rapid.Int64Range(-1, int64(10*time.Millisecond)).Draw(r, "least")),
			most:  time.Duration(rapid.Int64Range(-1, int64(10*time.Millisecond)).Draw(r, "most")),
		}
		for _, took := range rapid.SliceOf(rapid.Int64Range(0, int64(time.Minute))).Draw(r, "answers") {
			p.answered(time.Duration(took))
			if got := p.interval(); got < p.least || got > max(p.least, p.most) {
				r.Fatalf("rounds %v apart, asked for %v to %v", got, p.least, p.most)
			}
		}
	})
}

func TestNoIntervalMeansNone(t *testing.T) {
	c := Config{Interval: -1}
	c.setDefaults()
	p := pace{least: c.Interval, most: c.MaxInterval}
	if got := settled(&p, 100, steady(time.Millisecond)); got > 0 {
		t.Errorf("rounds %v apart without an interval", got)
	}
}
