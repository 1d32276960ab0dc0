package generator

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// The nearest of a watcher are those of all whom it sees, also where the action
// that it watches is not seen: held against a search through everybody.
func TestTheNearestAreThoseOfAllWhomOneSees(t *testing.T) {
	safari, err := scenario.Load("safari-zone")
	if err != nil {
		t.Fatal(err)
	}
	crowd, err := scenario.New(safari, scenario.Options{Participants: 300, Seed: 3, Duration: 12 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cells := make([]world.Cell, crowd.Participants())
	for i := range cells {
		e := crowd.Entry(i)
		if cells[i], err = hex.Cell(e.Lat, e.Lng, 10); err != nil {
			t.Fatal(err)
		}
	}
	h := newNeighbourhood(crowd)
	checked, beyond := 0, 0
	for range 800 {
		a, ok := crowd.Next()
		if !ok {
			break
		}
		h.moved(&a)
		cells[a.Participant] = a.Cell
		watchers, _ := crowd.Affected(&a)
		watchers = slices.Sorted(slices.Values(watchers))
		marks := h.near(&a, watchers)
		if marks == nil {
			continue
		}
		for i, w := range watchers {
			if h.renewed[w] != a.Due {
				continue
			}
			distances, other := h.distancesOf(t, w, cells, watchers)
			radius := math.Sqrt(distances[min(nearestCount, len(distances))-1])
			if math.Abs(h.radius[w]-radius) > 1e-6 {
				t.Fatalf("within %.2f m, want %.2f", h.radius[w], radius)
			}
			near := w == a.Participant || h.square(a.Participant, w, false) <= radius*radius
			if got := isNear(marks, i); got != near {
				t.Fatalf("near: %v, want %v", got, near)
			}
			checked++
			if other {
				beyond++
			}
		}
	}
	if checked < 500 || beyond == 0 {
		t.Fatalf("%d checked, %d of them see more than this action's watchers: too few", checked, beyond)
	}
}

// distancesOf gives the squares of the distances to all whom a participant sees,
// in order, and whether some of these do not watch the action.
func (h *neighbourhood) distancesOf(t *testing.T, w int32, cells []world.Cell, watchers []int32) (squares []float64, other bool) {
	t.Helper()
	disk := hex.AppendDisk(nil, cells[w], 1)
	for o := range int32(len(cells)) {
		if o == w || !slices.Contains(disk, cells[o]) {
			continue
		}
		squares = append(squares, h.square(w, o, false))
		if _, watches := slices.BinarySearch(watchers, o); !watches {
			other = true
		}
	}
	slices.Sort(squares)
	return squares, other
}
