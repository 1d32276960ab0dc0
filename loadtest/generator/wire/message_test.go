package wire_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/loadtest/generator/wire"
)

func marshal(t testing.TB, m *starlingv1.ServerMessage) []byte {
	t.Helper()
	payload, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// samples are messages of every kind, with what the generator looks at.
func samples() []*starlingv1.ServerMessage {
	version := &starlingv1.Version{Handovers: 2, Epoch: 3, Sequence: 1 << 40}
	update := &starlingv1.Update{Entity: 1 << 63, Version: version, Change: starlingv1.Change_LEFT, Pose: &starlingv1.Pose{Position: &starlingv1.Position{
		In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: 25, Longitude: 121}}}}, Kind: "thing", To: 7, By: 99, Number: 300,
		Attributes: &starlingv1.Attributes{Values: map[string]*starlingv1.Value{"a": {Is: &starlingv1.Value_Flag{Flag: true}}}}}
	event := &starlingv1.Event{Actor: 5, Number: 6, Version: version, What: &starlingv1.Event_Text{Text: "hello"}}
	steps := func(all ...*starlingv1.Step) *starlingv1.Steps { return &starlingv1.Steps{Steps: all, AgeUs: 4200} }
	anUpdate := &starlingv1.Step{Is: &starlingv1.Step_Update{Update: update}}
	anEvent := &starlingv1.Step{Is: &starlingv1.Step_Event{Event: event}}
	frame := func(f *starlingv1.CellFrame) *starlingv1.ServerMessage {
		return &starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Frame{Frame: f}}
	}
	return []*starlingv1.ServerMessage{
		frame(&starlingv1.CellFrame{Cell: 1 << 60, Place: 9, Epoch: 3, From: 1198, Sequence: 1200, Watchers: 40,
			Commits: []*starlingv1.Steps{steps(anUpdate, anEvent), steps(), steps(anEvent, anUpdate, anUpdate)}}),
		frame(&starlingv1.CellFrame{Cell: 8, Baseline: true, Conflated: true, MissedEvents: 70000, Commits: []*starlingv1.Steps{steps(anUpdate)}}),
		frame(&starlingv1.CellFrame{Cell: 8, Unwatched: true}),
		frame(&starlingv1.CellFrame{Cell: 8, Epoch: 1, Partial: true, Commits: []*starlingv1.Steps{steps(anUpdate, anEvent)}}),
		frame(&starlingv1.CellFrame{Cell: 8, Epoch: 1, From: 5, Sequence: 5, Thinned: true, Conflated: true, Commits: []*starlingv1.Steps{steps(anUpdate)}}),
		{Kind: &starlingv1.ServerMessage_Outcome{Outcome: &starlingv1.Outcome{Number: 1 << 50, Code: starlingv1.Code_OUT_OF_ORDER, Message: "m",
			Entity: 12, Expected: 4, RetryAfterMs: 250, Result: []byte("r"), Repeated: true}}},
		{Kind: &starlingv1.ServerMessage_Welcome{Welcome: &starlingv1.Welcome{Session: 1, Avatar: 2, NextNumber: 3}}},
		{Kind: &starlingv1.ServerMessage_Pong{Pong: &starlingv1.Pong{ClientTimeUs: 1}}},
		{Kind: &starlingv1.ServerMessage_Notice{Notice: &starlingv1.Notice{Kind: starlingv1.Notice_DRAINING}}},
		{},
	}
}

// FuzzMessages holds the reading in place against protobuf's decoder:
// whatever that accepts is read, and read alike.
func FuzzMessages(f *testing.F) {
	for _, m := range samples() {
		f.Add(marshal(f, m))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want starlingv1.ServerMessage
		valid := proto.Unmarshal(payload, &want) == nil // the generated one takes some of what is no protobuf
		kind, body, err := wire.Message(payload)
		if err != nil {
			if valid {
				t.Fatalf("refused what is valid: %v", &want)
			}
			return
		}
		switch kind {
		case wire.Outcome:
			got, err := wire.ReadOutcome(body)
			if valid {
				compareOutcome(t, got, err, want.GetOutcome())
			}
		case wire.Cell:
			got, err := wire.ReadCellFrame(body)
			if err != nil {
				if valid {
					t.Fatalf("refused the head of %v", &want)
				}
				return
			}
			compareFrame(t, &got, want.GetFrame(), valid)
		case wire.Welcome:
			if valid && want.GetWelcome() == nil {
				t.Fatalf("a Welcome, want %v", &want)
			}
		case wire.Other:
			if valid && want.Kind != nil {
				t.Fatalf("nothing known, want %v", &want)
			}
		}
	})
}

