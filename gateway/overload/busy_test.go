package overload

import (
	"testing"
	"time"
)

func TestBusy(t *testing.T) {
	spent, ok := time.Duration(0), true
	b := NewBusy(2)
	b.spent = func() (time.Duration, bool) { return spent, ok }
	now := time.Unix(1000, 0)
	share := func(wall, used time.Duration) float64 {
		now, spent = now.Add(wall), spent+used
		return b.Share(now)
	}
	if got := b.Share(now); got != 1 {
		t.Errorf("the first: %v", got)
	}
	if got := share(100*time.Millisecond, 50*time.Millisecond); got != 0.25 {
		t.Errorf("50 ms of 2 x 100: %v", got)
	}
	if got := share(100*time.Millisecond, 300*time.Millisecond); got != 1 {
		t.Errorf("more than there is: %v", got)
	}
	ok = false
	if got := share(100*time.Millisecond, 0); got != 1 {
		t.Errorf("not told: %v", got)
	}
}

func TestBusyOfThisProcess(t *testing.T) {
	before, ok := processorTime()
	if !ok {
		return // this system does not tell
	}
	for used := before; used < before+20*time.Millisecond; { // ends because it works
		used, _ = processorTime()
	}
}

// Updates that are old while this process does next to nothing are somebody
// else's doing.
func TestOldUpdatesOfAnIdleProcessRefuseNothing(t *testing.T) {
	for _, c := range []struct {
		busy    float64
		limited bool
	}{{0.1, false}, {0.9, true}} {
		var all, old uint64
		l := New(Config{Ages: func() (uint64, uint64) { return all, old }, Busy: func() float64 { return c.busy }})
		var s Sender
		for range 10 {
			for range 10 {
				l.Admit(&s, 1, time.Unix(1, 0))
			}
			all, old = all+100, old+50
			l.Tick()
		}
		if limited := l.share.Load() != 0; limited != c.limited {
			t.Errorf("busy %v: limited %v", c.busy, limited)
		}
	}
}

// However long updates stay old, everybody may act now and then.
func TestTheShareHasAFloor(t *testing.T) {
	var all, old uint64
	l := New(Config{Ages: func() (uint64, uint64) { return all, old }})
	s := make([]Sender, 10)
	now := time.Unix(1000, 0)
	for range 1000 {
		for i := range s {
			l.Admit(&s[i], uint64(i), now)
		}
		all, old, now = all+100, old+100, now.Add(WindowTime)
		l.Tick()
	}
	if l.Share() != floor {
		t.Errorf("share %v", l.Share())
	}
	if after, ok := l.Admit(&s[0], 0, now); !ok && after > 4*time.Second {
		t.Errorf("come back after %v", after)
	}
}
