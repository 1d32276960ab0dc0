package gateway

import (
	"testing"

	"google.golang.org/protobuf/proto"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

func moveMessages() []*starlingv1.Act {
	geo := &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: 25, Longitude: 121.5, Altitude: 3}}}
	local := &starlingv1.Position{In: &starlingv1.Position_Local{Local: &starlingv1.Local{East: 1, North: -2, Up: 3}}}
	poses := []*starlingv1.Pose{
		nil, {}, {Position: geo}, {Position: local}, {Position: &starlingv1.Position{}},
		{Position: geo, Velocity: &starlingv1.Vector{East: 1}},
		{Position: geo, Velocity: &starlingv1.Vector{}, Orientation: &starlingv1.Orientation{X: .5, W: .5}},
		{Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{}}}},
	}
	var all []*starlingv1.Act
	for _, pose := range poses {
		for _, move := range []*starlingv1.Move{{Pose: pose}, {Pose: pose, Entity: 7}, {Pose: pose, Relocate: true}} {
			all = append(all, &starlingv1.Act{Number: 300, Function: &starlingv1.Act_Move{Move: move}})
		}
	}
	return all
}

// Moves come out of the one piece of memory as they come out of many.
func TestDecodeMove(t *testing.T) {
	for _, want := range moveMessages() {
		raw, err := want.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		usual := want.GetMove().GetPose().GetPosition().GetGeo() != nil
		if m := decodeMove(raw); (m != nil) != usual {
			t.Errorf("%v is taken for a usual move: %v", want, m != nil)
		} else if usual && !proto.Equal(&m.act, want) {
			t.Errorf("%v came out as %v", want, &m.act)
		}
	}
	speak := &starlingv1.Act{Number: 1, Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{}}}
	if raw, _ := speak.MarshalVT(); decodeMove(raw) != nil {
		t.Error("speech was taken for a move")
	}
}

func TestMovesAreDecodedInOnePiece(t *testing.T) {
	act := moveMessages()[15] // with a velocity
	message := &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: act}}
	payload, err := message.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = decode(payload, false) }); n > 1 {
		t.Errorf("%v allocations a move, want 1", n)
	}
}

// Whatever the bytes are, a move is what the ordinary decoder says.
func FuzzDecodeMove(f *testing.F) {
	for _, act := range moveMessages() {
		raw, err := act.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(append(raw, raw...))
		f.Add(raw[:len(raw)/2])
	}
	f.Add([]byte{8, 1, 18, 0, 26, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := decodeMove(raw)
		if m == nil {
			return
		}
		var want starlingv1.Act
		if err := want.UnmarshalVT(raw); err != nil {
			t.Fatalf("%x: %v", raw, err)
		}
		got, err := m.act.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		expected, err := want.MarshalVT()
		if err != nil || string(got) != string(expected) {
			t.Fatalf("%x: %x, want %x (%v)", raw, got, expected, err)
		}
	})
}

func BenchmarkDecodeMove(b *testing.B) {
	message := &starlingv1.ClientMessage{Kind: &starlingv1.ClientMessage_Act{Act: moveMessages()[15]}}
	payload, err := message.MarshalVT()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(payload, false); err != nil {
			b.Fatal(err)
		}
	}
}