func compareOutcome(t *testing.T, got wire.Result, err error, want *starlingv1.Outcome) {
	t.Helper()
	if err != nil || want == nil {
		t.Fatalf("%v, %v; want %v", got, err, want)
	}
	if got.Number != want.Number || got.Code != want.Code || got.Entity != want.Entity || got.Expected != want.Expected || got.RetryAfterMs != want.RetryAfterMs {
		t.Fatalf("%+v, want %v", got, want)
	}
}

func compareFrame(t *testing.T, got *wire.CellFrame, want *starlingv1.CellFrame, valid bool) {
	t.Helper()
	var steps []wire.Step
	walk := got.Steps()
	for s := (wire.Step{}); walk.Next(&s); {
		steps = append(steps, s)
	}
	if !valid {
		return
	}
	if walk.Err() != nil || want == nil {
		t.Fatalf("%v; want %v", walk.Err(), want)
	}
	if got.Cell != want.Cell || got.Epoch != want.Epoch || got.From != want.From || got.Sequence != want.Sequence ||
		got.Baseline != want.Baseline || got.Unwatched != want.Unwatched || got.Conflated != want.Conflated || got.MissedEvents != want.MissedEvents || got.Partial != want.Partial {
		t.Fatalf("%+v, want %v", got, want)
	}
	var wanted []wire.Step
	for _, commit := range want.Commits {
		for _, step := range commit.Steps {
			switch is := step.Is.(type) {
			case *starlingv1.Step_Update:
				u := is.Update
				wanted = append(wanted, wire.Step{Entity: u.Entity, Actor: u.By, Number: u.Number, Version: versionOf(u.Version)})
			case *starlingv1.Step_Event:
				wanted = append(wanted, wire.Step{Event: true, Actor: is.Event.Actor, Number: is.Event.Number, Version: versionOf(is.Event.Version)})
			}
		}
	}
	if len(steps) != len(wanted) {
		t.Fatalf("%d steps, want %d of %v", len(steps), len(wanted), want)
	}
	for i := range steps {
		if steps[i] != wanted[i] {
			t.Fatalf("step %d: %+v, want %+v", i, steps[i], wanted[i])
		}
	}
}

func versionOf(v *starlingv1.Version) wire.Version {
	return wire.Version{Handovers: v.GetHandovers(), Epoch: v.GetEpoch(), Sequence: v.GetSequence()}
}

func TestReadingInPlaceDoesNotAllocate(t *testing.T) {
	payload := marshal(t, samples()[0])
	if n := testing.AllocsPerRun(100, func() { count(t, payload) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func count(t testing.TB, payload []byte) (steps int) {
	_, body, err := wire.Message(payload)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := wire.ReadCellFrame(body)
	if err != nil {
		t.Fatal(err)
	}
	walk := frame.Steps()
	for s := (wire.Step{}); walk.Next(&s); {
		steps++
	}
	return steps
}

// BenchmarkFrame reads a frame of one move, as most are.
func BenchmarkFrame(b *testing.B) {
	payload := marshal(b, &starlingv1.ServerMessage{Kind: &starlingv1.ServerMessage_Frame{Frame: &starlingv1.CellFrame{
		Cell: 622827201697808383, Epoch: 3, From: 1198, Sequence: 1200,
		Commits: []*starlingv1.Steps{{AgeUs: 4200, Steps: []*starlingv1.Step{{Is: &starlingv1.Step_Update{Update: &starlingv1.Update{
			Entity: 1 << 62, Version: &starlingv1.Version{Epoch: 3, Sequence: 1200}, By: 1 << 62, Number: 200,
			Pose: &starlingv1.Pose{Position: &starlingv1.Position{In: &starlingv1.Position_Geo{Geo: &starlingv1.Geo{Latitude: 25.1, Longitude: 121.2}}},
				Velocity: &starlingv1.Vector{East: 1, North: 1}},
		}}}}}},
	}}})
	b.ReportAllocs()
	for b.Loop() {
		count(b, payload)
	}
}
