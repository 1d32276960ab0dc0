package shard

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"time"
	"unicode/utf8"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
	"github.com/starling-vr/starling/world/hex"
)

// AvatarKind is the kind of the entities that stand for participants.
const AvatarKind = "avatar"

// Errors of a Call's mutations.
var (
	ErrNotHome   = errors.New("the entity does not live in this shard")
	ErrGone      = errors.New("the entity exists no longer")
	ErrHeld      = errors.New("the entity is held: it moves with its holder")
	ErrIsHolder  = errors.New("what holds something cannot be held")
	ErrBusy      = errors.New("the entity's session waits for another shard")
	ErrAttribute = errors.New("at most 32 attributes, names of 1..32 bytes, texts and bytes of at most 256, 2 KiB in all")
	ErrEvent     = errors.New("the event is empty or too large")
	ErrKind      = errors.New("a kind has 1..32 bytes")
	ErrFull      = errors.New("the shard is full")
	ErrOutside   = errors.New("outside the place")
	ErrFrame     = errors.New("positions are geographic on the map and local in a place")
)

// Call is one run of a function: the action, who acts, and the shard around. It
// is only valid until the function returns. What the function changes takes
// effect when it returns APPLIED, all together, and not at all otherwise.
type Call struct {
	shard       *Shard
	now         time.Time
	act         *starlingv1.Act
	arrived     time.Time
	actor       *entity // its in is nil if it lives in another shard
	session     *session
	participant string
	scopes      []string
	undoFrom    int
	events      []said
	leave       bool
	place       *clusterv1.PlaceChange
	grabbed     *entity // to go to the actor's shard
	result      starlingv1.Outcome
	failure     string
}

type said struct {
	cell      world.Cell
	handovers uint32
	event     starlingv1.Event
}

func (c *Call) forget() {
	c.events = c.events[:0]
	c.leave, c.place, c.grabbed = false, nil, nil
}

// Act is the action as the client sent it. It must not be changed.
func (c *Call) Act() *starlingv1.Act { return c.act }

// Arguments are the bytes of a client's Call.
func (c *Call) Arguments() []byte { return c.act.GetCall().GetArguments() }

// Now is the time of the run; functions take it from here alone.
func (c *Call) Now() time.Time { return c.now }

// Random gives random bits; functions take them from here alone.
func (c *Call) Random() uint64 { return c.shard.config.NewID() }

// Limits are those of the world.
func (c *Call) Limits() *Limits { return &c.shard.limits }

// Participant is who acts.
func (c *Call) Participant() string { return c.participant }

// HasScope says whether the actor's token grants scope.
func (c *Call) HasScope(scope string) bool { return hasScope(c.scopes, scope) }

// Place is the place that the shard is, nil on the map. It must not be changed.
func (c *Call) Place() *starlingv1.Place { return c.shard.place.GetPlace() }

// PlaceID is the id of the place that the shard is, 0 on the map.
func (c *Call) PlaceID() world.PlaceID { return c.shard.id.Place }

// Entity is an entity as a function sees it. The zero Entity is none.
type Entity struct{ e *entity }

// OK says whether there is an entity.
func (e Entity) OK() bool { return e.e != nil }

// ID is the entity's.
func (e Entity) ID() world.EntityID { return e.e.id }

// Kind is the entity's: AvatarKind for avatars.
func (e Entity) Kind() string { return e.e.kind }

// Pose is the entity's.
func (e Entity) Pose() Pose { return e.e.pose }

// Holder is the entity that holds it, 0 for none.
func (e Entity) Holder() world.EntityID { return e.e.holder }

// Held is the number of entities that it holds.
func (e Entity) Held() int { return len(e.e.holds) }

// Owner is the participant who spawned it, "" for the world's own.
func (e Entity) Owner() string { return e.e.owner }

// Attribute gives an attribute, nil if it is not set. It must not be changed.
func (e Entity) Attribute(name string) *starlingv1.Value { return e.e.attributes.GetValues()[name] }

