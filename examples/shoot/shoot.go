// Package shoot is a small game in a place: participants stand in an arena and
// shoot at each other. A hit takes health; who has none left begins again in the
// middle, and the other scores.
//
// Players join the place with the attribute "health" set to FullHealth. "shoot"
// takes the target's avatar; the target must be within Range.
package shoot

import (
	"errors"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// Rules of the game.
const (
	FullHealth = 100
	Damage     = 40
	Range      = 25 // metres
)

// Attributes and events of the game.
const (
	Health = "health"
	Score  = "score"
	Hit    = "hit"     // event at the target
	Down   = "respawn" // event at the target when it begins again
)

// Register adds the game's function.
func Register(r *actions.Registry) error {
	return r.Register(actions.Function{Name: "shoot", Run: shoot})
}

func shoot(c *actions.Call) actions.Result {
	target, refusal, ok := c.Target(c.Act().GetCall().GetTarget())
	switch {
	case c.PlaceID() == 0:
		return shard.Refuse(starlingv1.Code_REJECTED, "there is no shooting on the map: join an arena")
	case !ok:
		return refusal
	case target.Kind() != shard.AvatarKind || target.ID() == c.Actor().ID():
		return shard.Refuse(starlingv1.Code_REJECTED, "shoot at other players")
	case target.Pose().Distance(c.Actor().Pose().Position) > Range:
		return shard.Refuse(starlingv1.Code_OUT_OF_REACH, "the target is over %d m away", Range)
	}
	health := target.Integer(Health) - Damage
	err := c.Emit(target, Hit, nil)
	if health > 0 {
		err = errors.Join(err, c.SetInteger(target, Health, health))
	} else {
		err = errors.Join(err, c.SetInteger(c.Actor(), Score, c.Actor().Integer(Score)+1), respawn(c, target))
	}
	if err != nil {
		return shard.Refuse(starlingv1.Code_REJECTED, "%v", err)
	}
	return shard.AppliedTo(target.ID())
}

// respawn puts a player back into the middle of the arena.
func respawn(c *actions.Call, player actions.Entity) error {
	middle := player.Pose()
	middle.Position = actions.Position{Place: true}
	return errors.Join(c.Emit(player, Down, nil), c.SetInteger(player, Health, FullHealth), c.SetPose(player, middle))
}
