package shard_test

import (
	"math"
	"strings"
	"testing"

	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

func geo(lat, lng float64, alt float32) *starlingv1.Pose {
	return &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: lat, Longitude: lng, Altitude: alt}}}}
}

func hostileActs() []*starlingv1.Act {
	nan, inf := math.NaN(), math.Inf(1)
	turned := geo(25.0330, 121.5654, 0)
	turned.Orientation = &starlingv1.Orientation{X: float32(nan)}
	racing := geo(25.0330, 121.5654, 0)
	racing.Velocity = &starlingv1.Vector{East: float32(inf)}
	long := strings.Repeat("x", 5000)
	value := func(v *starlingv1.Value) *starlingv1.Act {
		return &starlingv1.Act{Function: &starlingv1.Act_SetAttribute{SetAttribute: &starlingv1.SetAttribute{Name: "a", Value: v}}}
	}
	many := &starlingv1.Attributes{Values: map[string]*starlingv1.Value{}}
	for n := range 33 {
		many.Values[strings.Repeat("a", n+1)] = &starlingv1.Value{Is: &starlingv1.Value_Flag{}}
	}
	var acts []*starlingv1.Act
	for _, p := range []*starlingv1.Pose{
		nil, {}, {Position: &starlingv1.Position{}}, {Position: &starlingv1.Position{In: &starlingv1.Position_Geo{}}},
		geo(nan, 0, 0), geo(0, inf, 0), geo(91, 0, 0), geo(0, -181, 0), geo(25, 121, float32(nan)), geo(25, 121, 1e9), turned, racing,
		{Position: &starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{East: 1}}}},
	} {
		acts = append(acts, &starlingv1.Act{Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: p}}},
			&starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "thing", Pose: p}}})
	}
	return append(acts,
		&starlingv1.Act{},
		&starlingv1.Act{Function: &starlingv1.Act_Move{}},
		&starlingv1.Act{Function: &starlingv1.Act_Speak{}},
		&starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: long}}}},
		&starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: "\xff"}}}},
		&starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Voice{Voice: []byte(long)}}}},
		&starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: &starlingv1.Target{Entity: 1}}}},
		&starlingv1.Act{Function: &starlingv1.Act_Grab{}},
		&starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: 5}}},
		&starlingv1.Act{Function: &starlingv1.Act_Despawn{}},
		&starlingv1.Act{Function: &starlingv1.Act_Call{Call: &starlingv1.Call{Function: "\xff" + long}}},
		&starlingv1.Act{Function: &starlingv1.Act_CreatePlace{}},
		&starlingv1.Act{Function: &starlingv1.Act_ClosePlace{}},
		&starlingv1.Act{Function: &starlingv1.Act_ClosePlace{ClosePlace: &starlingv1.ClosePlace{Place: 0}}},
		value(&starlingv1.Value{Is: &starlingv1.Value_Text{Text: long}}),
		value(&starlingv1.Value{Is: &starlingv1.Value_Text{Text: "\xff"}}),
		value(&starlingv1.Value{Is: &starlingv1.Value_Number{Number: nan}}),
		&starlingv1.Act{Function: &starlingv1.Act_SetAttribute{SetAttribute: &starlingv1.SetAttribute{Name: strings.Repeat("a", 33), Value: &starlingv1.Value{Is: &starlingv1.Value_Flag{}}}}},
		&starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: "thing", Pose: geo(25.0330, 121.5654, 0), Attributes: many}}},
	)
}

// Guards against bad fields that are taken, or that are refused without saying
// what is wrong.
func TestHostileActionsAreRefusedForGood(t *testing.T) {
	for _, act := range hostileActs() {
		s, now := crowd(t, 1)
		act.Number = 1
		s.Act(now, &shard.Act{Gateway: "gateway", Session: 1, Act: act})
		s.Seal(now)
		tells := s.Committed().Tells
		if len(tells) != 1 {
			t.Fatalf("%v: %d answers", act, len(tells))
		}
		out := tells[0].Outcome.Outcome
		if out.Code < 100 || out.Code >= 200 || out.Code == starlingv1.Code_FAILED || out.Message == "" {
			t.Errorf("%v ended as %v", act, out)
		}
	}
}

// Guards against a speed limit that can be passed, or that never lets go.
func TestTheSpeedLimitIsABudget(t *testing.T) {
	m := newSimulation(1, t.Fatalf)
	at := world.Geo{Lat: 25.0330, Lng: 121.5654}
	config := m.config(m.shardOf(at))
	config.Limits = shard.Limits{}
	s := shard.New(config, world.Tail{Epoch: 1})
	c := &client{session: 1, name: "p"}
	m.clients, m.owners[s.ID()] = []*client{c}, &owner{id: s.ID(), machine: s}
	c.home = s.ID()
	m.attach(c, pose(at))
	commit(s, m.now)
	number := uint64(0)
	moves := func(metres float64, relocate bool) starlingv1.Code {
		number++
		to := at
		to.Lat += metres / 111_195
		s.Act(m.now, &shard.Act{Session: 1, Act: &starlingv1.Act{Number: number, Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose(to), Relocate: relocate}}}})
		s.Seal(m.now)
		code := s.Committed().Tells[0].Outcome.Outcome.Code
		s.Told()
		if code == starlingv1.Code_APPLIED {
			at = to
		}
		return code
	}
	for _, c := range []struct {
		metres   float64
		relocate bool
		want     starlingv1.Code
	}{
		{29, false, starlingv1.Code_APPLIED}, // the burst
		{5, false, starlingv1.Code_TOO_FAST},
		{300, true, starlingv1.Code_APPLIED}, // the way back after a jump
		{300, true, starlingv1.Code_RELOCATE_TOO_SOON},
		{0.5, true, starlingv1.Code_APPLIED}, // within the limit nothing is asked for
	} {
		if got := moves(c.metres, c.relocate); got != c.want {
			t.Errorf("%g m (relocate %v): %v, want %v", c.metres, c.relocate, got, c.want)
		}
	}
	m.now = m.now.Add(1e9)
	if got := moves(12, false); got != starlingv1.Code_APPLIED {
		t.Errorf("12 m after a second: %v", got)
	}
}
