package generator

import (
	"math"
	"slices"
	"time"

	"github.com/starling-vr/starling/loadtest/scenario"
)

// nearestCount is how many of those whom a participant sees count as its
// nearest: as many as a gateway keeps at full rate in a crowd, by default.
const nearestCount = 24

// neighbourhood knows who is near whom, by the crowd's own positions: those as of
// each participant's last action, as the server knows them.
type neighbourhood struct {
	crowd     *scenario.Crowd
	at        []spot
	radius    []float64 // within how many metres each one's nearest are
	renewed   []time.Duration
	seen      []int32
	distances []float64
}

// spot is a position: degrees on the map, metres in a place.
type spot struct {
	north, east float64
	shrink      float64 // of the map: a degree of longitude over one of latitude
}

func spotOnMap(lat, lng float64) spot { return spot{lat, lng, math.Cos(lat * math.Pi / 180)} }

// metresPerDegree of latitude on the mean sphere (radius 6,371,008.8 m).
const metresPerDegree = 111195.08

// renewNearest is how long the radius of one who stands is good: others walk.
const renewNearest = time.Second

func newNeighbourhood(crowd *scenario.Crowd) *neighbourhood {
	n := crowd.Participants()
	h := &neighbourhood{crowd: crowd, at: make([]spot, n), radius: make([]float64, n), renewed: make([]time.Duration, n)}
	for i := range h.at {
		e := crowd.Entry(i)
		h.at[i], h.renewed[i] = spotOnMap(e.Lat, e.Lng), math.MinInt64/2
		if e.Place != nil {
			h.at[i] = spot{north: e.North, east: e.East}
		}
	}
	return h
}

// moved notes where the actor of an action is.
func (h *neighbourhood) moved(a *scenario.Action) {
	h.renewed[a.Participant] = math.MinInt64 / 2
	if a.Place >= 0 {
		h.at[a.Participant] = spot{north: float64(a.Pose.North), east: float64(a.Pose.East)}
		return
	}
	h.at[a.Participant] = spotOnMap(a.Pose.Lat, a.Pose.Lng)
}

// square is the distance of two squared, metres: flat, which is right over a few
// cells.
func (h *neighbourhood) square(i, j int32, place bool) float64 {
	north, east := h.at[i].north-h.at[j].north, h.at[i].east-h.at[j].east
	if !place {
		if east > 180 {
			east -= 360
		} else if east < -180 {
			east += 360
		}
		north *= metresPerDegree
		east *= metresPerDegree * h.at[i].shrink
	}
	return north*north + east*east
}

// near marks, of the watchers of an action, those to whom the actor is one of the
// nearest; nil if it is to all, because they are few. A watcher's own nearest are
// those of all whom it sees: they may stand where it sees and this action is not seen.
func (h *neighbourhood) near(a *scenario.Action, watchers []int32) []uint64 {
	if len(watchers) <= nearestCount+1 {
		return nil
	}
	marks := make([]uint64, (len(watchers)+63)/64)
	for i, w := range watchers {
		if a.Due-h.renewed[w] >= renewNearest {
			h.renew(w, a.Place >= 0, a.Due)
		}
		if w == a.Participant || h.square(a.Participant, w, a.Place >= 0) <= h.radius[w]*h.radius[w] {
			marks[i/64] |= 1 << (i % 64)
		}
	}
	return marks
}

// renew finds the distance of a watcher's last nearest.
func (h *neighbourhood) renew(w int32, place bool, now time.Duration) {
	h.seen = h.crowd.AppendSeen(h.seen[:0], w)
	h.distances = h.distances[:0]
	for _, o := range h.seen {
		if o != w {
			h.distances = append(h.distances, h.square(w, o, place))
		}
	}
	h.renewed[w], h.radius[w] = now, 0
	if n := min(nearestCount, len(h.distances)); n > 0 {
		h.radius[w] = math.Sqrt(smallest(h.distances, n-1))
	}
}

// smallest gives the k-th smallest of values, from 0, and reorders them: Hoare's
// FIND (CACM 4, 1961).
func smallest(values []float64, k int) float64 {
	for low, high := 0, len(values)-1; low < high; {
		pivot := values[(low+high)/2]
		i, j := low, high
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			high = j
		case k >= i:
			low = i
		default:
			return values[k]
		}
	}
	return values[k]
}

// isNear says whether the i-th of the expected is one to whom the actor is near.
func isNear(marks []uint64, i int) bool {
	return marks == nil || marks[i/64]&(1<<(i%64)) != 0
}

// keepMarks drops the marks of those that were left out of expected, given which
// were kept, in order.
func keepMarks(marks []uint64, kept []int) []uint64 {
	out := make([]uint64, (len(kept)+63)/64)
	for to, from := range kept {
		if isNear(marks, from) {
			out[to/64] |= 1 << (to % 64)
		}
	}
	return slices.Clip(out)
}

// noteNearest counts what became of it to those to whom the actor was near.
func (l *ledger) noteNearest(a *action) {
	c := &l.second(a.due).nearest
	expected, never := int64(len(a.expected)), int64(a.left)
	if a.near != nil {
		l.dense = true
		expected, never = 0, 0
		for i, w := range a.expected {
			if !isNear(a.near, i) {
				continue
			}
			expected++
			if w >= 0 {
				never++
			}
		}
	}
	missed := int64(a.nearLate) + never
	c.DeliveriesExpected += expected
	c.DeliveriesReceived += expected - never
	c.DeliveriesMissed += missed
	c.DeliveriesMissed30MS += int64(a.nearAlso) + never
	if a.fate == applied || a.fate == refusedForGood {
		c.DeliveriesAdmitted += expected
		c.AdmittedMissed += missed
	}
	if missed > 0 || a.fate != applied {
		c.ActionsMissed++
	} else {
		c.Goodput++
	}
}
