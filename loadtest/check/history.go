package check

import (
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// History is all that one client did and was told, in the order in which it
// happened to it.
type History struct {
	Name   string
	Events []Event
	Final  *View // what it showed at the end; nil: derived from the frames
}

// EventKind says which fields of an Event are set.
type EventKind string

const (
	Welcomed EventKind = "welcomed" // Session, Avatar, Place, Ring, Resumed
	Sent     EventKind = "sent"     // Session, Action
	Told     EventKind = "told"     // Session, Outcome
	Saw      EventKind = "saw"      // Frame
	Ringed   EventKind = "ringed"   // Ring: as asked for
	Ended    EventKind = "ended"    // no connection any more
	Showed   EventKind = "showed"   // Entity, From, To: its view showed an older version after a newer one
)

// Event is one thing that happened to a client.
type Event struct {
	At      int64 // Unix microseconds of the client's clock
	Kind    EventKind
	Session world.SessionID `json:",omitzero"`
	Avatar  world.EntityID  `json:",omitzero"`
	Place   world.PlaceID   `json:",omitzero"`
	Ring    int             `json:",omitzero"`
	Resumed bool            `json:",omitzero"`
	Action  *Action         `json:",omitempty"`
	Outcome *Outcome        `json:",omitempty"`
	Frame   *Frame          `json:",omitempty"`
	Entity  world.EntityID  `json:",omitzero"`
	From    world.Version   `json:",omitzero"`
	To      world.Version   `json:",omitzero"`
}

// Action is an action as a client sent it.
type Action struct {
	Number   uint64
	Function string // "move", "speak", …
	Other    bool   // a move of another entity than the avatar
	Content  uint64 // digest of the whole function
}

// Outcome is an outcome as a client was told it.
type Outcome struct {
	Number   uint64
	Code     starlingv1.Code
	Entity   world.EntityID
	Content  uint64 // digest of message and result
	Repeated bool
}

// Frame is a frame as a client saw it. Clients that saw the same share it.
type Frame struct {
	Place     world.PlaceID
	Cell      world.Cell
	Epoch     uint32
	From      uint64
	Sequence  uint64
	Baseline  bool
	Unwatched bool
	Conflated bool
	Partial   bool
	Missed    uint32
	Steps     []Step
}

// View is what a client shows.
type View struct {
	Session world.SessionID
	Avatar  world.EntityID
	Place   world.PlaceID
	Ring    int
	Shown   []Shown
}

// Shown is one entity of a view.
type Shown struct {
	Entity     world.EntityID
	Cell       world.Cell
	Version    world.Version
	Holder     world.EntityID
	Pose       uint64
	Attributes uint64
}

// ActionOf reduces an action.
func ActionOf(act *starlingv1.Act) *Action {
	a := &Action{Number: act.Number, Function: functionOf(act), Other: act.GetMove().GetEntity() != 0}
	same := &starlingv1.Act{Function: act.Function}
	if call := act.GetSpawn(); call != nil {
		// A map of attributes has no order: digested apart.
		same.Function = &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: call.Kind, Pose: call.Pose}}
		a.Content = attributesDigest(call.Attributes)
	}
	if data, err := same.MarshalVT(); err == nil {
		a.Content ^= digest(data)
	}
	return a
}

func functionOf(act *starlingv1.Act) string {
	m := act.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("function"))
	if field == nil {
		return ""
	}
	return string(field.Name())
}

// OutcomeOf reduces an outcome.
func OutcomeOf(o *starlingv1.Outcome) *Outcome {
	return &Outcome{
		Number: o.Number, Code: o.Code, Entity: world.EntityID(o.Entity), Repeated: o.Repeated,
		Content: digest([]byte(o.Message)) ^ digest(append([]byte("result:"), o.Result...)),
	}
}

// FrameOf reduces a frame.
func FrameOf(f *starlingv1.CellFrame) *Frame {
	frame := &Frame{
		Place: world.PlaceID(f.Place), Cell: world.Cell(f.Cell), Epoch: f.Epoch, From: f.From, Sequence: f.Sequence,
		Baseline: f.Baseline, Unwatched: f.Unwatched, Conflated: f.Conflated, Partial: f.Partial, Missed: f.MissedEvents,
	}
	for _, commit := range f.Commits {
		frame.Steps = append(frame.Steps, stepsOf(commit)...)
	}
	return frame
}

// final says whether an outcome ends its action.
func final(code starlingv1.Code) bool { return code < 200 || code >= 300 }
