package crowd_test

import (
	"math/rand/v2"
	"testing"

	"github.com/starling-vr/starling/loadtest/crowd"
	"github.com/starling-vr/starling/world"
)

func TestWalkersWalkAtTheSpeedOfPeopleAndStayAround(t *testing.T) {
	area := crowd.Taipei()
	for seed := range uint64(50) {
		w := crowd.NewWalker(area, rand.New(rand.NewPCG(seed, 1)))
		walked := 0.0
		for range 2000 {
			before := w.At
			w.Step(0.5)
			d := world.Metres(before, w.At)
			walked += d
			if d > 2 {
				t.Fatalf("seed %d: %f m in half a second", seed, d)
			}
		}
		if away := world.Metres(area.Centre, w.At); away > area.Spread+6*area.Sigma {
			t.Errorf("seed %d: wandered off %f m", seed, away)
		}
		if walked < 100 {
			t.Errorf("seed %d: walked only %f m in 1000 s", seed, walked)
		}
	}
}
