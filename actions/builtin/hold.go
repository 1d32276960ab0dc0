package builtin

import (
	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// grab takes an entity within reach that nobody holds.
func grab(c *shard.Call) shard.Result {
	e, no, ok := within(c, c.Act().GetGrab().GetTarget())
	if !ok {
		return no
	}
	if e.Kind() == shard.AvatarKind {
		return shard.Refuse(starlingv1.Code_FORBIDDEN, "avatars cannot be held")
	}
	if e.Holder() != 0 {
		return shard.Refuse(starlingv1.Code_HELD, "somebody holds it")
	}
	if no := mayHoldMore(c); no.Code != starlingv1.Code_APPLIED {
		return no
	}
	if err := c.Hold(c.Actor(), e); err != nil {
		return refusal(c, err)
	}
	return shard.AppliedTo(e.ID())
}

func mayHoldMore(c *shard.Call) shard.Result {
	if most := c.Limits().HeldThings; c.Actor().Held() >= most {
		return shard.Refuse(starlingv1.Code_LIMIT, "you hold %d things already; release one", most)
	}
	return shard.Applied()
}

// release drops a held entity at a position within reach.
func release(c *shard.Call) shard.Result {
	in := c.Act().GetRelease()
	e, ok := c.Entity(world.EntityID(in.GetEntity()))
	if !ok || e.Holder() == 0 || e.Holder() != c.Actor().ID() {
		return shard.Refuse(starlingv1.Code_NOT_HOLDER, "you do not hold it")
	}
	at := e.Pose().Position
	if in.GetPosition() != nil {
		var err error
		if at, err = shard.ReadPosition(in.Position); err != nil {
			return invalid(err)
		}
		if !c.Reach(at) {
			return shard.Refuse(starlingv1.Code_OUT_OF_REACH, "drop it within %g m", c.Limits().Reach)
		}
	}
	if err := c.Drop(e, at); err != nil {
		return refusal(c, err)
	}
	return shard.AppliedTo(e.ID())
}
