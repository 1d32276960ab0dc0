package overload

import (
	"testing"
	"time"

	"github.com/starling-vr/starling/internal/processor"
)

func TestMeter(t *testing.T) {
	var (
		spent     time.Duration
		idle, all uint64
		told      = true
		now       = time.Unix(1000, 0)
	)
	m := NewMeter(2)
	m.spent = func() (time.Duration, bool) { return spent, true }
	m.machine = func() (uint64, uint64, bool) { return idle, all, told }
	read := func(wall, used time.Duration, idleTicks, ticks uint64) Load {
		now, spent, idle, all = now.Add(wall), spent+used, idle+idleTicks, all+ticks
		return m.Read(now)
	}
	for _, c := range []struct {
		what        string
		wall, used  time.Duration
		idle, ticks uint64
		want        Load
	}{
		{"the first", 0, 0, 5, 10, Load{}},
		{"50 ms of 2 x 100", 100 * time.Millisecond, 50 * time.Millisecond, 5, 20, Load{true, 0.25, 0.25}},
		{"more than there is", 100 * time.Millisecond, 300 * time.Millisecond, 0, 20, Load{true, 1, 0}},
		{"no tick", time.Millisecond, 0, 0, 0, Load{}},
	} {
		if got := read(c.wall, c.used, c.idle, c.ticks); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
	told = false
	if got := read(100*time.Millisecond, 0, 0, 20); got.Known {
		t.Errorf("not told: %+v", got)
	}
}

func TestMeterOfThisMachine(t *testing.T) {
	before, ok := processor.Time()
	if !ok {
		return // this system does not tell
	}
	for used := before; used < before+20*time.Millisecond; { // ends because it works
		used, _ = processor.Time()
	}
	if idle, all, ok := machineTime(); ok && (all == 0 || idle > all) {
		t.Errorf("%d of %d idle", idle, all)
	}
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		load              Load
		saturated, others bool
	}{
		{Load{}, true, false},
		{Load{true, 0.6, 0.02}, true, false},
		{Load{true, 0.95, 0.5}, true, false}, // all that a container may use
		{Load{true, 0.6, 0.3}, false, false},
		{Load{true, 0.1, 0.02}, false, true},
		{Load{true, 0.1, 0.8}, false, false},
	} {
		if c.load.saturated() != c.saturated || c.load.ofOthers() != c.others {
			t.Errorf("%+v: saturated %v, of others %v", c.load, c.load.saturated(), c.load.ofOthers())
		}
	}
}
