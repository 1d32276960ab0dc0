// Package catch is a small game: creatures roam the map, and whoever is first to
// catch one has it. Two who reach for the same creature at the same moment race
// for it, and exactly one wins: the creature's shard runs one action after the
// other.
//
// A game server (a client whose token has the scopes "spawn:creature" and
// "move:any") spawns the creatures; participants call the function "catch" with
// a creature as its target.
package catch

import (
	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Kind is the kind of the entities that can be caught.
const Kind = "creature"

// Attributes and events of the game.
const (
	CaughtBy = "caught_by" // of a creature: the participant who has it
	Caught   = "caught"    // event: its payload is the participant
)

// Register adds the game's function.
func Register(r *actions.Registry) error {
	return r.Register(actions.Function{Name: "catch", Run: catch})
}

func catch(c *actions.Call) actions.Result {
	creature, refusal, ok := c.Target(c.Act().GetCall().GetTarget())
	switch {
	case !ok:
		return refusal
	case creature.Kind() != Kind:
		return shard.Refuse(starlingv1.Code_REJECTED, "only creatures can be caught")
	case !c.Reach(creature.Pose().Position):
		return shard.Refuse(starlingv1.Code_OUT_OF_REACH, "go nearer: your reach is %g m", c.Limits().Reach)
	}
	if first := creature.Attribute(CaughtBy).GetText(); first != "" {
		return shard.Refuse(starlingv1.Code_REJECTED, "%s was faster", first)
	}
	err := c.SetAttribute(creature, CaughtBy, &starlingv1.Value{Is: &starlingv1.Value_Text{Text: c.Participant()}})
	if err == nil {
		err = c.Emit(creature, Caught, []byte(c.Participant()))
	}
	if err == nil {
		err = c.Hold(c.Actor(), creature)
	}
	if err != nil {
		return shard.Refuse(starlingv1.Code_REJECTED, "%v", err)
	}
	return shard.AppliedTo(creature.ID())
}
