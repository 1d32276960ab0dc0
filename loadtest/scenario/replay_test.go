package scenario_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/scenario"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// replay is what a server would make of a crowd's actions, told by itself and
// slowly: where everyone is, and who sees what.
type replay struct {
	t       rapid.TB
	crowd   *scenario.Crowd
	ring    int
	actions []scenario.Action
	seen    [][2][]int32 // expected and uncertain, of each action
	people  []life
}

// life is where a participant was, and from when on.
type life struct {
	entry scenario.Entry
	since []time.Duration
	cells []world.Cell
}

func record(t rapid.TB, crowd *scenario.Crowd, ring, most int) *replay {
	r := &replay{t: t, crowd: crowd, ring: ring, people: make([]life, crowd.Participants())}
	for len(r.actions) < most {
		a, ok := crowd.Next()
		if !ok {
			break
		}
		expected, uncertain := crowd.Affected(&a)
		r.actions = append(r.actions, a)
		r.seen = append(r.seen, [2][]int32{slices.Clone(expected), slices.Clone(uncertain)})
	}
	for i := range r.people {
		e := crowd.Entry(i)
		cell, err := hex.Cell(e.Lat, e.Lng, 10)
		if err != nil {
			t.Fatal(err)
		}
		r.people[i] = life{entry: e, since: []time.Duration{e.Joins}, cells: []world.Cell{cell}}
	}
	r.follow()
	return r
}

// follow works out everyone's cells with the library alone, and the rule of
// the border of shards.
func (r *replay) follow() {
	for i := range r.actions {
		a := &r.actions[i]
		p := &r.people[a.Participant]
		was := p.cells[len(p.cells)-1]
		if a.Function == scenario.Move {
			cell, err := hex.Cell(a.Pose.Lat, a.Pose.Lng, 10)
			if err != nil {
				r.t.Fatal(err)
			}
			if m := world.DefaultShardMap(); a.Place < 0 && m.Shard(0, cell) != m.Shard(0, was) {
				bounds, err := hex.NewBounds(was)
				if err != nil {
					r.t.Fatal(err)
				}
				if bounds.MetresOutside(a.Pose.Lat, a.Pose.Lng) <= 3 {
					cell = was
				}
			}
			if cell != was {
				p.since, p.cells = append(p.since, a.Due), append(p.cells, cell)
				was = cell
			}
		}
		if was != a.Cell {
			r.t.Fatalf("%+v: the cell is %x", a, uint64(was))
		}
	}
}

// at gives the cell of a participant at an instant, and whether it is another
// some time within a window around it.
func (l *life) at(now, window time.Duration) (cell world.Cell, others []world.Cell) {
	for i, cellSince := range l.since {
		if cellSince <= now {
			cell = l.cells[i]
		}
		if i > 0 && cellSince >= now-window && cellSince <= now+window {
			others = append(others, l.cells[i-1], l.cells[i])
		}
	}
	return cell, others
}

func (r *replay) watches(from, what world.Cell) bool {
	steps, ok := hex.Distance(from, what)
	return ok && steps <= r.ring
}

// checkAffected compares with brute force over all participants.
func (r *replay) checkAffected(i int) {
	a := &r.actions[i]
	expected, uncertain := r.seen[i][0], r.seen[i][1]
	cell := func(i int32) (world.Cell, []world.Cell) { return r.people[i].at(a.Due, r.crowd.Window()) }
	before, _ := r.people[a.Participant].at(a.Due-1, 0)
	elusive := false
	if a.Function == scenario.Touch {
		_, others := cell(a.Target)
		elusive = len(others) > 0
	}
	for p := range int32(len(r.people)) {
		e := &r.people[p].entry
		want, mayEither := false, false
		if e.Joins <= a.Due && a.Due < e.Leaves && samePlace(e.Place, a.Place) {
			now, others := cell(p)
			want = r.watches(now, a.Cell)
			for _, other := range others {
				mayEither = mayEither || r.watches(other, a.Cell) != want
			}
			mayEither = mayEither || a.Cell != before && !want && r.watches(now, before) || elusive && want
		}
		if p == a.Participant {
			want, mayEither = true, false
		}
		isExpected, isUncertain := slices.Contains(expected, p), slices.Contains(uncertain, p)
		if isUncertain != mayEither || isExpected != (want && !mayEither) {
			r.t.Fatalf("%+v: participant %d: expected %v, uncertain %v; by brute force %v, %v", a, p, isExpected, isUncertain, want, mayEither)
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(expected)))); n != len(expected) {
		r.t.Fatalf("somebody is expected twice: %v", expected)
	}
}

