package hub

import (
	"math"
	"sync/atomic"
)

// squeeze bounds what each client of a hub is told while updates leave old: what
// is far is told less often, so that what is near comes in time. It bounds nobody
// below a floor that leaves all that is near whole; where so few are in view that
// this is all, it changes nothing. Only when that has not helped for a while, and
// the gate (package overload) has had its time, fewer are near.
//
// The bound falls by the more, the more updates are old, and rises as long as next
// to none is. Thinning saves writes at a stroke, so that what is carried easily at
// a low bound may not be without one. A bound that turned out to be too much is
// therefore not passed again for a while, which doubles with each time that it
// turns out so.
type squeeze struct {
	most float64 // updates and events per second that a client is told; +Inf: no bound
	near float64 // share of those wanted near, 1 to leastNear

	ceiling float64 // that most does not pass,
	holds   int     // for so many judgements
	hold    int     // how many that will be the next time
	rising  bool    // since the last fall
	well    int     // judgements in a row without a bound
	lost    int     // in a row at the floor with most updates old

	// Since the last judgement.
	updates, old int
	hot          int // ticks in a row in which many were old
	tickUpdates  int
	tickOld      int

	told demand // of the clients looked at last

	making *atomic.Bool // room: the bound fell, and may fall on
}

// demand is what clients would be told without a bound.
type demand struct {
	most   float64 // updates and events per second of the one who is told most, of those above their floors
	lowest float64 // the lowest floor of these
	room   float64 // the most that a bound would still take from one of them
}

const (
	// Shares of updates that leave old. What is handed over at three quarters of
	// D mostly still comes in time: some are no harm.
	tooOld = 0.06
	fewOld = 0.02
	allOld = 0.4
	// Shares of the time that a hub spends on flushes.
	tooBusy = 0.85
	notBusy = 0.7

	hotTicks    = 2 // in a row: what is done need not wait for the next review
	gentleFall  = 0.85
	steepFall   = 0.4
	slowRise    = 0.03
	fastRise    = 0.3
	firstHold   = 20 // judgements: five seconds
	longestHold = 20 * 16
	freed       = 1.5 // times what anybody would be told: then no bound is needed
	forgotten   = 40  // judgements without a bound after which no ceiling is known

	nearPatience = 30 // judgements for which the gate has its time: three seconds and more
	leastNear    = 1. / 3
	nearFall     = 0.8
	nearRise     = 1.25

	// floorTimes is how often all that is near fits into the floor: what is near
	// takes half of a budget.
	floorTimes = 2
)

func newSqueeze() squeeze { return squeeze{most: math.Inf(1), near: 1, making: new(atomic.Bool)} }

// MakesRoom says that updates leave old, and that hubs are about to tell less of
// what is far instead. Whoever refuses actions waits for that. It may be called
// from any goroutine.
func (s *Hubs) MakesRoom() bool {
	for _, h := range s.hubs {
		if h.squeeze.making.Load() {
			return true
		}
	}
	return false
}

// left notes whether an update was old when it was handed to a socket.
func (s *squeeze) left(old bool) {
	s.tickUpdates++
	if old {
		s.tickOld++
	}
}

// tick ends a short while, and says whether so much was old that a judgement
// should not wait.
func (s *squeeze) tick() (urgent bool) {
	if s.tickUpdates >= enoughUpdates {
		if float64(s.tickOld) >= allOld*float64(s.tickUpdates) {
			s.hot++
		} else {
			s.hot = 0
		}
	}
	s.updates += s.tickUpdates
	s.old += s.tickOld
	s.tickUpdates, s.tickOld = 0, 0
	return s.hot >= hotTicks
}

// bounded says whether there is a bound.
func (s *squeeze) bounded() bool { return !math.IsInf(s.most, 1) || s.near < 1 }

// pressed says whether less should be told. busy is the hub's share of time spent
// on flushes.
func (s *squeeze) pressed(busy float64) bool {
	return s.updates >= enoughUpdates && (s.share() > tooOld || busy > tooBusy)
}

func (s *squeeze) share() float64 {
	if s.updates < enoughUpdates {
		return 0
	}
	return float64(s.old) / float64(s.updates)
}

// judge changes the bound by what happened since the last judgement.
func (s *squeeze) judge(busy float64) {
	share, before := s.share(), s.most
	switch {
	case s.pressed(busy):
		s.fall(share)
	case share < fewOld && busy < notBusy:
		s.rise()
	default:
		s.lost = 0
	}
	if making := s.most < before; making != s.making.Load() {
		s.making.Store(making)
	}
	s.updates, s.old, s.hot = 0, 0, 0
}

func (s *squeeze) fall(share float64) {
	if s.told.most == 0 {
		return // nobody is told more than the floor
	}
	s.well = 0
	if s.told.room <= 0 {
		s.giveUp(share)
		return
	}
	from := min(s.most, s.told.most)
	if math.IsInf(s.most, 1) || s.rising {
		s.hold = min(max(firstHold, 2*s.hold), longestHold)
		s.ceiling = 0.95 * from
	}
	s.holds, s.rising, s.lost = s.hold, false, 0
	part := min(1, max(0, (share-tooOld)/(allOld-tooOld)))
	s.most = max(s.told.lowest, from*(gentleFall-(gentleFall-steepFall)*part))
}

// giveUp lets fewer be near when nothing else helped.
func (s *squeeze) giveUp(share float64) {
	if share < allOld {
		s.lost = 0
		return
	}
	if s.lost++; s.lost > nearPatience {
		s.near = max(leastNear, s.near*nearFall)
	}
}

func (s *squeeze) rise() {
	s.lost = 0
	s.near = min(1, s.near*nearRise)
	if math.IsInf(s.most, 1) {
		if s.well++; s.well >= forgotten {
			s.hold, s.ceiling = 0, 0
		}
		return
	}
	s.rising = true
	by := slowRise
	if s.holds--; s.holds > 0 && s.ceiling > 0 {
		by = min(fastRise, max(slowRise, (s.ceiling-s.most)/s.ceiling/2))
		s.most = max(s.most, min(s.ceiling, s.most*(1+by)))
	} else {
		s.most *= 1 + by
	}
	if s.most > freed*s.told.most {
		s.most = math.Inf(1)
	}
}

// see notes what a client would be told without a bound, and its floor.
func (s *squeeze) see(told, floor float64) {
	if told <= floor {
		return
	}
	d := &s.told
	if d.most == 0 || floor < d.lowest {
		d.lowest = floor
	}
	d.most = max(d.most, told)
	d.room = max(d.room, min(s.most, told)-1.02*floor)
}

// apply bounds a budget. floor is what the client is to be told at least.
func (s *squeeze) apply(b Budget, floor float64) Budget {
	if math.IsInf(s.most, 1) || b == (Budget{}) {
		return b
	}
	b.Entities = smaller(b.Entities, max(s.most, floor))
	return b
}

// least is the smallest budget that a client may have under the bound.
func (s *squeeze) least(b Budget) Budget {
	if math.IsInf(s.most, 1) {
		return b
	}
	return Budget{Entities: smaller(b.Entities, max(s.most, leastEntities)), Bytes: b.Bytes}
}
