package shard

import (
	"fmt"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// Function is what an action runs.
type Function struct {
	Name  string
	Scope string // that the token must have; "" for none
	Hard  bool   // a result after the deadline is worthless
	Run   func(*Call) Result
	// Check, if set, runs in the actor's shard before an action is forwarded to
	// the shard of its target. Unless it gives APPLIED the action ends there.
	Check func(*Call) Result
}

// Result is how a function ended. Unless Code is APPLIED nothing that the
// function did takes effect.
type Result struct {
	Code    starlingv1.Code
	Message string         // what to do about it, for people
	Entity  world.EntityID // what was created, or grabbed
	Bytes   []byte         // for the caller, at most Limits.PayloadBytes
}

// Applied is the result of a function whose effects stand.
func Applied() Result { return Result{Code: starlingv1.Code_APPLIED} }

// AppliedTo is Applied with the entity that was created or taken.
func AppliedTo(id world.EntityID) Result {
	return Result{Code: starlingv1.Code_APPLIED, Entity: id}
}

// Refuse undoes everything and tells the participant why. code is final
// (100-199); a game's own functions use REJECTED.
func Refuse(code starlingv1.Code, format string, args ...any) Result {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return Result{Code: code, Message: format}
}

// Name gives the name of the function that an action asks for; "" for none.
func Name(act *starlingv1.Act) string {
	switch f := act.GetFunction().(type) {
	case *starlingv1.Act_Move:
		return "move"
	case *starlingv1.Act_Speak:
		return "speak"
	case *starlingv1.Act_Touch:
		return "touch"
	case *starlingv1.Act_Grab:
		return "grab"
	case *starlingv1.Act_Release:
		return "release"
	case *starlingv1.Act_Spawn:
		return "spawn"
	case *starlingv1.Act_Despawn:
		return "despawn"
	case *starlingv1.Act_SetAttribute:
		return "set_attribute"
	case *starlingv1.Act_Leave:
		return "leave"
	case *starlingv1.Act_CreatePlace:
		return "create_place"
	case *starlingv1.Act_ClosePlace:
		return "close_place"
	case *starlingv1.Act_Call:
		return f.Call.GetFunction()
	}
	return ""
}

// target gives the entity that an action is about, if it names one that may
// live in another shard.
func target(act *starlingv1.Act) *starlingv1.Target {
	switch f := act.GetFunction().(type) {
	case *starlingv1.Act_Touch:
		return f.Touch.GetTarget()
	case *starlingv1.Act_Grab:
		return f.Grab.GetTarget()
	case *starlingv1.Act_Despawn:
		return f.Despawn.GetTarget()
	case *starlingv1.Act_SetAttribute:
		return f.SetAttribute.GetTarget()
	case *starlingv1.Act_Call:
		return f.Call.GetTarget()
	}
	return nil
}

func (s *Shard) function(act *starlingv1.Act) *Function { return s.config.Functions(Name(act)) }