func samePlace(p *scenario.Place, index int32) bool {
	if p == nil {
		return index < 0
	}
	return int32(p.Index) == index
}

// checkWalks holds every move against the server's limit of speed, 12 m/s and
// 30 m at once, when actions come late: each by up to a second, in order.
func (r *replay) checkWalks(late func() time.Duration) {
	type walker struct {
		budget   float64
		at       time.Duration
		lat, lng float64
	}
	walkers := make([]walker, len(r.people))
	for i := range walkers {
		e := r.people[i].entry
		walkers[i] = walker{budget: 30, at: e.Joins, lat: e.Lat, lng: e.Lng}
	}
	for i := range r.actions {
		a := &r.actions[i]
		if a.Function != scenario.Move {
			continue
		}
		w := &walkers[a.Participant]
		at := max(w.at, a.Due+late())
		w.budget = min(30, w.budget+12*(at-w.at).Seconds())
		metres := world.Metres(world.Geo{Lat: w.lat, Lng: w.lng}, world.Geo{Lat: a.Pose.Lat, Lng: a.Pose.Lng})
		if metres > w.budget {
			r.t.Fatalf("%+v: %v m, allowed are %v", a, metres, w.budget)
		}
		*w = walker{w.budget - metres, at, a.Pose.Lat, a.Pose.Lng}
	}
}

// checkReach follows positions and things.
func (r *replay) checkReach() {
	at := make([]world.Geo, len(r.people))
	things := make([]world.Geo, len(r.people))
	holding := make([]bool, len(r.people))
	for i := range r.people {
		at[i] = world.Geo{Lat: r.people[i].entry.Lat, Lng: r.people[i].entry.Lng}
		things[i] = at[i]
	}
	for i := range r.actions {
		a := &r.actions[i]
		p := a.Participant
		switch a.Function {
		case scenario.Move:
			at[p] = world.Geo{Lat: a.Pose.Lat, Lng: a.Pose.Lng}
		case scenario.Touch:
			if a.Target == p || world.Metres(at[p], at[a.Target]) > 20 {
				r.t.Fatalf("%+v: the target is %v m away", a, world.Metres(at[p], at[a.Target]))
			}
		case scenario.Grab:
			if a.Target != p || !r.people[p].entry.Thing || holding[p] || world.Metres(at[p], things[p]) > 20 {
				r.t.Fatalf("%+v: cannot be grabbed", a)
			}
			holding[p] = true
		case scenario.Release:
			if a.Target != p || !holding[p] {
				r.t.Fatalf("%+v: is not held", a)
			}
			holding[p], things[p] = false, at[p]
		case scenario.Speak:
			if a.Text == "" {
				r.t.Fatalf("%+v: says nothing", a)
			}
		}
	}
}

func (r *replay) checkOrder() {
	last := time.Duration(0)
	for i := range r.actions {
		a := &r.actions[i]
		e := &r.people[a.Participant].entry
		if a.Due < last || a.Due < e.Joins || a.Due >= e.Leaves {
			r.t.Fatalf("%+v is out of order, or nobody is there: %+v", a, e)
		}
		last = a.Due
	}
}

func TestAnyCrowd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, o := drawScenario(t)
		crowd, err := scenario.New(s, o)
		if err != nil {
			t.Fatal(err)
		}
		r := record(t, crowd, s.Ring, 1500)
		r.checkOrder()
		r.checkReach()
		lateness := rapid.IntRange(0, 1).Draw(t, "how late")
		n := uint64(1)
		r.checkWalks(func() time.Duration {
			n = n*6364136223846793005 + 1442695040888963407
			return time.Duration(lateness) * time.Duration(n>>33%1000) * time.Millisecond
		})
		for i := rapid.IntRange(0, 20).Draw(t, "from"); i < len(r.actions); i += 29 {
			if r.actions[i].Due+crowd.Window() < r.actions[len(r.actions)-1].Due { // what comes then is known
				r.checkAffected(i)
			}
		}
	})
}

