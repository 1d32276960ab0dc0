package hub

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// lawn is one cell with a crowd on it and one participant in the middle, in a
// bubble of time.
type lawn struct {
	*town
	spot [][2]float64 // of each: metres east and north
	conn *fakeConn    // of the one in the middle
}

func newLawn(t *testing.T, people int, budget Budget, near int) *lawn {
	w := &lawn{town: newTown(t, 1), conn: &fakeConn{room: -1}}
	w.bench = newBench(t, 1)
	w.hubs.config.Budget, w.hubs.config.Near = budget, near
	here := cellAt(1)
	for i := range people {
		w.spot = append(w.spot, [2]float64{w.random.NormFloat64() * 20, w.random.NormFloat64() * 20})
		if i == 0 {
			w.spot[0] = [2]float64{}
		}
		w.truth.sequence++
		w.stand(i)
		w.truth.at[uint64(i+1)] = here
		w.publish(map[world.Cell][]*starlingv1.Step{here: {w.update(uint64(i+1), starlingv1.Change_CREATED, uint64(i+1))}})
	}
	c := w.hubs.Prepare(Newcomer{Conn: w.conn, Avatar: 1, Cell: here, Budget: w.hubs.Granted(Budget{})})
	c.Begin(&starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{}}})
	w.pass()
	return w
}

func (w *lawn) stand(i int) { w.spots[uint64(i+1)] = w.spot[i] }

// pass lets a tick go by in which some act.
func (w *lawn) pass(actors ...int) {
	for _, i := range actors {
		w.truth.sequence++
		w.spot[i][0] += w.random.NormFloat64() / 10
		w.stand(i)
		w.publish(map[world.Cell][]*starlingv1.Step{cellAt(1): {w.update(uint64(i+1), starlingv1.Change_CHANGED, uint64(i+1))}})
	}
	w.town.pass()
}

func some(random *rand.Rand, n, of int) (actors []int) {
	for range n {
		actors = append(actors, random.IntN(of))
	}
	return actors
}

func TestBudgetHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, budget := range []Budget{{Entities: 100}, {Entities: 400}, {Bytes: 16 << 10}, {Entities: 300, Bytes: 64 << 10}} {
			w := newLawn(t, 500, budget, 12)
			conn := w.conn
			for range 100 { // five seconds, 1,000 actions a second
				w.pass(some(w.random, 50, 500)...)
			}
			conn.messages(t)
			started := time.Now()
			steps, bytes := 0, 0
			for range 200 {
				w.pass(some(w.random, 50, 500)...)
				for _, b := range conn.taken {
					bytes += len(b)
				}
				for _, f := range frames(conn.messages(t)) {
					for _, c := range f.Commits {
						steps += len(c.Steps)
					}
				}
			}
			seconds := time.Since(started).Seconds()
			rate, volume := float64(steps)/seconds, float64(bytes)/seconds
			if budget.Entities > 0 && rate > 1.1*budget.Entities || budget.Bytes > 0 && volume > 1.2*budget.Bytes {
				t.Errorf("budget %v: %.0f steps and %.0f bytes a second", budget, rate, volume)
			}
			if rate < 0.4*budget.Entities && volume < 0.4*budget.Bytes {
				t.Errorf("budget %v is hardly used: %.0f steps and %.0f bytes a second", budget, rate, volume)
			}
		}
	})
}

// A group that comes together does much for a moment: nobody is thinned for that.
func TestAMomentIsNoCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLawn(t, 60, Budget{Entities: 400}, 24)
		over := func() float64 { return gauge(t, w.hubs.metrics.OverBudget) }
		for range 40 { // two seconds of peace
			w.pass()
		}
		for range 20 {
			w.pass(some(w.random, 30, 60)...)
		}
		if over() != 0 {
			t.Error("over its budget after three quarters of a second with half as much again")
		}
		for range 20 {
			w.pass(some(w.random, 30, 60)...)
		}
		if over() != 1 {
			t.Error("not over its budget after a second and a half")
		}
		for range 100 {
			w.pass()
		}
		if over() != 0 {
			t.Error("still over its budget after five seconds of peace")
		}
		for range 5 {
			w.pass(some(w.random, 160, 60)...)
		}
		if over() != 1 {
			t.Error("four times its budget has to wait")
		}
	})
}

