package catch_test

import (
	"sync"
	"testing"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/actionstest"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/examples/catch"
	"github.com/starling-vr/starling/world"
)

// Two race for one creature, many times; each time exactly one wins.
func TestExactlyOneCatchesTheCreature(t *testing.T) {
	registry := actions.NewRegistry()
	if err := catch.Register(registry); err != nil {
		t.Fatal(err)
	}
	w := actionstest.New(t, actions.Options{Registry: registry})
	park := world.Geo{Lat: 25.0330, Lng: 121.5654}
	keeper := w.Join("keeper", actionstest.At(park), "spawn:creature")
	ann, ben := w.Join("ann", actionstest.At(park)), w.Join("ben", actionstest.At(park))
	wins := map[string]int{}
	for range 8 { // as many as one can hold
		creature := keeper.Do(&starlingv1.Spawn{Kind: catch.Kind, Pose: actionstest.At(park)}).Entity
		call := func() *starlingv1.Call {
			return &starlingv1.Call{Function: "catch", Target: &starlingv1.Target{Entity: creature, Cell: keeper.Cell()}}
		}
		var race sync.WaitGroup
		outcomes := make([]*starlingv1.Outcome, 2)
		for i, p := range []*actionstest.Participant{ann, ben} {
			race.Go(func() { outcomes[i] = p.Do(call()) })
		}
		race.Wait()
		won := 0
		for i, name := range []string{"ann", "ben"} {
			switch outcomes[i].Code {
			case starlingv1.Code_APPLIED:
				won++
				wins[name]++
			case starlingv1.Code_REJECTED:
			default:
				t.Errorf("%s: %v", name, outcomes[i])
			}
		}
		if won != 1 {
			t.Fatalf("%d caught creature %x: %v", won, creature, outcomes)
		}
		if by := w.Entity(ann.Cell(), creature).Attributes.Values[catch.CaughtBy].GetText(); wins[by] == 0 {
			t.Errorf("the creature is %q's", by)
		}
	}
	t.Logf("wins: %v", wins)
}
