package e2e

import (
	"testing"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

var centre = point{25.0339, 121.5645}

func createPlace(place *starlingv1.Place) *starlingv1.Act {
	return &starlingv1.Act{Function: &starlingv1.Act_CreatePlace{CreatePlace: &starlingv1.CreatePlace{Place: place}}}
}

func closePlace(id uint64) *starlingv1.Act {
	return &starlingv1.Act{Function: &starlingv1.Act_ClosePlace{ClosePlace: &starlingv1.ClosePlace{Place: id}}}
}

func arena(capacity uint32, access string) *starlingv1.Place {
	return &starlingv1.Place{Name: "arena", Anchor: &starlingv1.Geo{Latitude: centre.latitude, Longitude: centre.longitude},
		Extent: 100, Capacity: capacity, Access: access}
}

func inside(place uint64, east, north float32) starling.Options {
	return starling.Options{Place: place, Start: starling.LocalPosition(east, north, 0)}
}

func onMap() starling.Options { return starling.Options{Start: centre.position()} }

// A place's whole life: made, joined, limited, kept apart from the map, closed.
func TestPlace(t *testing.T) {
	s := start(t)
	host := join(t, s, "host", onMap(), "place:create")
	stranger := join(t, s, "stranger", onMap())
	stranger.refused(createPlace(arena(2, "")), starlingv1.Code_FORBIDDEN)
	place := host.must(createPlace(arena(2, ""))).Entity

	ann := join(t, s, "ann", inside(place, 10, 0))
	if at := ann.Session(); at.Place != place || at.PlaceInfo.GetName() != "arena" || at.Pose.GetPosition().GetLocal().GetEast() != 10 {
		t.Errorf("welcomed as %+v", at)
	}
	bob := join(t, s, "bob", inside(place, 12, 5))
	bob.sees("ann in the place", ann.Session().Avatar, func(e starling.Entity) bool { return e.Place == place })

	_, err := dial(t, s, "carl", inside(place, 0, 0))
	wantClose(t, err, starlingv1.CloseCode_NOT_ALLOWED) // full

	ann.must(moveTo(starling.LocalPosition(-80, 0, 1)))
	bob.sees("ann far west", ann.Session().Avatar, func(e starling.Entity) bool { return e.Pose.GetPosition().GetLocal().GetEast() == -80 })
	ann.refused(moveTo(starling.LocalPosition(101, 0, 0)), starlingv1.Code_OUTSIDE_PLACE)
	ann.refused(moveTo(starling.LocalPosition(0, 0, 400)), starlingv1.Code_OUTSIDE_PLACE)
	ann.refused(moveTo(centre.position()), starlingv1.Code_INVALID) // of the map
	host.refused(moveTo(starling.LocalPosition(1, 1, 0)), starlingv1.Code_INVALID)

	host.must(starling.SpeakAct("on the map"))
	ann.must(starling.SpeakAct("in the place"))
	said := func(text string) func(*starlingv1.Event) bool {
		return func(e *starlingv1.Event) bool { return e.GetText() == text }
	}
	eventually(t, "bob hears ann", func() bool { return bob.heard(said("in the place")) == 1 })
	eventually(t, "the stranger hears the host", func() bool { return stranger.heard(said("on the map")) == 1 })
	if bob.heard(said("on the map")) != 0 || stranger.heard(said("in the place")) != 0 || stranger.entities() != 2 || bob.entities() != 2 {
		t.Errorf("place and map meet: bob has %d entities in view, the stranger %d", bob.entities(), stranger.entities())
	}

	ann.refused(closePlace(place), starlingv1.Code_FORBIDDEN)
	host.must(closePlace(place))
	ann.closedAs(starlingv1.CloseCode_PLACE_CLOSED)
	bob.closedAs(starlingv1.CloseCode_PLACE_CLOSED)
	_, err = dial(t, s, "dora", inside(place, 0, 0))
	wantClose(t, err, starlingv1.CloseCode_NOT_ALLOWED)
	host.refused(closePlace(place), starlingv1.Code_NO_SUCH_PLACE)
	host.must(moveTo(centre.position()))
}

// Who may come in, where.
func TestPlaceAccess(t *testing.T) {
	s := start(t)
	host := join(t, s, "host", onMap(), "place:create")
	place := host.must(createPlace(arena(9, "team:red"))).Entity
	_, err := dial(t, s, "ann", inside(place, 0, 0), "team:blue")
	wantClose(t, err, starlingv1.CloseCode_NOT_ALLOWED)
	join(t, s, "bob", inside(place, 0, 0), "team:red", "team:blue")
	_, err = dial(t, s, "carl", inside(place, 500, 0), "team:red")
	if err == nil {
		t.Error("one began outside the place")
	}
	_, err = dial(t, s, "dora", inside(place+1, 0, 0), "team:red")
	wantClose(t, err, starlingv1.CloseCode_NOT_ALLOWED)
	_, err = dial(t, s, "emil", starling.Options{Place: place, Start: centre.position()}, "team:red")
	wantClose(t, err, starlingv1.CloseCode_BAD_MESSAGE)
	for name, bad := range map[string]*starlingv1.Place{
		"no anchor": {Name: "x", Extent: 10, Capacity: 1}, "no name": {Anchor: &starlingv1.Geo{}, Extent: 10, Capacity: 1},
		"no room": {Name: "x", Anchor: &starlingv1.Geo{}, Extent: 10}, "too wide": {Name: "x", Anchor: &starlingv1.Geo{}, Extent: 1e9, Capacity: 1},
		"off the Earth": {Name: "x", Anchor: &starlingv1.Geo{Latitude: 91}, Extent: 10, Capacity: 1},
	} {
		t.Run(name, func(t *testing.T) { host.refused(createPlace(bad), starlingv1.Code_INVALID) })
	}
	host.refused(createPlace(nil), starlingv1.Code_INVALID)
}