// Integer gives an attribute that is an integer, otherwise 0.
func (e Entity) Integer(name string) int64 { return e.Attribute(name).GetInteger() }

// Actor is the avatar that acts. It may live in another shard (Home is false):
// then it can be seen but not changed.
func (c *Call) Actor() Entity { return Entity{c.actor} }

// Home says whether the entity lives in this shard.
func (c *Call) Home(e Entity) bool {
	return e.e != nil && e.e.exists && c.shard.entities[e.e.id] == e.e
}

// Entity finds an entity of this shard.
func (c *Call) Entity(id world.EntityID) (Entity, bool) {
	e := c.shard.entities[id]
	if e == nil || !e.exists {
		return Entity{}, false
	}
	return Entity{e}, true
}

// Target finds the entity that the action is about, if it names one that lives
// here. The refusal says why not otherwise.
func (c *Call) Target(t *starlingv1.Target) (Entity, Result, bool) {
	id := world.EntityID(t.GetEntity())
	if id == 0 {
		return Entity{}, Refuse(starlingv1.Code_INVALID, "the target is missing"), false
	}
	if e, ok := c.Entity(id); ok {
		return e, Result{}, true
	}
	if c.shard.transits[id] != nil {
		return Entity{}, Refuse(starlingv1.Code_IN_TRANSIT, "it is on its way to another shard; try again in a moment"), false
	}
	return Entity{}, Refuse(starlingv1.Code_NO_SUCH_ENTITY, "nothing with that id is there (any longer)"), false
}

// Near gives the entities of this shard within metres of a position, in no
// particular order. metres is at most 1000. The function must not move, spawn or
// despawn while it goes through them.
func (c *Call) Near(at Position, metres float64) iter.Seq[Entity] {
	return func(yield func(Entity) bool) {
		s := c.shard
		middle, err := s.locate(at, nil)
		if err != nil {
			return
		}
		for _, id := range hex.Disk(middle, rings(s.config.Map.CellResolution, min(metres, 1000))) {
			in := s.cells[id]
			if in == nil {
				continue
			}
			for _, e := range in.entities {
				if e.pose.Distance(at) <= metres && !yield(Entity{e}) {
					return
				}
			}
		}
	}
}

// rings is how many rings of cells reach metres from anywhere in the middle
// cell: each is at least one edge wide, and the shortest edges are 0.7 of the mean
// or more. Source of edges: H3 documentation, "Average edge length".
func rings(resolution int, metres float64) int {
	edge := 75.86 // metres, resolution 10; a factor of root 7 each
	for r := resolution; r < 10; r++ {
		edge *= math.Sqrt(7)
	}
	for r := resolution; r > 10; r-- {
		edge /= math.Sqrt(7)
	}
	return 1 + int(metres/(0.7*edge))
}

// Reach says whether the actor reaches a position.
func (c *Call) Reach(at Position) bool {
	return c.actor != nil && c.actor.pose.Distance(at) <= c.shard.limits.Reach
}

func (c *Call) mutable(e Entity) error {
	switch {
	case e.e == nil || !e.e.exists:
		return ErrGone
	case !c.Home(e):
		return ErrNotHome
	}
	return nil
}

// SetPose moves an entity, with what it holds, wherever that is: into another
// shard, if need be. A held entity is not moved.
func (c *Call) SetPose(e Entity, pose Pose) error {
	if err := c.mutable(e); err != nil {
		return err
	}
	if e.e.holder != 0 {
		return ErrHeld
	}
	s := c.shard
	at, err := s.checked(pose.Position, e.e.in)
	if err != nil {
		return err
	}
	if x := s.sessionOf(e.e); x != nil && x.pending != nil && !s.mine(at) {
		return ErrBusy
	}
	s.setPose(e.e, pose, at)
	for _, held := range e.e.holds {
		carried := held.pose
		carried.Position, carried.Velocity = pose.Position, pose.Velocity
		s.setPose(held, carried, at)
	}
	return nil
}

