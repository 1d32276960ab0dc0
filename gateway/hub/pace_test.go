package hub

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const testDeadline = 15 * time.Millisecond

// after gives a pace after a second in which so much of the time went into
// flushes that came so late.
func after(share time.Duration, busy float64, late time.Duration) (pace, time.Time) {
	p := newPace(share, testDeadline)
	now := time.Now()
	for range 40 {
		p.tick(now)
		p.worked(100, time.Duration(busy*float64(50*time.Millisecond)), late)
		now = now.Add(50 * time.Millisecond)
	}
	return p, now
}

func TestAnIdleHubDoesNotWait(t *testing.T) {
	p, now := after(4*time.Millisecond, idleBusy/2, 0)
	if due := p.due(now, now); due != now {
		t.Errorf("it waits %v", due.Sub(now))
	}
}

func TestABusyHubWaitsForCompanyAsLongAsTheDeadlineLeaves(t *testing.T) {
	p, now := after(4*time.Millisecond, shareBusy, 0)
	if due := p.due(now, now); due.Before(now.Add(3*time.Millisecond)) || due.After(now.Add(5*time.Millisecond)) {
		t.Errorf("a little busy it waits %v", due.Sub(now))
	}
	p, now = after(4*time.Millisecond, 0.5, 0)
	if due := p.due(now, now); due != now.Add(testDeadline-p.reserve) {
		t.Errorf("busy it waits %v", due.Sub(now))
	}
	arrived := now.Add(-10 * time.Millisecond)
	if due := p.due(now, arrived); due != arrived.Add(testDeadline-p.reserve) {
		t.Errorf("an update 10 ms old waits %v", due.Sub(now))
	}
}

func TestAHubWhoseFlushesComeLateKeepsMoreOfTheDeadline(t *testing.T) {
	in, _ := after(4*time.Millisecond, 0.5, 0)
	late, _ := after(4*time.Millisecond, 0.5, 2*time.Millisecond)
	if more := late.reserve - in.reserve; more < 3*time.Millisecond || more > 5*time.Millisecond {
		t.Errorf("2 ms late it keeps %v more", more)
	}
}

// Where updates leave old, whatever the reason, the hub waits less within a
// quarter of a second, and more again once they do not.
func TestAHubWhoseUpdatesLeaveOldWaitsLess(t *testing.T) {
	p, now := after(4*time.Millisecond, 0.5, 0)
	usual := p.reserve
	run := func(ticks int, age time.Duration) {
		for range ticks {
			for i := range 100 {
				if i < 3 {
					p.left(age)
				} else {
					p.left(5 * time.Millisecond)
				}
			}
			now = now.Add(50 * time.Millisecond)
			p.tick(now)
		}
	}
	run(5, 12*time.Millisecond)
	if p.reserve < usual+4*time.Millisecond {
		t.Errorf("with 3 %% of updates old it keeps %v, usually %v", p.reserve, usual)
	}
	run(200, 12*time.Millisecond)
	if p.reserve > testDeadline*3/4 {
		t.Errorf("it keeps %v of %v", p.reserve, testDeadline)
	}
	run(60, 8*time.Millisecond)
	if p.reserve > usual+time.Millisecond {
		t.Errorf("three seconds after it keeps %v, usually %v", p.reserve, usual)
	}
}

func TestWithoutAShareNothingWaits(t *testing.T) {
	if p, _ := after(0, 0.5, 0); p.wait != 0 {
		t.Errorf("waits %v although the share is 0", p.wait)
	}
}

// Whatever is put into the wheel comes out once, when it was last said to be
// due, at most a grain early, and in that order.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Now()
		w := newWheel(now, testDeadline)
		clients := make([]*Client, 20)
		wanted := make(map[*Client]time.Time)
		for i := range clients {
			clients[i] = &Client{}
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "put") {
				c := rapid.SampledFrom(clients).Draw(t, "client")
				due := now.Add(time.Duration(rapid.IntRange(-5000, 14000).Draw(t, "due")) * time.Microsecond)
				if was, waits := wanted[c]; !waits || due.Before(was) {
					wanted[c] = due
				}
				w.put(c, now, due)
				continue
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pass")) * time.Microsecond)
			for {
				grain, rest, ok := w.next(now, 0)
				if !ok || rest > 0 {
					w.advance(now)
					break
				}
				bucket := w.take(grain)
				for _, c := range bucket {
					if !c.queued || c.due != grain {
						continue
					}
					c.queued = false
					if due, waits := wanted[c]; !waits || due.After(now.Add(w.grain)) {
						t.Fatalf("came %v before it was due (%v)", due.Sub(now), waits)
					}
					delete(wanted, c)
				}
				w.done(grain, bucket)
			}
			for _, due := range wanted {
				if due.Before(now.Add(-w.grain)) {
					t.Fatalf("still waits %v after it was due", now.Sub(due))
				}
			}
		}
	})
}

// All that waits is done in time if it is begun when the wheel says so.
func TestTheWheelBeginsInTimeForABurst(t *testing.T) {
	now := time.Now()
	w := newWheel(now, testDeadline)
	const each = 50 * time.Microsecond
	for range 100 {
		w.put(&Client{}, now, now.Add(10*time.Millisecond))
	}
	_, rest, ok := w.next(now, each)
	if !ok || rest > 5*time.Millisecond+w.grain {
		t.Errorf("rests %v before 100 flushes of %v that are due in 10 ms", rest, each)
	}
	w.put(&Client{}, now, now.Add(time.Millisecond))
	if _, rest, _ = w.next(now, each); rest > time.Millisecond {
		t.Errorf("rests %v although one is due in 1 ms", rest)
	}
}

// Commits may come later while next to nothing leaves old, and no more at once
// when much does. A moment's standstill takes a little of that back only.
func TestTheEaseFollowsWhatLeavesOld(t *testing.T) {
	p, now := after(4*time.Millisecond, 0.5, 0)
	run := func(ticks, old int) {
		for range ticks {
			for i := range 100 {
				if i < old {
					p.left(12 * time.Millisecond)
				} else {
					p.left(5 * time.Millisecond)
				}
			}
			p.worked(100, 25*time.Millisecond, 0)
			now = now.Add(50 * time.Millisecond)
			p.tick(now)
		}
	}
	run(45, 0)
	if p.ease != 1 {
		t.Errorf("two seconds without an old update: ease %.2f", p.ease)
	}
	run(1, 15)
	run(10, 0)
	if p.ease < 0.95 {
		t.Errorf("one tick with 15 %% old in half a second: ease %.2f", p.ease)
	}
	run(12, 6)
	if p.ease > 0.5 {
		t.Errorf("more than half a second with 6 %% old: ease %.2f", p.ease)
	}
	run(10, 50)
	if p.ease > 0.15 {
		t.Errorf("half a second later with 50 %% old: ease %.2f", p.ease)
	}
	run(90, 1)
	if p.ease != 1 {
		t.Errorf("more than four seconds with 1 %% old: ease %.2f", p.ease)
	}
	for range 40 { // idle
		now = now.Add(50 * time.Millisecond)
		p.tick(now)
	}
	if p.ease != 0 {
		t.Errorf("without anything to do: ease %.2f", p.ease)
	}
}
