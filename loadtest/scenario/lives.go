package scenario

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// lives say who comes and goes when. They are empty if everyone stays.
type lives struct {
	joins, leaves []time.Duration // of every participant
	slot          []int32         // of those who come later: in whose stead
	successor     []int32         // of every participant; -1 none
	occupant      []int32         // of every slot, as of the action made last
	changes       []change        // in order
}

// change is somebody's coming or going.
type change struct {
	at          time.Duration
	participant int32
	comes       bool
}

func newLives(s *Scenario, o *Options) lives {
	var l lives
	if s.Churn.Stay == 0 && len(s.Storms) == 0 {
		return l
	}
	storms := slices.Clone(s.Storms)
	slices.SortFunc(storms, func(a, b Storm) int { return int(a.At - b.At) })
	random := rand.New(rand.NewPCG(o.Seed, 0x11fe))
	l.occupant = make([]int32, o.Participants)
	for i := range l.occupant {
		l.occupant[i] = int32(i)
		l.joins = append(l.joins, 0)
		l.leaves = append(l.leaves, math.MaxInt64)
		l.successor = append(l.successor, -1)
	}
	for slot := range l.occupant {
		l.live(s, slot, storms, o.Duration, random)
	}
	for i := range l.joins {
		if l.joins[i] > 0 {
			l.changes = append(l.changes, change{l.joins[i], int32(i), true})
		}
		if l.leaves[i] < o.Duration {
			l.changes = append(l.changes, change{l.leaves[i], int32(i), false})
		}
	}
	slices.SortFunc(l.changes, func(a, b change) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return int(a.participant - b.participant)
	})
	return l
}

// live draws who is in a slot one after another.
func (l *lives) live(s *Scenario, slot int, storms []Storm, end time.Duration, random *rand.Rand) {
	who := slot
	for now := time.Duration(0); ; {
		leaves := time.Duration(math.MaxInt64)
		if s.Churn.Stay > 0 {
			leaves = now + max(1, time.Duration(random.ExpFloat64()*float64(s.Churn.Stay)))
		}
		gap := time.Duration(s.Churn.Gap)
		for _, storm := range storms {
			at := time.Duration(storm.At)
			if at <= now || at >= leaves {
				continue
			}
			if random.Float64() < storm.Share {
				leaves, gap = at, time.Duration(random.Float64()*float64(storm.Over))
				break
			}
		}
		if leaves >= end || leaves+gap >= end {
			if leaves < end {
				l.leaves[who] = leaves
			}
			return
		}
		l.leaves[who] = leaves
		now = leaves + max(gap, 1)
		next := len(l.joins)
		l.successor[who] = int32(next)
		l.slot = append(l.slot, int32(slot))
		l.joins = append(l.joins, now)
		l.leaves = append(l.leaves, math.MaxInt64)
		l.successor = append(l.successor, -1)
		who = next
	}
}

// present gives who is in a slot at an instant, ever later; -1 nobody.
func (l *lives) present(slot int32, at time.Duration) int32 {
	if l.occupant == nil {
		return slot
	}
	who := l.occupant[slot]
	for l.leaves[who] <= at {
		next := l.successor[who]
		if next < 0 {
			return -1
		}
		who = next
		l.occupant[slot] = who
	}
	if l.joins[who] > at {
		return -1
	}
	return who
}
