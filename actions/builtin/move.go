package builtin

import (
	"math"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// move sets the avatar's pose, or (scope "move:any") another entity's.
func move(c *shard.Call) shard.Result {
	in := c.Act().GetMove()
	pose, err := shard.ReadPose(in.GetPose())
	if err != nil {
		return invalid(err)
	}
	if id := world.EntityID(in.GetEntity()); id != 0 && id != c.Actor().ID() {
		return moveOther(c, id, pose)
	}
	me := c.Actor()
	// Between the map and a place there is no distance: SetPose says so.
	if metres := me.Pose().Distance(pose.Position); metres > 0 && !math.IsInf(metres, 1) {
		if no, refused := mayMove(c, me, metres, in.Relocate); refused {
			return no
		}
	}
	if err := c.SetPose(me, pose); err != nil {
		return refusal(c, err)
	}
	return shard.Applied()
}

func mayMove(c *shard.Call, me shard.Entity, metres float64, relocate bool) (shard.Result, bool) {
	allowed, ok := c.MayMove(me, metres)
	if ok {
		return shard.Result{}, false
	}
	if !relocate {
		return shard.Refuse(starlingv1.Code_TOO_FAST, "moved %.1f m, allowed now are %.1f m; move less, wait, or ask to relocate after a jump of positioning", metres, allowed), true
	}
	if wait, granted := c.MayRelocate(me); !granted {
		return shard.Refuse(starlingv1.Code_RELOCATE_TOO_SOON, "relocate is granted again in %v", wait.Round(time.Second)), true
	}
	return shard.Result{}, false
}

func moveOther(c *shard.Call, id world.EntityID, pose shard.Pose) shard.Result {
	if !c.HasScope("move:any") {
		return shard.Refuse(starlingv1.Code_FORBIDDEN, "moving another entity needs the scope move:any")
	}
	e, no, ok := c.Target(&starlingv1.Target{Entity: uint64(id)})
	if !ok {
		return no
	}
	if err := c.SetPose(e, pose); err != nil {
		return refusal(c, err)
	}
	return shard.AppliedTo(id)
}
