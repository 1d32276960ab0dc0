package hub_test

import (
	"testing"
	"time"

	"github.com/starling-vr/starling/gateway/hub"
)

func TestSimulatedPaceWaitsOnceTheHubIsBusy(t *testing.T) {
	p := hub.NewSimulatedPace(4*time.Millisecond, 15*time.Millisecond)
	if due := p.Due(time.Second, time.Second); due != time.Second {
		t.Errorf("an idle hub lets wait until %v", due)
	}
	for now := time.Duration(0); now < 2*time.Second; now += hub.TickEvery {
		p.Worked(100, 5*time.Millisecond, 0)
		p.Tick(now)
	}
	if p.Each() < 45*time.Microsecond || p.Each() > 55*time.Microsecond {
		t.Errorf("a flush is taken to need %v", p.Each())
	}
	arrived := 2 * time.Second
	due := p.Due(arrived+time.Millisecond, arrived)
	if wait := due - arrived; wait < 4*time.Millisecond || wait > 15*time.Millisecond {
		t.Errorf("a busy one lets wait for %v", wait)
	}
	if late := p.Due(arrived+20*time.Millisecond, arrived); late > arrived+15*time.Millisecond {
		t.Errorf("what is late already waits until %v", late-arrived)
	}
}

func TestSimulatedPaceKeepsMoreWhereUpdatesLeaveOld(t *testing.T) {
	const deadline = 15 * time.Millisecond
	latest := func(age time.Duration) time.Duration {
		p := hub.NewSimulatedPace(4*time.Millisecond, deadline)
		for now := time.Duration(0); now < 2*time.Second; now += hub.TickEvery {
			for range 100 {
				p.Worked(1, 100*time.Microsecond, 0)
				p.Left(age)
			}
			p.Tick(now)
		}
		if p.PutOff() <= 0 {
			t.Error("a busy hub is woken at once")
		}
		return p.Due(0, 0)
	}
	if young, old := latest(deadline/2), latest(deadline*9/10); old >= young {
		t.Errorf("waits until %v where updates leave old, until %v where they do not", old, young)
	}
	if idle := hub.NewSimulatedPace(4*time.Millisecond, deadline).PutOff(); idle != 0 {
		t.Errorf("an idle hub is woken %v later", idle)
	}
}

func TestSimulatedRhythmLooksARoundAhead(t *testing.T) {
	const round = 2 * time.Millisecond
	busy, idle := hub.NewSimulatedPace(4*time.Millisecond, 15*time.Millisecond), hub.NewSimulatedPace(4*time.Millisecond, 15*time.Millisecond)
	for now := time.Duration(0); now < 2*time.Second; now += hub.TickEvery {
		busy.Worked(100, 10*time.Millisecond, 0)
		busy.Tick(now)
	}
	var r, atEase hub.SimulatedRhythm
	var ahead, none time.Duration
	for now := 2 * time.Second; now < 3*time.Second; now += round {
		ahead, none = r.Turn(now, true, busy), none+atEase.Turn(now, true, idle)
		if r.Turn(now, false, busy) != 0 {
			t.Fatal("a turn without messages writes ahead of time")
		}
	}
	if ahead < round*9/10 || ahead > round*11/10 || none != 0 {
		t.Errorf("looks %v ahead at rounds of %v, and %v where nothing waits", ahead, round, none)
	}
}