// checked checks a position and finds its cell.
func (s *Shard) checked(at Position, was *cell) (world.Cell, error) {
	if at.Place != s.id.IsPlace() {
		return 0, ErrFrame
	}
	if at.Place {
		if at.Local.Validate(float64(s.place.GetPlace().GetExtent())) != nil {
			return 0, ErrOutside
		}
	} else if err := at.Geo.Validate(); err != nil {
		return 0, err
	}
	return s.locate(at, was)
}

func (s *Shard) setPose(e *entity, pose Pose, at world.Cell) {
	s.touch(e)
	e.pose, e.cell = pose, at
	s.list(e)
}

// SetAttribute sets an attribute; a nil value clears it.
func (c *Call) SetAttribute(e Entity, name string, value *starlingv1.Value) error {
	if err := c.mutable(e); err != nil {
		return err
	}
	next := &starlingv1.Attributes{Values: maps.Clone(e.e.attributes.GetValues())}
	if value == nil || value.Is == nil {
		delete(next.Values, name)
	} else {
		if next.Values == nil {
			next.Values = make(map[string]*starlingv1.Value, 1)
		}
		next.Values[name] = value
	}
	if err := CheckAttributes(next); err != nil {
		return err
	}
	c.shard.touch(e.e)
	e.e.attributes = next
	return nil
}

// SetInteger sets an attribute to an integer.
func (c *Call) SetInteger(e Entity, name string, value int64) error {
	return c.SetAttribute(e, name, &starlingv1.Value{Is: &starlingv1.Value_Integer{Integer: value}})
}

// Spawn creates an entity. owned says that it belongs to the actor, who may then
// despawn it and set its attributes.
func (c *Call) Spawn(kind string, pose Pose, attributes *starlingv1.Attributes, owned bool) (Entity, error) {
	s := c.shard
	if len(kind) < 1 || len(kind) > 32 {
		return Entity{}, ErrKind
	}
	if err := CheckAttributes(attributes); err != nil {
		return Entity{}, err
	}
	if len(s.entities) >= s.limits.Entities {
		return Entity{}, ErrFull
	}
	at, err := s.checked(pose.Position, nil)
	if err != nil {
		return Entity{}, err
	}
	if attributes == nil {
		attributes = noAttributes
	}
	st := state{exists: true, cell: at, pose: pose, kind: kind, attributes: attributes}
	if owned {
		st.owner = c.participant
		if c.session != nil {
			st.session = c.session.id
		}
	}
	return Entity{s.create(s.newEntityID(), st)}, nil
}

func (s *Shard) newEntityID() world.EntityID {
	for {
		id := world.EntityID(s.config.NewID())
		if id != 0 && s.entities[id] == nil && s.transits[id] == nil {
			return id
		}
	}
}

// create brings an entity into being, as part of the running action.
func (s *Shard) create(id world.EntityID, st state) *entity {
	e := &entity{id: id}
	s.touch(e)
	e.state = st
	s.entities[id] = e
	s.list(e)
	s.giveToHolder(e)
	return e
}

// Despawn removes an entity; what it holds is dropped. Avatars are not
// despawned: their sessions end.
func (c *Call) Despawn(e Entity) error {
	if err := c.mutable(e); err != nil {
		return err
	}
	if c.shard.sessionOf(e.e) != nil {
		return ErrNotHome
	}
	c.shard.despawn(e.e)
	return nil
}

func (s *Shard) despawn(e *entity) {
	s.dropAll(e)
	s.touch(e)
	s.dropFromHolder(e)
	e.holder = 0
	e.exists = false
	s.list(e)
}

func (s *Shard) dropAll(e *entity) {
	for _, held := range e.holds {
		s.touch(held)
		held.holder = 0
		held.pose.Velocity = world.Vector{}
	}
	e.holds = nil
}

