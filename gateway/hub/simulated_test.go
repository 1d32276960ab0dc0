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
