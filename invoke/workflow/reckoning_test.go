package workflow

import (
	"testing"
	"time"
)

func TestAReckoningShowsItsParts(t *testing.T) {
	const whole, parts = "fixed 2ms + 1000 ns x size 5000 = 7ms", "fixed 0s + 4000 ns x size 5000 = 20ms"
	r := reckoning{whole: cost{2e6, 1000}, size: 5000}
	if r.took() != 7*time.Millisecond || r.String() != whole {
		t.Errorf("%v: %v", r.took(), r)
	}
	r.mapped, r.workers = cost{0, 4000}, 2
	if r.took() != 17*time.Millisecond || r.String() != "the whole: "+whole+"; its parts on 2 workers: "+parts {
		t.Errorf("%v: %v", r.took(), r)
	}
}
