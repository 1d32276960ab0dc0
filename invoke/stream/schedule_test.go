package stream

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// A timetable is held against exact arithmetic: no record is due early, none later
// than a tick after its time, eras change nothing.
func TestTimetable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frequency := rapid.Float64Range(1e6, 6e9).Draw(t, "frequency")
		rate := math.Exp(rapid.Float64Range(math.Log(0.1), math.Log(frequency/4.01)).Draw(t, "log rate"))
		table, err := newTimetable(&Schedule{Rate: rate}, &Clock{Frequency: frequency})
		if err != nil {
			t.Fatal(err)
		}
		begin := rapid.Uint64Range(0, 1<<50).Draw(t, "begin")
		table.start(begin, 0)
		record := rapid.Uint64Range(0, era+1<<16).Draw(t, "record")
		// at = begin + floor(record * interval / 2^fraction)
		exact := new(big.Int).Mul(new(big.Int).SetUint64(record), new(big.Int).SetUint64(table.interval))
		exact.Rsh(exact, table.fraction)
		exact.Add(exact, new(big.Int).SetUint64(begin))
		at := table.at(record)
		if !exact.IsUint64() || exact.Uint64() != at {
			t.Fatalf("record %d is due at %d, not at %v", record, at, exact)
		}
		if drift := math.Abs(float64(at-begin) - float64(record)*frequency/rate); drift > 1+float64(at-begin)*1e-7 {
			t.Fatalf("record %d is %g ticks off", record, drift)
		}
		if at > 0 && record > 0 && table.due(at-1) > record {
			t.Fatalf("record %d is due early", record)
		}
		if table.due(at+1) <= record {
			t.Fatalf("record %d is due late: %d are at %d", record, table.due(at+1), at+1)
		}
		if record >= era {
			table.nextEra()
			if table.at(record-era) != at {
				t.Fatalf("record %d is due at %d in the next era, and was at %d", record, table.at(record-era), at)
			}
		}
	})
}

func TestHowManyAreOlder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, err := newTimetable(&Schedule{Rate: rapid.Float64Range(1, 500e6).Draw(t, "rate")}, &Clock{Frequency: 2.6e9})
		if err != nil {
			t.Fatal(err)
		}
		first := rapid.Uint64Range(0, 1000).Draw(t, "first")
		ticks := rapid.Uint64Range(1, 40*(table.interval>>table.fraction)).Draw(t, "ticks")
		older := uint64(0)
		for table.at(first+older)-table.at(first) < ticks {
			older++
		}
		got := table.older(ticks)
		// Where first's own time was rounded, one may lie on the border.
		if got > older+1 || got+1 < older || first == 0 && got != older {
			t.Fatalf("%d, not %d", got, older)
		}
	})
}

func TestSchedulesThatMakeNoSense(t *testing.T) {
	for _, s := range []Schedule{{Rate: 0}, {Rate: -1}, {Rate: math.NaN()}, {Rate: 1e9}, {Rate: 1, Phase: 1}, {Rate: 1, Phase: -0.1}, {Rate: 1, Phase: math.NaN()}} {
		if _, err := newTimetable(&s, &Clock{Frequency: 2.6e9}); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}
