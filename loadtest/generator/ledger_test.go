package generator

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/loadtest/generator/wire"
	"github.com/starling-vr/starling/loadtest/report"
)

const ms = int64(time.Millisecond)

// books is a ledger of three participants with avatars 100, 101 and 102, and a
// thing 200 of the first, measured from the second 1 to the second 3.
func books(t *testing.T) *ledger {
	t.Helper()
	l := newLedger(3, 15*time.Millisecond, time.Second, time.Second, 2*time.Second)
	for i := range int32(3) {
		if got := l.addEntity(uint64(100+i), i); got != i {
			t.Fatalf("entity %d", got)
		}
	}
	l.addEntity(200, 0)
	return l
}

func version(sequence uint64) wire.Version { return wire.Version{Epoch: 1, Sequence: sequence} }

// moves enters and sends a move of participant 0 that all must see.
func (l *ledger) moves(due int64, number uint64) int64 {
	s := l.enter(due, 0, false, []int32{0, 1, 2}, nil, 0)
	l.sent(s, 100, number, 0)
	return s
}

func (l *ledger) done(t *testing.T) report.Counts {
	t.Helper()
	l.settle(int64(time.Hour))
	if !l.settledAll() {
		t.Fatal("not all is settled")
	}
	if err := l.total.Check(); err != nil {
		t.Fatal(err)
	}
	return l.total
}

func TestLatencyCountsFromTheTimeAnActionWasDue(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	s := l.moves(due, 7)
	step := wire.Step{Entity: 100, Actor: 100, Number: 7, Version: version(1)}
	l.update(0, &step, due+4*ms)
	l.update(1, &step, due+20*ms)
	l.update(1, &step, due+21*ms) // again: counts once
	l.answered(s, true, "", due+5*ms)
	c := l.done(t)
	want := report.Counts{Offered: 1, Admitted: 1, Achieved: 1, ActionsMissed: 1, ActionsMissed30MS: 1,
		DeliveriesExpected: 3, DeliveriesReceived: 2, DeliveriesMissed: 2, DeliveriesMissed30MS: 1}
	if c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if l.latency.Count() != 2 || l.latency.Max() < 19_990 || l.latency.Max() > 20_020 {
		t.Errorf("%d latencies, at most %d us", l.latency.Count(), l.latency.Max())
	}
}

func TestALaterMoveIncludesTheEarlierOnes(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	first, second := l.moves(due, 7), l.moves(due+ms, 8)
	later := wire.Step{Entity: 100, Actor: 100, Number: 8, Version: version(2)}
	earlier := wire.Step{Entity: 100, Actor: 100, Number: 7, Version: version(2)}
	l.update(0, &earlier, due+3*ms) // of one commit: no conflation
	l.update(0, &later, due+3*ms)
	l.update(1, &later, due+3*ms)
	l.update(1, &earlier, due+4*ms)
	l.update(2, &later, due+3*ms)
	for _, s := range []int64{first, second} {
		l.answered(s, true, "", due+3*ms)
	}
	if c := l.done(t); c.DeliveriesReceived != 6 || c.DeliveriesConflated != 2 || c.DeliveriesMissed != 0 || c.Goodput != 2 {
		t.Errorf("%+v", c)
	}
}

// A baseline names no action: its version tells what it includes, whether the
// version of the action was seen before it or only afterwards.
func TestABaselineIncludesWhatItsVersionSays(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	s := l.moves(due, 7)
	l.update(1, &wire.Step{Entity: 100, Version: version(4)}, due+2*ms)                         // too old, as will turn out
	l.update(1, &wire.Step{Entity: 100, Version: version(6)}, due+3*ms)                         // new enough, as will turn out
	l.update(0, &wire.Step{Entity: 100, Actor: 100, Number: 7, Version: version(5)}, due+4*ms)  // tells the version
	l.update(2, &wire.Step{Entity: 100, Version: version(5)}, due+5*ms)                         // new enough
	l.update(2, &wire.Step{Entity: 100, Actor: 100, Number: 7, Version: version(5)}, due+60*ms) // seen before
	l.answered(s, true, "", due+4*ms)
	if c := l.done(t); c.DeliveriesReceived != 3 || c.DeliveriesConflated != 2 || c.DeliveriesMissed != 0 {
		t.Errorf("%+v", c)
	}
}

