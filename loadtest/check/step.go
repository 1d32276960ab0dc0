package check

import (
	"cmp"
	"hash/fnv"
	"slices"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// Step is an update or an event, as a log or a frame has it, with its content
// reduced to digests.
type Step struct {
	Event      bool
	Entity     world.EntityID // of an event: the actor
	Version    world.Version
	Change     starlingv1.Change
	Holder     world.EntityID
	Pose       uint64 // digest of the pose
	Attributes uint64 // digest of the attributes, 0 if absent
	To         world.Cell
	By         world.EntityID
	Number     uint64
	Frozen     bool
	Content    uint64 // of an event: digest of what
}

// StepOf reduces a step. ok is false for one of a kind that is not known.
func StepOf(s *starlingv1.Step) (step Step, ok bool) {
	switch is := s.GetIs().(type) {
	case *starlingv1.Step_Update:
		u := is.Update
		return Step{
			Entity: world.EntityID(u.Entity), Version: versionOf(u.Version), Change: u.Change,
			Holder: world.EntityID(u.Holder), Pose: poseDigest(u.Pose), Attributes: attributesDigest(u.Attributes),
			To: world.Cell(u.To), By: world.EntityID(u.By), Number: u.Number, Frozen: u.Frozen,
		}, true
	case *starlingv1.Step_Event:
		e := is.Event
		return Step{Event: true, Entity: world.EntityID(e.Actor), Version: versionOf(e.Version), Number: e.Number, Content: eventDigest(e)}, true
	}
	return Step{}, false
}

func stepsOf(steps *starlingv1.Steps) []Step {
	all := make([]Step, 0, len(steps.GetSteps()))
	for _, s := range steps.GetSteps() {
		if step, ok := StepOf(s); ok {
			all = append(all, step)
		}
	}
	return all
}

func versionOf(v *starlingv1.Version) world.Version {
	return world.Version{Handovers: v.GetHandovers(), Epoch: v.GetEpoch(), Sequence: v.GetSequence()}
}

func digest(data []byte) uint64 {
	h := fnv.New64a()
	h.Write(data)
	return h.Sum64()
}

// poseDigest is the same for poses that say the same: an absent velocity is
// one of zero.
func poseDigest(p *starlingv1.Pose) uint64 {
	if p == nil {
		return 0
	}
	same := &starlingv1.Pose{Position: p.Position, Orientation: p.Orientation, Velocity: p.Velocity}
	if v := p.Velocity; v != nil && v.East == 0 && v.North == 0 && v.Up == 0 {
		same.Velocity = nil
	}
	data, err := same.MarshalVT()
	if err != nil {
		return 0
	}
	return digest(data)
}

// attributesDigest does not depend on the order of the map. 0: absent.
func attributesDigest(a *starlingv1.Attributes) uint64 {
	if a == nil {
		return 0
	}
	names := make([]string, 0, len(a.Values))
	for name := range a.Values {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	h := fnv.New64a()
	for _, name := range names {
		value, err := a.Values[name].MarshalVT()
		if err != nil {
			continue
		}
		h.Write([]byte{byte(len(name))})
		h.Write([]byte(name))
		h.Write([]byte{byte(len(value)), byte(len(value) >> 8)})
		h.Write(value)
	}
	return max(h.Sum64(), 1)
}

// noAttributes is the digest of an empty set.
var noAttributes = attributesDigest(&starlingv1.Attributes{})

func eventDigest(e *starlingv1.Event) uint64 {
	only := &starlingv1.Event{What: e.What}
	data, err := only.MarshalVT()
	if err != nil {
		return 0
	}
	return digest(data)
}

// whole says whether an update tells kind and attributes too.
func whole(c starlingv1.Change) bool {
	return c == starlingv1.Change_CREATED || c == starlingv1.Change_ENTERED || c == starlingv1.Change_PRESENT
}

// gone says whether an update takes the entity out of its cell.
func gone(c starlingv1.Change) bool {
	return c == starlingv1.Change_LEFT || c == starlingv1.Change_REMOVED
}
