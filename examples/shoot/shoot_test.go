package shoot_test

import (
	"testing"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/actionstest"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/examples/shoot"
	"github.com/starling-vr/starling/world"
)

func TestThreeHitsAndOneBeginsAgain(t *testing.T) {
	registry := actions.NewRegistry()
	if err := shoot.Register(registry); err != nil {
		t.Fatal(err)
	}
	w := actionstest.New(t, actions.Options{Registry: registry})
	host := w.Join("host", actionstest.At(world.Geo{Lat: 25.0330, Lng: 121.5654}), "place:create")
	arena := world.PlaceID(host.Do(&starlingv1.CreatePlace{Place: &starlingv1.Place{
		Name: "arena", Anchor: &starlingv1.Geo{Latitude: 25, Longitude: 121}, Extent: 30, Capacity: 2,
	}}).Entity)
	ann, ben := w.JoinPlace("ann", arena, actionstest.AtLocal(1, 0)), w.JoinPlace("ben", arena, actionstest.AtLocal(10, 0))
	for _, p := range []*actionstest.Participant{ann, ben} {
		p.Do(&starlingv1.SetAttribute{Name: shoot.Health, Value: &starlingv1.Value{Is: &starlingv1.Value_Integer{Integer: shoot.FullHealth}}})
	}
	fire := func(p *actionstest.Participant, at uint64) starlingv1.Code {
		return p.Do(&starlingv1.Call{Function: "shoot", Target: &starlingv1.Target{Entity: at}}).Code
	}
	for _, health := range []int64{60, 20, shoot.FullHealth} {
		if code := fire(ann, ben.Avatar); code != starlingv1.Code_APPLIED {
			t.Fatal(code)
		}
		if got := ben.Self().Attributes.Values[shoot.Health].GetInteger(); got != health {
			t.Errorf("ben's health is %d, want %d", got, health)
		}
	}
	if at := ben.Self().Pose.Position.GetLocal(); at.East != 0 || at.North != 0 {
		t.Errorf("ben begins again at %v", at)
	}
	if score := ann.Self().Attributes.Values[shoot.Score].GetInteger(); score != 1 {
		t.Errorf("ann's score is %d", score)
	}
	if code := fire(ann, ann.Avatar); code != starlingv1.Code_REJECTED {
		t.Errorf("shooting at oneself: %v", code)
	}
	if code := fire(host, ben.Avatar); code != starlingv1.Code_REJECTED {
		t.Errorf("shooting from the map: %v", code)
	}
}
