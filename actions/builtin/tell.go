package builtin

import (
	"unicode/utf8"

	"github.com/starling-vr/starling/actions/shard"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
)

// speak tells everyone who watches the avatar's cell.
func speak(c *shard.Call) shard.Result {
	l := c.Limits()
	switch what := c.Act().GetSpeak().GetWhat().(type) {
	case *starlingv1.Speak_Text:
		if !utf8.ValidString(what.Text) {
			return shard.Refuse(starlingv1.Code_INVALID, "the text is not UTF-8")
		}
		if c.Say(c.Actor(), what.Text) != nil {
			return shard.Refuse(starlingv1.Code_INVALID, "a text has 1..%d bytes, this one %d", l.TextBytes, len(what.Text))
		}
	case *starlingv1.Speak_Voice:
		if c.SayVoice(c.Actor(), what.Voice) != nil {
			return shard.Refuse(starlingv1.Code_INVALID, "a voice packet has 1..%d bytes, this one %d", l.VoiceBytes, len(what.Voice))
		}
	default:
		return shard.Refuse(starlingv1.Code_INVALID, "say a text or a voice packet")
	}
	return shard.Applied()
}

// touch tells everyone who watches the target's cell that it was touched.
func touch(c *shard.Call) shard.Result {
	e, no, ok := within(c, c.Act().GetTouch().GetTarget())
	if !ok {
		return no
	}
	if err := c.SayTouched(e); err != nil {
		return refusal(c, err)
	}
	return shard.AppliedTo(e.ID())
}

// within finds a target within the actor's reach.
func within(c *shard.Call, t *starlingv1.Target) (shard.Entity, shard.Result, bool) {
	e, no, ok := c.Target(t)
	if !ok {
		return e, no, false
	}
	if !c.Reach(e.Pose().Position) {
		return e, shard.Refuse(starlingv1.Code_OUT_OF_REACH, "it is %.1f m away, your reach is %g m",
			c.Actor().Pose().Distance(e.Pose().Position), c.Limits().Reach), false
	}
	return e, shard.Result{}, true
}
