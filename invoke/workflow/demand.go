package workflow

import (
	"math"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// The demand of the next second is kept in slots of half a millisecond.
const (
	demandSlots = 2048
	slotWidth   = 500 * time.Microsecond
)

// demand is the work that waits, by deadline: how much of it is due up to any
// instant, and where it exceeds the time that is left for it the most. Work is in
// nanoseconds of wall time with all workers on it. It is the demand bound of earliest
// deadline first (Baruah, Mok and Rosier, 1990) for what is there, kept in a segment
// tree: adding, removing and asking cost 11 steps.
type demand struct {
	base invoke.Instant // of slot 0
	tree [2 * demandSlots]demandNode
	hard [demandSlots]int32 // hard documents due in a slot
	far  int64              // work due beyond the slots
}

// demandNode covers a range of slots.
type demandNode struct {
	sum int64
	// worst is the largest, over hard deadlines in the range, of the work due up to it,
	// from the beginning of the range, less the time from base to it.
	worst int64
}

const never = math.MinInt64 / 4

func newDemand(now invoke.Instant) *demand {
	d := new(demand)
	d.base = now
	for i := range d.tree {
		d.tree[i].worst = never
	}
	return d
}

// slot is where a deadline belongs, and whether it lies within the slots.
func (d *demand) slot(due invoke.Instant) (int, bool) {
	i := int64(due.Sub(d.base)) / int64(slotWidth)
	return int(max(i, 0)), i < demandSlots
}

// add puts work due at an instant in, and says whether it lies beyond the slots;
// remove has to be told that.
func (d *demand) add(due invoke.Instant, work int64, hard bool) (far bool) {
	i, near := d.slot(due)
	if !near {
		d.far += work
		return true
	}
	if hard {
		d.hard[i]++
	}
	d.change(i, work)
	return false
}

func (d *demand) remove(due invoke.Instant, work int64, hard, far bool) {
	if far {
		d.far -= work
		return
	}
	i, _ := d.slot(due)
	i = min(i, demandSlots-1)
	if hard {
		d.hard[i]--
	}
	d.change(i, -work)
}

func (d *demand) change(i int, work int64) {
	at := demandSlots + i
	d.tree[at].sum += work
	d.leaf(i)
	for at /= 2; at > 0; at /= 2 {
		d.join(at)
	}
}

func (d *demand) leaf(i int) {
	node := &d.tree[demandSlots+i]
	node.worst = never
	if d.hard[i] > 0 {
		node.worst = node.sum - int64(i)*int64(slotWidth)
	}
}

func (d *demand) join(at int) {
	left, right := &d.tree[2*at], &d.tree[2*at+1]
	d.tree[at] = demandNode{left.sum + right.sum, max(left.worst, left.sum+right.worst)}
}

// until is the work that is due up to an instant.
func (d *demand) until(due invoke.Instant) int64 {
	i, near := d.slot(due)
	if !near {
		return d.tree[1].sum + d.far
	}
	var sum int64
	for at := demandSlots + i; at > 1; at /= 2 {
		if at&1 == 1 {
			sum += d.tree[at-1].sum
		}
	}
	return sum + d.tree[demandSlots+i].sum
}

// late is by how much the hard deadline that fares worst would be missed if all
// workers began at now with what waits. Negative: it would be met by that much.
func (d *demand) late(now invoke.Instant) time.Duration {
	if d.tree[1].worst <= never/2 {
		return never
	}
	return time.Duration(d.tree[1].worst) + now.Sub(d.base)
}

// follow moves the slots along when a deadline at horizon would not lie within them.
func (d *demand) follow(now, horizon invoke.Instant) {
	if horizon.Sub(d.base) < demandSlots*slotWidth {
		return
	}
	shift := int(now.Sub(d.base) / slotWidth)
	if shift <= 0 {
		return
	}
	d.base = d.base.Add(time.Duration(shift) * slotWidth)
	for i := range demandSlots {
		sum, hard := int64(0), int32(0)
		if from := i + shift; from < demandSlots {
			sum, hard = d.tree[demandSlots+from].sum, d.hard[from]
		}
		if i == 0 { // what is overdue gathers here
			for past := range min(shift, demandSlots) {
				sum += d.tree[demandSlots+past].sum
				hard += d.hard[past]
			}
		}
		d.tree[demandSlots+i].sum, d.hard[i] = sum, hard
	}
	for i := range demandSlots {
		d.leaf(i)
	}
	for at := demandSlots - 1; at > 0; at-- {
		d.join(at)
	}
}
