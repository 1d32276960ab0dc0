package wire_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/generator/wire"
)

// What is written by hand is what the schema says.
func TestActsAreThoseOfTheSchema(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint64Min(1).Draw(t, "number")
		entity, cell := rapid.Uint64().Draw(t, "entity"), rapid.Uint64().Draw(t, "cell")
		text := strings.Repeat("ü", rapid.IntRange(0, 250).Draw(t, "text"))
		arguments := rapid.SliceOfN(rapid.Byte(), 0, 4096).Draw(t, "arguments")
		p := wire.Pose{
			Place: rapid.Bool().Draw(t, "place"),
			Lat:   rapid.Float64Range(-90, 90).Draw(t, "latitude"), Lng: rapid.Float64Range(-180, 180).Draw(t, "longitude"),
			East: rapid.Float64Range(-5000, 5000).Draw(t, "east"), North: rapid.Float64Range(-5000, 5000).Draw(t, "north"),
			VelEast: rapid.Float64Range(-10, 10).Draw(t, "velocity east"), VelNorth: rapid.Float64Range(-10, 10).Draw(t, "velocity north"),
		}
		target := &starlingv1.Target{Entity: entity, Cell: cell}
		for _, c := range []struct {
			got  []byte
			want *starlingv1.Act
		}{
			{wire.AppendMove([]byte("x"), number, &p), &starlingv1.Act{Function: &starlingv1.Act_Move{Move: &starlingv1.Move{Pose: pose(p)}}}},
			{wire.AppendSpeak([]byte("x"), number, text), &starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: text}}}}},
			{wire.AppendTouch([]byte("x"), number, entity, cell), &starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: target}}}},
			{wire.AppendGrab([]byte("x"), number, entity, cell), &starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: target}}}},
			{wire.AppendRelease([]byte("x"), number, entity), &starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: entity}}}},
			{wire.AppendCall([]byte("x"), number, "work", arguments), &starlingv1.Act{Function: &starlingv1.Act_Call{Call: &starlingv1.Call{Function: "work", Arguments: arguments}}}},
			{wire.AppendLeave([]byte("x"), number), &starlingv1.Act{Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}}},
		} {
			c.want.Number = number
			var got starlingv1.ClientMessage
			if err := proto.Unmarshal(c.got[1:], &got); err != nil {
				t.Fatalf("%T: %v", c.want.Function, err)
			}
			if !proto.Equal(got.GetAct(), c.want) {
				t.Fatalf("got %v, want %v", &got, c.want)
			}
		}
	})
}

func pose(p wire.Pose) *starlingv1.Pose {
	out := &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: p.Lat, Longitude: p.Lng}}}}
	if p.Place {
		out.Position.In = &starlingv1.Position_Local{Local: &starlingv1.Local{East: float32(p.East), North: float32(p.North)}}
	}
	if p.VelEast != 0 || p.VelNorth != 0 {
		out.Velocity = &starlingv1.Vector{East: float32(p.VelEast), North: float32(p.VelNorth)}
	}
	return out
}