// What the very nearest do is told in the tick in which they do it, each time;
// others wait.
func TestNearestComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLawn(t, 500, Budget{Entities: 150}, 24)
		for range 100 {
			w.pass(some(w.random, 50, 500)...)
		}
		conn := w.conn
		late, far, around, reached := 0, 0, 0, 0
		for range 100 {
			conn.messages(t)
			actors := some(w.random, 50, 500)
			w.pass(actors...)
			told := map[uint64]uint64{}
			for _, f := range frames(conn.messages(t)) {
				for _, c := range f.Commits {
					for _, s := range c.Steps {
						told[s.GetUpdate().GetEntity()] = max(told[s.GetUpdate().GetEntity()], s.GetUpdate().GetVersion().GetSequence())
					}
				}
			}
			for _, i := range actors {
				entity := uint64(i + 1)
				is := w.truth.cell(cellAt(1)).holds[entity]
				near := w.rank(i)
				if near <= 24 {
					around++
					if told[entity] == is {
						reached++
					}
				}
				switch {
				case near <= 8 && told[entity] != is:
					t.Fatalf("the %dth nearest acted at %d, told was %d", near, is, told[entity])
				case near > 200 && told[entity] == is:
					far++
				case near > 200:
					late++
				}
			}
		}
		if reached < around*95/100 {
			t.Errorf("of %d actions of the 24 nearest %d came at once", around, reached)
		}
		if late < 5*far {
			t.Errorf("of those far away %d actions came at once, %d later", far, late)
		}
	})
}

// rank says how many are nearer to the middle than a participant.
func (w *lawn) rank(i int) (n int) {
	distance := func(j int) float64 {
		x, y := w.spot[j][0]-w.spot[0][0], w.spot[j][1]-w.spot[0][1]
		return x*x + y*y
	}
	for j := range w.spot {
		if distance(j) < distance(i) {
			n++
		}
	}
	return n
}

func TestSmallerBudgetCounts(t *testing.T) {
	s := &Hubs{config: Config{Budget: Budget{Entities: 500, Bytes: 1 << 16}}}
	for asked, want := range map[Budget]Budget{
		{}:                            {500, 1 << 16},
		{Entities: 100}:               {100, 1 << 16},
		{Entities: 1000, Bytes: 1}:    {500, leastBytes},
		{Entities: 1, Bytes: 1 << 20}: {leastEntities, 1 << 16},
	} {
		if got := s.Granted(asked); got != want {
			t.Errorf("asked for %v, granted %v, want %v", asked, got, want)
		}
	}
	unbounded := &Hubs{}
	if got := unbounded.Granted(Budget{Bytes: 9000}); got != (Budget{Bytes: 9000}) {
		t.Errorf("of no bound, granted %v", got)
	}
}

func TestClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(lowestRate, 6000).Draw(t, "rate")
		class := classOf(rate)
		if class < 0 || class >= rateClasses || classRate(class) > rate*1.0001 {
			t.Fatalf("class %d of rate %v has %v", class, rate, classRate(class))
		}
		if class < rateClasses-1 && classRate(class+1) <= rate*0.9999 {
			t.Fatalf("class %d is too slow for %v", class, rate)
		}
	})
	if classOf(-5) != 0 || classOf(0) != 0 {
		t.Error("nothing left is the slowest class")
	}
}

// Whoever one touched is followed for a while, however far away in the crowd.
func TestInteractionsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLawn(t, 500, Budget{Entities: 100}, 12)
		crowded := func(n int, and ...int) {
			for range n {
				w.conn.messages(t)
				w.pass(append(some(w.random, 50, 500), and...)...)
			}
		}
		crowded(100)
		far := 0
		for i := range w.spot {
			if w.rank(i) > w.rank(far) {
				far = i
			}
		}
		told := func() bool {
			crowded(1, far)
			is := w.truth.cell(cellAt(1)).holds[uint64(far+1)]
			for _, f := range frames(w.conn.messages(t)) {
				for _, c := range f.Commits {
					for _, s := range c.Steps {
						if u := s.GetUpdate(); f.Partial && u.GetEntity() == uint64(far+1) && u.GetVersion().GetSequence() == is {
							return true
						}
					}
				}
			}
			return false
		}
		if told() {
			t.Fatal("the farthest is near")
		}
		w.truth.sequence++
		w.publish(map[world.Cell][]*starlingv1.Step{cellAt(1): {{Is: &starlingv1.Step_Event{Event: &starlingv1.Event{
			Actor: uint64(far + 1), Number: 1, Version: &starlingv1.Version{Epoch: 1, Sequence: w.truth.sequence},
			What: &starlingv1.Event_Touched{Touched: &starlingv1.Touched{Entity: 1}},
		}}}}})
		touched := time.Now()
		for time.Since(touched) < followFor {
			if !told() {
				t.Fatalf("not told %v after the touch", time.Since(touched))
			}
		}
		crowded(60) // a second and more: it is looked at once a second
		if told() {
			t.Error("followed for ever")
		}
	})
}
