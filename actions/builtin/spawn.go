package builtin

import (
	"unicode/utf8"

	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// spawn creates an entity of the participant's.
func spawn(c *shard.Call) shard.Result {
	in := c.Act().GetSpawn()
	kind := in.GetKind()
	switch {
	case len(kind) < 1 || len(kind) > 32 || !utf8.ValidString(kind):
		return invalid(shard.ErrKind)
	case kind == shard.AvatarKind:
		return shard.Refuse(starlingv1.Code_FORBIDDEN, "avatars come with sessions only")
	case !c.HasScope("spawn:any") && !c.HasScope("spawn:"+kind):
		return shard.Refuse(starlingv1.Code_FORBIDDEN, "it needs the scope spawn:%s or spawn:any", kind)
	}
	pose, err := shard.ReadPose(in.GetPose())
	if err != nil {
		return invalid(err)
	}
	if !c.HasScope("spawn:any") && !c.Reach(pose.Position) {
		return shard.Refuse(starlingv1.Code_OUT_OF_REACH, "spawn within %g m, or with the scope spawn:any", c.Limits().Reach)
	}
	if err := c.MaySpawn(pose.Position); err != nil {
		if no := refusal(c, err); no.Code != starlingv1.Code_INVALID {
			return no
		}
		return shard.Refuse(starlingv1.Code_LIMIT, "%v", err)
	}
	e, err := c.Spawn(kind, pose, in.GetAttributes(), true)
	if err != nil {
		return refusal(c, err)
	}
	return shard.AppliedTo(e.ID())
}

// despawn removes an entity of the participant's.
func despawn(c *shard.Call) shard.Result {
	e, no, ok := c.Target(c.Act().GetDespawn().GetTarget())
	if !ok {
		return no
	}
	if e.Kind() == shard.AvatarKind {
		return shard.Refuse(starlingv1.Code_FORBIDDEN, "avatars go with their sessions only: leave")
	}
	if !mine(c, e) && !c.HasScope("despawn:any") {
		return shard.Refuse(starlingv1.Code_FORBIDDEN, "it is not yours; it needs the scope despawn:any")
	}
	if err := c.Despawn(e); err != nil {
		return refusal(c, err)
	}
	return shard.AppliedTo(e.ID())
}

// setAttribute sets or clears an attribute.
func setAttribute(c *shard.Call) shard.Result {
	in := c.Act().GetSetAttribute()
	e := c.Actor()
	if in.GetTarget().GetEntity() != 0 && in.Target.Entity != uint64(e.ID()) {
		var no shard.Result
		var ok bool
		if e, no, ok = c.Target(in.Target); !ok {
			return no
		}
		if (!mine(c, e) || e.Kind() == shard.AvatarKind) && !c.HasScope("set:any") {
			return shard.Refuse(starlingv1.Code_FORBIDDEN, "it is not yours; it needs the scope set:any")
		}
	}
	if len(in.GetName()) < 1 || len(in.GetName()) > 32 || !utf8.ValidString(in.GetName()) {
		return invalid(shard.ErrAttribute)
	}
	if err := c.SetAttribute(e, in.Name, in.GetValue()); err != nil {
		return refusal(c, err)
	}
	return shard.AppliedTo(e.ID())
}

func mine(c *shard.Call, e shard.Entity) bool {
	return e.Owner() != "" && e.Owner() == c.Participant()
}
