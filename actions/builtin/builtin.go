// Package builtin holds the functions that every world has: see
// docs/reference/functions.md for their arguments, limits and refusals.
package builtin

import (
	"errors"

	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// All gives the built-in functions.
func All() []shard.Function {
	return []shard.Function{
		{Name: "move", Run: move},
		{Name: "speak", Run: speak},
		{Name: "touch", Run: touch},
		{Name: "grab", Run: grab, Check: mayHoldMore},
		{Name: "release", Run: release},
		{Name: "spawn", Run: spawn},
		{Name: "despawn", Run: despawn},
		{Name: "set_attribute", Run: setAttribute},
		{Name: "leave", Run: leave},
		{Name: "create_place", Scope: "place:create", Run: createPlace},
		{Name: "close_place", Run: closePlace},
	}
}

// refusal says what the participant can do about an error of a mutation.
func refusal(c *shard.Call, err error) shard.Result {
	switch {
	case errors.Is(err, shard.ErrGone), errors.Is(err, shard.ErrNotHome):
		return shard.Refuse(starlingv1.Code_NO_SUCH_ENTITY, "%v", err)
	case errors.Is(err, shard.ErrHeld), errors.Is(err, shard.ErrIsHolder):
		return shard.Refuse(starlingv1.Code_HELD, "%v", err)
	case errors.Is(err, shard.ErrFull):
		return shard.Refuse(starlingv1.Code_LIMIT, "%v", err)
	case errors.Is(err, shard.ErrBusy):
		return shard.Refuse(starlingv1.Code_IN_TRANSIT, "%v", err)
	case errors.Is(err, shard.ErrOutside):
		return shard.Refuse(starlingv1.Code_OUTSIDE_PLACE, "stay within %g m of the place's anchor", c.Place().GetExtent())
	}
	return invalid(err)
}

func invalid(err error) shard.Result {
	return shard.Refuse(starlingv1.Code_INVALID, "%v", err)
}