// Hold gives an entity to a holder; it then moves with it. If the holder is the
// actor and lives in another shard, the entity goes there.
func (c *Call) Hold(holder, e Entity) error {
	s := c.shard
	if err := c.mutable(e); err != nil {
		return err
	}
	switch {
	case e.e.holder != 0:
		return ErrHeld
	case len(e.e.holds) > 0, e.e == holder.e, s.sessionOf(e.e) != nil, holder.e == nil || holder.e.holder != 0:
		return ErrIsHolder
	case !c.Home(holder) && (holder.e != c.actor || c.session != nil):
		return ErrNotHome
	}
	if !c.Home(holder) {
		s.touch(e.e)
		c.grabbed = e.e
		e.e.holder = holder.e.id
		e.e.pose.Position, e.e.pose.Velocity = holder.e.pose.Position, holder.e.pose.Velocity
		e.e.cell = holder.e.cell
		s.list(e.e)
		return nil
	}
	carried := e.e.pose
	carried.Position, carried.Velocity = holder.e.pose.Position, holder.e.pose.Velocity
	s.setPose(e.e, carried, holder.e.cell)
	e.e.holder = holder.e.id
	s.giveToHolder(e.e)
	return nil
}

// Drop frees an entity from its holder, at a position.
func (c *Call) Drop(e Entity, at Position) error {
	if err := c.mutable(e); err != nil {
		return err
	}
	s := c.shard
	in, err := s.checked(at, e.e.in)
	if err != nil {
		return err
	}
	s.touch(e.e)
	s.dropFromHolder(e.e)
	e.e.holder = 0
	pose := e.e.pose
	pose.Position, pose.Velocity = at, world.Vector{}
	s.setPose(e.e, pose, in)
	return nil
}

// Say tells everyone who watches the entity's cell a text.
func (c *Call) Say(from Entity, text string) error {
	if len(text) == 0 || len(text) > c.shard.limits.TextBytes {
		return ErrEvent
	}
	return c.say(from, &starlingv1.Event_Text{Text: text})
}

// SayVoice tells everyone who watches the entity's cell a voice packet.
func (c *Call) SayVoice(from Entity, packet []byte) error {
	if len(packet) == 0 || len(packet) > c.shard.limits.VoiceBytes {
		return ErrEvent
	}
	return c.say(from, &starlingv1.Event_Voice{Voice: packet})
}

// SayTouched tells everyone who watches the entity's cell that it was touched.
func (c *Call) SayTouched(e Entity) error {
	return c.say(e, &starlingv1.Event_Touched{Touched: &starlingv1.Touched{Entity: uint64(e.e.id)}})
}

// Emit tells everyone who watches the entity's cell of something of the game's
// own. payload has at most Limits.PayloadBytes.
func (c *Call) Emit(at Entity, name string, payload []byte) error {
	if len(name) < 1 || len(name) > 32 || len(payload) > c.shard.limits.PayloadBytes {
		return ErrEvent
	}
	return c.say(at, &starlingv1.Event_Custom{Custom: &starlingv1.Custom{Name: name, Payload: payload}})
}

func (c *Call) say(at Entity, what any) error {
	if !at.OK() || at.e.in == nil {
		return ErrNotHome
	}
	c.events = append(c.events, said{cell: at.e.in.id, handovers: at.e.version.Handovers})
	event := &c.events[len(c.events)-1].event
	event.Number = c.act.GetNumber()
	if c.actor != nil {
		event.Actor = uint64(c.actor.id)
	}
	switch what := what.(type) {
	case *starlingv1.Event_Text:
		event.What = what
	case *starlingv1.Event_Voice:
		event.What = what
	case *starlingv1.Event_Touched:
		event.What = what
	case *starlingv1.Event_Custom:
		event.What = what
	}
	return nil
}

