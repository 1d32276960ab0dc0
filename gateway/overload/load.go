package overload

import (
	"time"

	"github.com/starling-vr/starling/internal/processor"
)

// Load is what the processors did for a while.
type Load struct {
	// Known says that the system told.
	Known bool
	// Own is the share of the processors' time that this process took, 0 to 1.
	Own float64
	// Idle is the share in which the machine's processors had nothing to do, 0 to
	// 1. Waiting for a disk is nothing to do.
	Idle float64
}

const (
	fewIdle = 0.1 // idle time below which a machine has nothing left
	spare   = 0.4 // idle time from which on more can be done
	enough  = 0.3 // own time from which on that is this process's doing
	allOwn  = 0.9 // own time that is all there is, whatever the machine has
)

// saturated says that this process used the processors up, or that nobody knows.
func (l Load) saturated() bool {
	return !l.Known || l.Own >= allOwn || l.Own >= enough && l.Idle < fewIdle
}

// spare says that the processors have time for more.
func (l Load) spare() bool { return l.Known && l.Own < allOwn && l.Idle >= spare }

// ofOthers says that other processes did.
func (l Load) ofOthers() bool { return l.Known && l.Idle < fewIdle && l.Own < enough }

// Meter measures Load. One goroutine uses it.
type Meter struct {
	processors float64
	spent      func() (time.Duration, bool)
	machine    func() (idle, all uint64, ok bool)
	used       time.Duration
	at         time.Time
	idle, all  uint64
}

// NewMeter measures against so many processors that this process may use.
func NewMeter(processors int) *Meter {
	return &Meter{processors: float64(processors), spent: processor.Time, machine: machineTime}
}

// Read gives what happened since the call before, if the system tells.
func (m *Meter) Read(now time.Time) Load {
	used, ok := m.spent()
	idle, all, told := m.machine()
	before := *m
	m.used, m.at, m.idle, m.all = used, now, idle, all
	elapsed := now.Sub(before.at)
	if !ok || !told || before.at.IsZero() || elapsed <= 0 || all <= before.all {
		return Load{}
	}
	return Load{
		Known: true,
		Own:   min(1, float64(used-before.used)/float64(elapsed)/m.processors),
		Idle:  min(1, float64(max(idle, before.idle)-before.idle)/float64(all-before.all)),
	}
}