// drawScenario draws a small crowd in which much happens.
func drawScenario(t *rapid.T) (*scenario.Scenario, scenario.Options) {
	spread := rapid.SampledFrom([]float64{0.1, 0.523, 1, 3}).Draw(t, "spread")
	mean := rapid.Float64Range(5, 150).Draw(t, "mean distance")
	s := &scenario.Scenario{
		Ring: rapid.IntRange(0, 3).Draw(t, "ring"),
		Mix:  scenario.Mix{Move: 0.7, Speak: 0.1, Touch: 0.1, Grab: 0.1, Things: rapid.Float64Range(0.1, 1).Draw(t, "things")},
		Walk: scenario.Walk{Speed: rapid.Float64Range(0.5, 9).Draw(t, "speed"), Fastest: 10, Variation: 0.2, Stride: rapid.Float64Range(1, 20).Draw(t, "stride"),
			RestShare: 0.3, Rest: scenario.Duration(time.Second)},
	}
	if rapid.Bool().Draw(t, "rates differ") {
		s.Arrivals = scenario.Arrivals{RateFrom: 0.1, RateTo: 10, Draw: "log-uniform"}
	} else {
		s.Arrivals.Rate = rapid.Float64Range(0.5, 20).Draw(t, "rate")
	}
	if rapid.Bool().Draw(t, "in bursts") {
		s.Arrivals.On, s.Arrivals.Off = scenario.Duration(time.Second), scenario.Duration(3*time.Second)
	}
	o := scenario.Options{Participants: rapid.IntRange(1, 60).Draw(t, "participants"), Seed: rapid.Uint64().Draw(t, "seed"), Duration: time.Minute}
	at := scenario.Point{Lat: rapid.Float64Range(-60, 60).Draw(t, "latitude"), Lng: rapid.SampledFrom([]float64{121.5, -0.01, 179.9995}).Draw(t, "longitude")}
	switch rapid.IntRange(0, 2).Draw(t, "where") {
	case 0:
		s.Groups = &scenario.Groups{Size: rapid.IntRange(1, 9).Draw(t, "size"), Centre: at, MeanDistance: mean, Spread: spread}
	case 1:
		s.Matches = &scenario.Matches{Size: 20, Centre: at, Extent: 200, MeanDistance: mean, Spread: spread}
	case 2:
		s.Walk.Roam = 0.2
		s.Clusters = []scenario.Cluster{
			{Name: "many", Share: 1, Centre: at, Count: 5, Scatter: 100, MeanDistance: mean, Spread: spread},
			{Name: "one", Share: 0.5, Centre: at, MeanDistance: mean, Spread: spread, DriftRadius: 50, DriftSpeed: 2},
		}
	}
	if rapid.Bool().Draw(t, "churn") {
		s.Churn = scenario.Churn{Stay: scenario.Duration(5 * time.Second), Gap: scenario.Duration(100 * time.Millisecond)}
		s.Storms = []scenario.Storm{{At: scenario.Duration(2 * time.Second), Share: 0.5, Over: scenario.Duration(time.Second)}}
	}
	return s, o
}

func TestNobodyInAGroupLeavesItsCellOrSeesAnother(t *testing.T) {
	for _, name := range []string{"sparse", "street", "arena"} {
		s, err := scenario.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		crowd, err := scenario.New(s, scenario.Options{Participants: 2000, Seed: 3, Duration: 10 * time.Minute, Rate: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		r := record(t, crowd, s.Ring, 100_000)
		cells := map[world.Cell]int{}
		for i := range r.people {
			if len(r.people[i].cells) != 1 {
				t.Fatalf("%s: participant %d left its cell", name, i)
			}
			cells[r.people[i].cells[0]]++
		}
		for cell, n := range cells {
			if n != s.Groups.Size {
				t.Fatalf("%s: %d in cell %x", name, n, uint64(cell))
			}
			for _, near := range hex.Disk(cell, 2) {
				if near != cell && cells[near] > 0 {
					t.Fatalf("%s: groups in %x and %x are too near", name, uint64(cell), uint64(near))
				}
			}
		}
		for i := range r.actions {
			if len(r.seen[i][0]) != s.Groups.Size || len(r.seen[i][1]) != 0 {
				t.Fatalf("%s: %+v is seen by %v and perhaps %v", name, r.actions[i], r.seen[i][0], r.seen[i][1])
			}
		}
		f := crowd.Figures()
		if f.Present != 2000 || f.Cells != 2000/s.Groups.Size || f.MeanAffected() != float64(s.Groups.Size) || f.AffectedAt(1) != s.Groups.Size {
			t.Errorf("%s: figures %+v", name, f)
		}
		if least := math.Ceil(float64(f.Cells) / 49); f.Shards != int(least) {
			t.Errorf("%s: %d shards, want %v", name, f.Shards, least)
		}
	}
}
