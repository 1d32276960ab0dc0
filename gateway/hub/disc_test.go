package hub

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// The people wanted are near, however many things lie between them; and where
// there are things only, a bounded number of them.
func TestThePeopleWantedAreNear(t *testing.T) {
	for _, things := range []int{0, 30, 300, 1000} {
		w := strewn(rand.New(rand.NewPCG(uint64(things), 1)), 300, things)
		missed, checked := 0, 0
		for _, r := range w.residents {
			if !r.person {
				continue
			}
			near, held := w.around(r.at, 24)
			if most := tooMany * 24; held.all() > most {
				t.Fatalf("%d things and people are near, at most %d are to be", held.all(), most)
			}
			for _, o := range w.nearest(r.at, 24) {
				checked++
				if !near.holds(w.grid.key(o.at)) {
					missed++
				}
			}
		}
		if things <= 300 && missed*33 > checked {
			t.Errorf("among %d things %d of %d nearest people are not near", things, missed, checked)
		}
	}
}

// strewn is a crowd of people and things, most of them in the middle.
func strewn(random *rand.Rand, people, things int) *crowd {
	h := &Hub{hubs: &Hubs{config: Config{Near: 24}}, avatars: map[world.EntityID]*Client{}}
	w := &crowd{hub: h, residents: map[world.EntityID]*resident{}}
	for i := range people + things {
		at := point{local: true, a: 30 * random.NormFloat64(), b: 30 * random.NormFloat64()}
		w.residents[world.EntityID(i+1)] = &resident{id: world.EntityID(i + 1), at: at, person: i < people}
	}
	w.lay(newGrid(point{local: true}, firstTile))
	for range 6 {
		if !w.refit(time.Time{}) {
			break
		}
	}
	return w
}

// nearest gives the people nearest to a point.
func (w *crowd) nearest(at point, n int) []*resident {
	var people []*resident
	for _, r := range w.residents {
		if r.person {
			people = append(people, r)
		}
	}
	distance := func(r *resident) float64 { return math.Hypot(r.at.a-at.a, r.at.b-at.b) }
	slices.SortFunc(people, func(a, b *resident) int {
		if distance(a) < distance(b) {
			return -1
		}
		return 1
	})
	return people[:n]
}

// What somebody near does to something far is told like what it does itself.
func TestDeedsOfTheNearAreNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLawn(t, 500, Budget{Entities: 150}, 12)
		for range 100 {
			w.pass(some(w.random, 50, 500)...)
		}
		near, far := 0, 0
		for i := range w.spot {
			switch w.rank(i) {
			case 1:
				near = i
			case 499:
				far = i
			}
		}
		for by, want := range map[int]bool{near: true, far: false} {
			w.conn.messages(t)
			w.truth.sequence++
			w.publish(map[world.Cell][]*starlingv1.Step{cellAt(1): {w.update(uint64(far+1), starlingv1.Change_CHANGED, uint64(by+1))}})
			w.town.settle()
			told := false
			for _, f := range frames(w.conn.messages(t)) {
				for _, c := range f.Commits {
					for _, s := range c.Steps {
						told = told || f.Partial && s.GetUpdate().GetEntity() == uint64(far+1)
					}
				}
			}
			if told != want {
				t.Errorf("told of the deed of the one with rank %d: %v, want %v", w.rank(by), told, want)
			}
		}
	})
}