func TestEventsMustArriveThemselves(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	said := l.enter(due, 0, true, []int32{0, 1}, nil, 0)
	l.sent(said, 100, 7, -1)
	moved := l.moves(due+ms, 8)
	l.event(0, &wire.Step{Event: true, Actor: 100, Number: 7}, due+2*ms)
	l.event(1, &wire.Step{Event: true, Actor: 101, Number: 7}, due+2*ms) // of somebody else
	for w := range int32(3) {
		l.update(w, &wire.Step{Entity: 100, Actor: 100, Number: 8, Version: version(2)}, due+2*ms)
	}
	l.answered(said, true, "", due+2*ms)
	l.answered(moved, true, "", due+2*ms)
	if c := l.done(t); c.DeliveriesReceived != 4 || c.DeliveriesExpected != 5 || c.DeliveriesConflated != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAThingsStateIncludesWhoTookItBefore(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	grabbed := l.enter(due, 0, false, []int32{0, 1}, nil, 0)
	l.sent(grabbed, 100, 7, 3)
	l.update(0, &wire.Step{Entity: 200, Actor: 100, Number: 7, Version: version(3)}, due+2*ms)
	l.update(1, &wire.Step{Entity: 200, Actor: 102, Number: 4, Version: version(9)}, due+3*ms) // somebody else's, later
	l.answered(grabbed, true, "", due+2*ms)
	if c := l.done(t); c.DeliveriesReceived != 2 || c.DeliveriesConflated != 1 {
		t.Errorf("%+v", c)
	}
}

func TestRefusedAndUnansweredActionsMiss(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	step := wire.Step{Entity: 100, Actor: 100, Number: 7, Version: version(1)}
	busy := l.enter(due, 1, false, []int32{1}, nil, 0)
	l.sent(busy, 101, 1, 1)
	l.refused(busy, "BUSY")
	far := l.enter(due, 1, false, []int32{1}, nil, 0)
	l.sent(far, 101, 2, 1)
	l.answered(far, false, "TOO_FAST", due+ms)
	_ = l.enter(due, 2, false, []int32{0, 2}, nil, 1)
	fine := l.moves(due, 7)
	l.refused(fine, "BUSY") // and taken later
	for w := range int32(3) {
		l.update(w, &step, due+2*ms)
	}
	l.answered(fine, true, "", due+2*ms)
	c := l.done(t)
	want := report.Counts{Offered: 4, Admitted: 2, Achieved: 1, Goodput: 1, Refused: 2, Unanswered: 1, ActionsMissed: 3, ActionsMissed30MS: 3,
		DeliveriesExpected: 7, DeliveriesReceived: 3, DeliveriesMissed: 4, DeliveriesMissed30MS: 4, DeliveriesUncertain: 1}
	if c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if l.refusals["BUSY"] != 1 || l.refusals["TOO_FAST"] != 1 {
		t.Errorf("%v", l.refusals)
	}
}

func TestWhatIsOutsideTheMeasuredTimeDoesNotCount(t *testing.T) {
	l := books(t)
	if s := l.moves(999*ms, 6); s != -1 {
		t.Errorf("%d", s)
	}
	if s := l.moves(3000*ms, 8); s != -1 {
		t.Errorf("%d", s)
	}
	l.sent(-1, 100, 6, 0)
	l.answered(-1, true, "", 1000*ms)
	l.update(1, &wire.Step{Entity: 100, Actor: 100, Number: 6, Version: version(1)}, 1001*ms)
	if c := l.done(t); c != (report.Counts{}) {
		t.Errorf("%+v", c)
	}
}

func TestWhoIsNotThereYetIsNotExpected(t *testing.T) {
	l := books(t)
	l.viewers[2].expectedFrom = 1600 * ms
	l.moves(1500*ms, 7)
	l.moves(1600*ms, 8)
	if c := l.done(t); c.DeliveriesExpected != 5 || c.DeliveriesUncertain != 1 {
		t.Errorf("%+v", c)
	}
}

// What comes later than the grace is missing, whatever comes then.
func TestTheGraceEnds(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	s := l.moves(due, 7)
	l.answered(s, true, "", due+2*ms)
	l.settle(due + 1001*ms)
	for w := range int32(3) {
		l.update(w, &wire.Step{Entity: 100, Actor: 100, Number: 7, Version: version(1)}, due+1002*ms)
	}
	if c := l.done(t); c.DeliveriesReceived != 0 || c.DeliveriesMissed != 3 {
		t.Errorf("%+v", c)
	}
}

// Whatever comes in whatever order: what is expected is received once or missed,
// and the counts agree.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const people = 5
		l := newLedger(people, 15*time.Millisecond, 100*time.Millisecond, 0, 2*time.Second)
		for i := range int32(people) {
			l.addEntity(uint64(100+i), i)
		}
		type told struct {
			who    int32
			number uint64
			event  bool
		}
		var all []told
		next := [people]uint64{}
		now, expected := int64(0), int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 20*ms).Draw(t, "pause")
			who := rapid.Int32Range(0, people-1).Draw(t, "who")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				event := rapid.Bool().Draw(t, "event")
				var watchers []int32
				for w := range int32(people) {
					if w == who || rapid.Bool().Draw(t, "watches") {
						watchers = append(watchers, w)
					}
				}
				next[who]++
				x := told{who, next[who], event}
				all = append(all, x)
				s := l.enter(now, who, event, watchers, nil, 0)
				expected += int64(len(watchers))
				l.sent(s, uint64(100+who), x.number, who)
				if rapid.Bool().Draw(t, "answered") {
					l.answered(s, rapid.Bool().Draw(t, "fine"), "X", now)
				}
			case 1, 2:
				if len(all) == 0 {
					continue
				}
				x := all[rapid.IntRange(max(0, len(all)-5), len(all)-1).Draw(t, "told")]
				step := wire.Step{Event: x.event, Entity: uint64(100 + x.who), Actor: uint64(100 + x.who), Number: x.number, Version: version(x.number)}
				if x.event {
					l.event(who, &step, now)
				} else {
					l.update(who, &step, now)
				}
			case 3:
				l.update(who, &wire.Step{Entity: uint64(100 + rapid.IntRange(0, people-1).Draw(t, "of")), Version: version(rapid.Uint64Range(0, 9).Draw(t, "version"))}, now)
			}
			l.settle(now)
		}
		l.settle(int64(time.Hour))
		if err := l.total.Check(); err != nil {
			t.Fatal(err)
		}
		if l.total.Offered != int64(len(all)) || l.total.DeliveriesExpected != expected || l.latency.Count() != l.total.DeliveriesReceived || l.head != l.tail {
			t.Fatalf("%d offered, %d expected: %+v, %d latencies", len(all), expected, l.total, l.latency.Count())
		}
	})
}

func TestIDTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table idTable
		model := map[uint64]int32{}
		for i := range rapid.IntRange(0, 300).Draw(t, "n") {
			id := rapid.OneOf(rapid.Uint64Range(0, 50), rapid.Uint64()).Draw(t, "id")
			if id != 0 {
				model[id] = int32(i)
			}
			table.put(id, int32(i))
		}
		for id := range uint64(52) {
			got, ok := table.get(id)
			want, known := model[id]
			if ok != known || got != want && known {
				t.Fatalf("%d: %d %v, want %d %v", id, got, ok, want, known)
			}
		}
	})
}

func TestTimersComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all timers
		times := rapid.SliceOf(rapid.Int64Range(0, 100)).Draw(t, "times")
		for i, at := range times {
			all.add(at, int32(i))
		}
		last := int64(-1)
		for range times {
			next, _ := all.next()
			who, at, ok := all.pop(100)
			if !ok || at < last || at != next || times[who] != at {
				t.Fatalf("%d at %d after %d", who, at, last)
			}
			last = at
		}
		if _, _, ok := all.pop(100); ok {
			t.Fatal("one too many")
		}
	})
}

// Of a dense crowd the deliveries of those nearby are counted apart, too.
func TestTheNearestAreCountedApart(t *testing.T) {
	l := books(t)
	l.viewers[1].ignored = true
	due := 1500 * ms
	s := l.enter(due, 0, false, []int32{0, 1, 2}, []uint64{0b001}, 0)
	l.sent(s, 100, 7, 0)
	for w := range int32(3) {
		l.update(w, &wire.Step{Entity: 100, Actor: 100, Number: 7, Version: version(1)}, due+int64(w)*20*ms)
	}
	l.answered(s, true, "", due)
	if c := l.done(t); c.DeliveriesExpected != 2 || c.DeliveriesMissed != 1 {
		t.Errorf("%+v", c)
	}
	want := report.NearestCounts{Goodput: 1, DeliveriesExpected: 1, DeliveriesReceived: 1, DeliveriesAdmitted: 1}
	if !l.dense || l.nearest != want || l.nearUS.Count() != 1 {
		t.Errorf("%+v", l.nearest)
	}
	if s := l.settled[0]; s.Nearest == nil || *s.Nearest != want {
		t.Errorf("%+v in the second", s.Nearest)
	}
}

// An action counts for the nearest if all of them saw it in time, whatever became
// of it to the others; one that was refused, or that one of them saw late, does not.
func TestGoodputOfTheNearest(t *testing.T) {
	l := books(t)
	due := 1500 * ms
	enter := func(number uint64, near uint64) int64 {
		s := l.enter(due, 0, false, []int32{0, 1, 2}, []uint64{near}, 0)
		l.sent(s, 100, number, 0)
		return s
	}
	seen := func(w int32, number uint64, after int64) {
		l.update(w, &wire.Step{Entity: 100, Actor: 100, Number: number, Version: version(number)}, due+after)
	}
	fine, late, refused := enter(1, 0b011), enter(2, 0b011), enter(3, 0b011)
	seen(0, 1, 2*ms)
	seen(1, 1, 3*ms)
	seen(0, 2, 4*ms)
	seen(1, 2, 16*ms)
	l.answered(fine, true, "", due+5*ms)
	l.answered(late, true, "", due+5*ms)
	l.refused(refused, "BUSY")
	c := l.done(t)
	want := report.NearestCounts{
		Goodput: 1, ActionsMissed: 2, DeliveriesExpected: 6, DeliveriesReceived: 4, DeliveriesMissed: 3, DeliveriesMissed30MS: 2,
		DeliveriesAdmitted: 4, AdmittedMissed: 1,
	}
	if l.nearest != want || c.Goodput != 0 {
		t.Errorf("%+v, of all %+v", l.nearest, c)
	}
}

func TestSmallest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 9), 1, 60).Draw(t, "values")
		k := rapid.IntRange(0, len(values)-1).Draw(t, "k")
		sorted := slices.Sorted(slices.Values(values))
		if got := smallest(values, k); got != sorted[k] {
			t.Fatalf("%v, want %v", got, sorted[k])
		}
	})
}
