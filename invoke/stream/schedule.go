package stream

import (
	"fmt"
	"math"
	"math/bits"
)

// Source is where the records of a poller come from: a *Schedule or a *Ring.
type Source interface{ records() *Arena }

// RecordSize is how many bytes a record of a source has.
func RecordSize(s Source) int { return s.records().size }

// Schedule lets the records of an arena fall due one after another by the clock,
// over and over, with nobody who brings them.
type Schedule struct {
	// Arena holds the records.
	Arena *Arena
	// Rate is how many records fall due per second: 0.1 to a fourth of the clock's
	// frequency; +Inf for as many as can be decided.
	Rate float64
	// Phase is by which share (0..1) of an interval the first one is late, so
	// that the records of several pollers do not fall due together.
	Phase float64
}

func (s *Schedule) records() *Arena { return s.Arena }

// timetable says which records are due at a tick, and when each was due, without a
// division. Records are numbered from 0 at base; after era of them it begins anew.
type timetable struct {
	base     uint64 // the tick at which record 0 is due
	interval uint64 // ticks between records, with fraction binary digits
	fraction uint
	inverse  uint64 // of the interval: 2^(64+shift) / ticks
	shift    uint
	flood    bool // everything is due
}

// era is after how many records positions begin anew, so that position x interval
// fits into a word. It is a multiple of 2^fraction: nothing is rounded then.
const (
	eraBits      = 26
	era          = 1 << eraBits
	intervalBits = 36
)

func newTimetable(s *Schedule, clock *Clock) (timetable, error) {
	if math.IsInf(s.Rate, 1) {
		return timetable{flood: true}, nil
	}
	if !(s.Rate >= 0.1 && s.Rate <= clock.Frequency/4) || !(s.Phase >= 0 && s.Phase < 1) {
		return timetable{}, fmt.Errorf("stream: a schedule of %g records/s, phase %g: want 0.1 to %.3g, 0 to 1", s.Rate, s.Phase, clock.Frequency/4)
	}
	interval := clock.Frequency / s.Rate
	var t timetable
	t.fraction = uint(min(max(intervalBits-int(math.Ceil(math.Log2(interval))), 0), eraBits))
	t.interval = uint64(math.Round(math.Ldexp(interval, int(t.fraction))))
	t.shift = uint(bits.Len64(t.interval)) - 1 - t.fraction
	// 2^(64+shift) / (interval / 2^fraction), less than 2^64 but for a power of two
	high := uint64(1) << (t.shift + t.fraction)
	if high == t.interval {
		t.inverse = math.MaxUint64
	} else {
		t.inverse, _ = bits.Div64(high, 0, t.interval)
	}
	return t, nil
}

// start sets when record 0 is due.
func (t *timetable) start(at uint64, phase float64) {
	t.base = at + uint64(phase*math.Ldexp(float64(t.interval), -int(t.fraction)))
}

// due is how many records have fallen due up to now; never too early.
func (t *timetable) due(now uint64) uint64 {
	elapsed := now - t.base
	if int64(elapsed) < 0 {
		return 0
	}
	whole, _ := bits.Mul64(elapsed, t.inverse)
	return whole>>t.shift + 1
}

// older is how many of the records that fall due one after another from some tick
// on fall due in the first so many ticks.
func (t *timetable) older(ticks uint64) uint64 {
	if t.flood {
		return math.MaxUint64
	}
	whole, _ := bits.Mul64(ticks, t.inverse) // a little too low, so that + 1 rounds up
	return whole>>t.shift + 1
}

// at is the tick at which a record is due, one of an era before too.
func (t *timetable) at(record uint64) uint64 {
	return t.base + uint64(int64(record*t.interval)>>t.fraction)
}

// ticks is how far apart records are.
func (t *timetable) ticks() float64 {
	return math.Ldexp(float64(t.interval), -int(t.fraction))
}

// nextEra makes record era the new record 0.
func (t *timetable) nextEra() { t.base += t.interval << (eraBits - t.fraction) }
