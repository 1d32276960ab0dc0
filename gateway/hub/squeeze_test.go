package hub

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// lawnModel is a hub with a crowd on its hands, as far as a squeeze sees it: how
// much of the hub's capacity is used up decides how many updates leave old.
type lawnModel struct {
	people   float64 // each of whom sees all others
	rate     float64 // actions per second of each
	capacity float64 // writes per second
	random   *rand.Rand
	squeeze  squeeze
	thinned  bool
	calm     int
	falls    int // after a rise
	old      float64
}

func (m *lawnModel) told() float64  { return m.people * m.rate }
func (m *lawnModel) floor() float64 { return max(leastEntities, floorTimes*24*m.rate) }

// load is the part of the capacity that is used: thinning saves writes at a stroke.
func (m *lawnModel) load() float64 {
	writes := m.told()
	if m.thinned {
		writes = min(writes, 24*m.rate*m.squeeze.near+5+m.squeeze.most/50)
	}
	return m.people * writes / m.capacity
}

// review is a quarter of a second.
func (m *lawnModel) review() {
	budget := m.squeeze.apply(Budget{Entities: 500}, m.floor())
	switch { // as reviewClient does
	case m.told() > budget.Entities:
		m.thinned, m.calm = true, 0
	case m.thinned && m.told() < calmShare*budget.Entities:
		if m.calm++; m.calm >= calmReviews {
			m.thinned = false
		}
	default:
		m.calm = 0
	}
	load := m.load()
	m.old = min(1, max(0, (load-0.75)*2.5)+0.01*m.random.Float64())
	for range 5 {
		for range 100 {
			m.squeeze.left(m.random.Float64() < m.old)
		}
		m.squeeze.tick()
	}
	s := &m.squeeze
	s.told = demand{}
	if s.bounded() || s.pressed(load) {
		s.see(min(m.told(), 500), m.floor())
	}
	rising := s.rising || math.IsInf(s.most, 1)
	before := s.most
	s.judge(min(1, load))
	if s.most < before && rising {
		m.falls++
	}
}

func newLawnModel(people, rate, load float64, seed uint64) *lawnModel {
	m := &lawnModel{people: people, rate: rate, random: rand.New(rand.NewPCG(seed, 1)), squeeze: newSqueeze()}
	m.capacity = people * people * rate / load
	return m
}

// However much more there is to write than can be: within two seconds what is
// near comes in time, it stays so, nobody is bounded below the floor, and the
// bound does not go up and down.
func TestSqueezeSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.05, 0.6).Draw(t, "rate")
		people := rapid.Float64Range(1.5*max(2*24, leastEntities/rate), 4000).Draw(t, "people")
		m := newLawnModel(people, rate, rapid.Float64Range(1.1, 8).Draw(t, "load"), rapid.Uint64().Draw(t, "seed"))
		m.capacity = max(m.capacity, m.people*(24*rate+5)*1.5) // what is near can be carried
		late, reviews := 0, 4*120
		for i := range reviews {
			m.review()
			if m.squeeze.most < m.squeeze.told.lowest {
				t.Fatalf("bounded to %v, the floor is %v", m.squeeze.most, m.floor())
			}
			if i >= 8 && m.old > 0.15 {
				late++
			}
		}
		if late > reviews/20 {
			t.Errorf("old in %d of %d reviews", late, reviews)
		}
		if m.falls > 12 {
			t.Errorf("the bound fell after a rise %d times in two minutes", m.falls)
		}
		if m.squeeze.near < 1 {
			t.Errorf("fewer are near: %v", m.squeeze.near)
		}
	})
}

// What a hub carries with ease is told whole, and some old updates now and then
// bound nobody for long.
func TestSqueezeStaysAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newLawnModel(rapid.Float64Range(200, 1500).Draw(t, "people"), 0.2, rapid.Float64Range(0.05, 0.7).Draw(t, "load"), 1)
		for range 200 {
			m.review()
		}
		if m.squeeze.bounded() || m.falls > 0 {
			t.Fatalf("bounded to %v", m.squeeze.most)
		}
		m.squeeze.told.most, m.squeeze.told.room = m.told(), m.told()
		m.squeeze.fall(0.5) // a standstill
		for range 4 * 20 {
			m.review()
		}
		if m.squeeze.bounded() || m.thinned {
			t.Errorf("still bounded to %v of %v", m.squeeze.most, m.told())
		}
	})
}

// Those who see few people are near to all of them: whatever the age of updates,
// nothing is bounded.
func TestSqueezeLeavesSmallGroupsAlone(t *testing.T) {
	s := newSqueeze()
	for range 100 {
		for range 100 {
			s.left(true)
		}
		s.tick()
		s.told = demand{}
		s.see(40*2.5, floorTimes*24*2.5) // the arena
		s.judge(1)
	}
	if s.bounded() {
		t.Errorf("bounded to %v, near %v", s.most, s.near)
	}
}

// Only when the lowest bound does not help for some seconds, fewer are near; and
// all are again when it is well.
func TestFewerAreNearInTheEnd(t *testing.T) {
	m := newLawnModel(1000, 5, 1, 1)
	m.capacity = 1000 * 24 * 5 / 2 // half of what is near
	for i := range 4 * 20 {
		m.review()
		if near := m.squeeze.near; i < nearPatience && near < 1 {
			t.Fatalf("after %d reviews %v are near", i, near)
		}
	}
	if m.squeeze.near > 0.7 {
		t.Errorf("still %v near", m.squeeze.near)
	}
	m.rate = 0.1
	for range 4 * 60 {
		m.review()
	}
	if m.squeeze.near < 1 {
		t.Errorf("%v near when all is well", m.squeeze.near)
	}
}

func TestSqueezeApplies(t *testing.T) {
	s := newSqueeze()
	budget := Budget{Entities: 500, Bytes: 100_000}
	if s.apply(budget, 50) != budget || s.least(budget) != budget {
		t.Error("bounded without need")
	}
	s.most = 100
	for floor, want := range map[float64]float64{50: 100, 200: 200, 1000: 500, math.Inf(1): 500} {
		if got := s.apply(budget, floor); got != (Budget{want, 100_000}) {
			t.Errorf("with a floor of %v: %v", floor, got)
		}
	}
	if got := s.apply(Budget{}, 50); got != (Budget{}) {
		t.Errorf("no budget became %v", got)
	}
	if got := s.apply(Budget{Bytes: 9}, 50); got != (Budget{100, 9}) {
		t.Errorf("a budget of bytes became %v", got)
	}
}

// What comes to be old at once is judged at once.
func TestSqueezeIsUrgent(t *testing.T) {
	s := newSqueeze()
	for i := range 3 {
		for range 30 {
			s.left(i > 0)
		}
		if urgent := s.tick(); urgent != (i == 2) {
			t.Errorf("urgent after %d ticks: %v", i, urgent)
		}
	}
}
