package workflow

import (
	"time"

	"github.com/starling-vr/starling/invoke"
)

// Demand is the tree of what waits, for tests against a plain list.
type Demand = demand

// Slots of a Demand, and their width.
const (
	DemandSlots = demandSlots
	SlotWidth   = slotWidth
)

func NewDemand(now invoke.Instant) *Demand { return newDemand(now) }

func (d *demand) Add(due invoke.Instant, work int64, hard bool) bool { return d.add(due, work, hard) }

func (d *demand) Remove(due invoke.Instant, work int64, hard, far bool) {
	d.remove(due, work, hard, far)
}
func (d *demand) Until(due invoke.Instant) int64        { return d.until(due) }
func (d *demand) Late(now invoke.Instant) time.Duration { return d.late(now) }
func (d *demand) Follow(now, horizon invoke.Instant)    { d.follow(now, horizon) }
func (d *demand) Base() invoke.Instant                  { return d.base }

// Line is the model of a run time.
type Line = line

func NewLine(reference int, declared time.Duration) Line { return newLine(reference, declared) }

func (l *line) Record(size int, took time.Duration) { l.record(size, took) }
func (l *line) At(size int) time.Duration           { return time.Duration(l.at(size)) }

// CriticalPath is as in the package.
func CriticalPath(after []uint64, took []time.Duration) (until, through []time.Duration, longest time.Duration) {
	return criticalPath(after, took)
}