// MayMove spends metres of the entity's speed limit. If they are too many
// nothing is spent, and allowed tells how many there are.
func (c *Call) MayMove(e Entity, metres float64) (allowed float64, ok bool) {
	left := e.e.budget.left(&c.shard.limits, c.now)
	if !(metres <= left) {
		return left, false
	}
	c.shard.touch(e.e)
	e.e.budget.metres, e.e.budget.at = left-metres, c.now.UnixMicro()
	return left, true
}

// MayRelocate grants a jump that the speed limit does not allow, once in
// Limits.RelocateEvery; otherwise wait tells when the next is due.
func (c *Call) MayRelocate(e Entity) (wait time.Duration, ok bool) {
	every := c.shard.limits.RelocateEvery
	if last := e.e.budget.relocated; last != 0 {
		if gone := c.now.Sub(time.UnixMicro(last)); gone < every {
			return every - gone, false
		}
	}
	c.shard.touch(e.e)
	e.e.budget.relocated = c.now.UnixMicro()
	return 0, true
}

// MaySpawn says whether the actor's session may spawn one more entity at a
// position, by the limits of session, cell and shard.
func (c *Call) MaySpawn(at Position) error {
	s := c.shard
	if c.session != nil && c.session.spawned >= s.limits.SpawnedThings {
		return fmt.Errorf("at most %d spawned entities at a time: despawn one first", s.limits.SpawnedThings)
	}
	if len(s.entities) >= s.limits.Entities {
		return ErrFull
	}
	id, err := s.checked(at, nil)
	if err != nil {
		return err
	}
	if in := s.cells[id]; in != nil && len(in.entities) >= s.limits.CellEntities {
		return fmt.Errorf("at most %d entities in a cell: go elsewhere", s.limits.CellEntities)
	}
	return nil
}

// Leave ends the actor's session once the outcome is told.
func (c *Call) Leave() { c.leave = true }

// OpenPlace makes the shard the place. It fails where there is one already.
func (c *Call) OpenPlace(place *starlingv1.Place) error {
	if !c.shard.id.IsPlace() || uint64(c.shard.id.Place) != place.GetId() {
		return ErrNotHome
	}
	if c.shard.place != nil && !c.shard.place.Closed {
		return ErrFull
	}
	c.place = &clusterv1.PlaceChange{Place: place, Creator: c.participant}
	return nil
}

// Creator is the participant who made the place; open is false if it is closed
// or was never made.
func (c *Call) Creator() (participant string, open bool) {
	return c.shard.place.GetCreator(), c.shard.placeOpen()
}

// ClosePlace ends the place: everyone in it is sent away, what is in it removed.
func (c *Call) ClosePlace() error {
	if !c.shard.placeOpen() {
		return ErrGone
	}
	c.place = &clusterv1.PlaceChange{Place: c.shard.place.Place, Creator: c.shard.place.Creator, Closed: true}
	return nil
}

// sessionOf gives the session whose avatar e is, if it is one.
func (s *Shard) sessionOf(e *entity) *session {
	if e.session == 0 {
		return nil
	}
	if x := s.sessions[e.session]; x != nil && x.avatar == e {
		return x
	}
	return nil
}

// CheckAttributes says what is wrong with attributes: see the schema.
func CheckAttributes(a *starlingv1.Attributes) error {
	if len(a.GetValues()) > 32 {
		return ErrAttribute
	}
	total := 0
	for name, value := range a.GetValues() {
		size := 9
		switch v := value.GetIs().(type) {
		case nil:
			return ErrAttribute
		case *starlingv1.Value_Text:
			size = len(v.Text)
			if !utf8.ValidString(v.Text) {
				return ErrAttribute
			}
		case *starlingv1.Value_Opaque:
			size = len(v.Opaque)
		case *starlingv1.Value_Number:
			if v.Number-v.Number != 0 {
				return fmt.Errorf("attribute %q is not a finite number", name)
			}
		}
		if len(name) < 1 || len(name) > 32 || size > 256 || !utf8.ValidString(name) {
			return ErrAttribute
		}
		total += len(name) + size
	}
	if total > 2048 {
		return ErrAttribute
	}
	return nil
}
