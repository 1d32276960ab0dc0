package starling

import (
	"context"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Move sets the avatar's pose.
func (c *Client) Move(ctx context.Context, pose *starlingv1.Pose) (Outcome, error) {
	return c.Act(ctx, MoveAct(&starlingv1.Move{Pose: pose}))
}

// Relocate asks to be set down somewhere, after a jump of a positioning system.
func (c *Client) Relocate(ctx context.Context, pose *starlingv1.Pose) (Outcome, error) {
	return c.Act(ctx, MoveAct(&starlingv1.Move{Pose: pose, Relocate: true}))
}

// MoveAct is a move for Do.
func MoveAct(move *starlingv1.Move) *starlingv1.Act {
	return &starlingv1.Act{Function: &starlingv1.Act_Move{Move: move}}
}

// Speak says a text (at most 500 bytes) to everyone who watches the cell.
func (c *Client) Speak(ctx context.Context, text string) (Outcome, error) {
	return c.Act(ctx, SpeakAct(text))
}

// SpeakAct is a spoken text for Do.
func SpeakAct(text string) *starlingv1.Act {
	return &starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Text{Text: text}}}}
}

// Voice sends one opaque voice packet, at most 1200 bytes.
func (c *Client) Voice(ctx context.Context, packet []byte) (Outcome, error) {
	return c.Act(ctx, VoiceAct(packet))
}

// VoiceAct is a voice packet for Do.
func VoiceAct(packet []byte) *starlingv1.Act {
	return &starlingv1.Act{Function: &starlingv1.Act_Speak{Speak: &starlingv1.Speak{What: &starlingv1.Speak_Voice{Voice: packet}}}}
}

// Touch touches an entity within reach.
func (c *Client) Touch(ctx context.Context, entity uint64) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_Touch{Touch: &starlingv1.Touch{Target: c.Target(entity)}}})
}

// Grab takes an entity within reach that nobody holds.
func (c *Client) Grab(ctx context.Context, entity uint64) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_Grab{Grab: &starlingv1.Grab{Target: c.Target(entity)}}})
}

// Release drops a held entity at a position within reach; nil: where it is.
func (c *Client) Release(ctx context.Context, entity uint64, at *starlingv1.Position) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_Release{Release: &starlingv1.Release{Entity: entity, Position: at}}})
}

// Spawn creates an entity; the outcome's Entity is its id.
func (c *Client) Spawn(ctx context.Context, kind string, pose *starlingv1.Pose, attributes *starlingv1.Attributes) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_Spawn{Spawn: &starlingv1.Spawn{Kind: kind, Pose: pose, Attributes: attributes}}})
}

// Despawn removes an entity that the participant spawned.
func (c *Client) Despawn(ctx context.Context, entity uint64) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_Despawn{Despawn: &starlingv1.Despawn{Target: c.Target(entity)}}})
}

// SetAttribute sets an attribute (clears it if value is nil) of an entity, 0
// being the avatar.
func (c *Client) SetAttribute(ctx context.Context, entity uint64, name string, value *starlingv1.Value) (Outcome, error) {
	set := &starlingv1.SetAttribute{Name: name, Value: value}
	if entity != 0 {
		set.Target = c.Target(entity)
	}
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_SetAttribute{SetAttribute: set}})
}

// Leave ends the session: what is held drops, the avatar goes. The gateway then
// closes the connection, and the client has ended.
func (c *Client) Leave(ctx context.Context) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_Leave{Leave: &starlingv1.Leave{}}})
}

// Call runs a function that a game registered, on an entity or on none (0).
func (c *Client) Call(ctx context.Context, function string, entity uint64, arguments []byte) (Outcome, error) {
	call := &starlingv1.Call{Function: function, Arguments: arguments}
	if entity != 0 {
		call.Target = c.Target(entity)
	}
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_Call{Call: call}})
}

// CreatePlace makes a place; the outcome's Entity is its id.
func (c *Client) CreatePlace(ctx context.Context, place *starlingv1.Place) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_CreatePlace{CreatePlace: &starlingv1.CreatePlace{Place: place}}})
}

// ClosePlace ends a place.
func (c *Client) ClosePlace(ctx context.Context, place uint64) (Outcome, error) {
	return c.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_ClosePlace{ClosePlace: &starlingv1.ClosePlace{Place: place}}})
}

// Target names an entity with the cell in which it was last seen.
func (c *Client) Target(entity uint64) *starlingv1.Target {
	seen, _ := c.Entity(entity)
	return &starlingv1.Target{Entity: entity, Cell: seen.Cell}
}
