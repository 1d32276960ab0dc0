package shard

import (
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// batch gathers what the actions between two seals did.
type batch struct {
	sequence uint64
	dirty    bool      // has something that must be committed
	lazy     time.Time // has something that can wait a while, since when
	cells    []*cell   // touched
	record   clusterv1.Batch
	outcomes []byte // encoded fields "outcomes" of Batch
	undo     []undo
	tells    []Tell
	parcels  []*clusterv1.Outgoing
	messages []pubsub.Message
	marks    []*watermark
}

func (b *batch) reset(sequence uint64) {
	clear(b.undo)
	clear(b.tells)
	clear(b.cells)
	clear(b.parcels)
	clear(b.marks)
	*b = batch{
		sequence: sequence, cells: b.cells[:0], outcomes: b.outcomes[:0],
		undo: b.undo[:0], tells: b.tells[:0], parcels: b.parcels[:0], marks: b.marks[:0],
	}
}

// scratch is a Step with all its parts, to be filled in again and again.
type scratch struct {
	step     starlingv1.Step
	inUpdate starlingv1.Step_Update
	update   starlingv1.Update
	inEvent  starlingv1.Step_Event
	version  starlingv1.Version
	pose     poseMessage
	session  clusterv1.SessionOutcome
}

// cause is the action that brought something about.
type cause struct {
	avatar  world.EntityID
	number  uint64
	arrived time.Time
}

// version is what everything in the open batch is stamped with.
func (s *Shard) version(handovers uint32) world.Version {
	return world.Version{Handovers: handovers, Epoch: s.tail.Epoch, Sequence: s.open.sequence}
}

// sayUpdate encodes what became of an entity, once: for the log and for all
// watchers of the cell.
func (s *Shard) sayUpdate(in world.Cell, e *entity, st *state, change starlingv1.Change, attributes bool, to world.Cell, by cause) {
	u := s.fillUpdate(e.id, st, change, attributes)
	u.To, u.By, u.Number = uint64(to), uint64(by.avatar), by.number
	s.say(in, by.arrived)
}

func (s *Shard) fillUpdate(id world.EntityID, st *state, change starlingv1.Change, attributes bool) *starlingv1.Update {
	c := &s.scratch
	u := &c.update
	u.Entity, u.Change, u.Holder = uint64(id), change, uint64(st.holder)
	c.version.Handovers, c.version.Epoch, c.version.Sequence = st.version.Handovers, st.version.Epoch, st.version.Sequence
	u.Version = &c.version
	u.Pose = c.pose.fill(&st.pose)
	u.Kind, u.Attributes = "", nil
	if change == starlingv1.Change_CREATED || change == starlingv1.Change_ENTERED || change == starlingv1.Change_PRESENT {
		u.Kind, attributes = st.kind, true
	}
	if attributes {
		u.Attributes = st.attributes
	}
	u.To, u.Frozen, u.By, u.Number = 0, false, 0, 0
	c.inUpdate.Update = u
	c.step.Is = &c.inUpdate
	return u
}

// sayEvent tells everyone who watches the cell.
func (s *Shard) sayEvent(in world.Cell, event *starlingv1.Event, handovers uint32, arrived time.Time) {
	v := s.version(handovers)
	c := &s.scratch
	c.version.Handovers, c.version.Epoch, c.version.Sequence = v.Handovers, v.Epoch, v.Sequence
	event.Version = &c.version
	c.inEvent.Event = event
	c.step.Is = &c.inEvent
	s.say(in, arrived).events++
	event.Version = nil
}

// say encodes the scratch step into a cell's part of the open batch.
func (s *Shard) say(in world.Cell, arrived time.Time) *cell {
	c := s.cell(in)
	if len(c.steps) == 0 {
		s.open.cells = append(s.open.cells, c)
		c.arrived = arrived
	} else if !arrived.IsZero() && (c.arrived.IsZero() || arrived.Before(c.arrived)) {
		c.arrived = arrived
	}
	s.open.dirty = true
	c.steps = appendMessage(c.steps, 1, &s.scratch.step)
	return c
}

type message interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

// appendMessage appends a field that holds a message.
func appendMessage(dst []byte, field protowire.Number, m message) []byte {
	size := m.SizeVT()
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	start := len(dst)
	for range size / 64 {
		dst = append(dst, zeros[:]...)
	}
	dst = append(dst, zeros[:size%64]...)
	n, err := m.MarshalToSizedBufferVT(dst[start:])
	if err != nil || n != size {
		panic("shard: a message did not encode to its size")
	}
	return dst
}

var zeros [64]byte

// sayOutcome puts a final outcome into the open batch.
func (s *Shard) sayOutcome(session world.SessionID, outcome *starlingv1.Outcome) {
	c := &s.scratch
	c.session.Session, c.session.Outcome = uint64(session), outcome
	s.open.outcomes = appendMessage(s.open.outcomes, 4, &c.session)
	s.open.dirty = true
}

// Sealed is a batch to append to the log.
type Sealed struct {
	Sequence uint64
	Data     []byte // an encoded clusterv1.Batch; may be kept
}

// lazyFor is how long a note that needs no haste may wait for company.
const lazyFor = 50 * time.Millisecond

// SealDue says whether Seal would close a batch: there is something to append,
// and none is in flight or still to be told.
func (s *Shard) SealDue(now time.Time) bool {
	b := s.open
	return !s.InFlight() && (b.dirty || !b.lazy.IsZero() && now.Sub(b.lazy) >= lazyFor)
}

// Seal closes the open batch if SealDue.
func (s *Shard) Seal(now time.Time) (sealed Sealed, ok bool) {
	if !s.SealDue(now) {
		return Sealed{}, false
	}
	b := s.open
	data := s.encode(b)
	s.flight, s.open, s.spare = b, s.spare, nil
	s.open.reset(b.sequence + 1)
	return Sealed{b.sequence, data}, true
}

// InFlight says whether a batch is sealed and not yet told.
func (s *Shard) InFlight() bool { return s.flight != nil || s.telling }

// encode writes the batch, and makes the bus messages, whose steps are parts of
// the same bytes.
func (s *Shard) encode(b *batch) []byte {
	b.record.Outgoing = b.parcels
	for _, mark := range b.marks {
		b.record.Watermarks = append(b.record.Watermarks, &clusterv1.Watermark{Source: world.ShardMessage(mark.source), Number: mark.number, Epoch: mark.epoch})
		mark.open = false
	}
	rest := b.record.SizeVT()
	size := rest + len(b.outcomes)
	for _, c := range b.cells {
		size += len(c.steps) + 32
	}
	data := make([]byte, 0, size)
	if len(b.cells) > 0 {
		b.messages = make([]pubsub.Message, 0, len(b.cells))
	}
	for _, c := range b.cells {
		inner := 9 + 1 + protowire.SizeBytes(len(c.steps))
		data = protowire.AppendTag(data, 1, protowire.BytesType)
		data = protowire.AppendVarint(data, uint64(inner))
		data = append(data, 1<<3|byte(protowire.Fixed64Type))
		data = binary.LittleEndian.AppendUint64(data, uint64(c.id))
		data = append(data, 2<<3|byte(protowire.BytesType))
		data = protowire.AppendVarint(data, uint64(len(c.steps)))
		start := len(data)
		data = append(data, c.steps...)
		b.messages = append(b.messages, pubsub.Message{
			Fence: s.fence(), Cell: c.id, From: c.sealed, Sequence: b.sequence, Events: c.events,
			Steps: data[start:len(data):len(data)], Arrived: c.arrived,
		})
		c.sealed, c.steps = b.sequence, c.steps[:0]
	}
	data = append(data, b.outcomes...)
	if rest > 0 {
		start := len(data)
		data = append(data, make([]byte, rest)...)
		if n, err := b.record.MarshalToSizedBufferVT(data[start:]); err != nil || n != rest {
			panic("shard: a batch did not encode to its size")
		}
	}
	return data
}

func (s *Shard) fence() pubsub.Fence {
	return pubsub.Fence{Shard: s.id, Epoch: s.tail.Epoch, Claim: s.tail.Claim}
}

// Release is what a committed batch lets go: first the messages to the bus, then
// the rest in order. The caller may keep the messages, not the slice Tells.
type Release struct {
	Messages []pubsub.Message
	Tells    []Tell
}

// Committed says that the batch in flight is in the log.
func (s *Shard) Committed() Release {
	b := s.flight
	s.flight = nil
	s.tail.Sequence = b.sequence
	for i, c := range b.cells {
		c.committed, c.told = b.sequence, b.messages[i].Events
		if c.digests == 0 {
			s.changed = append(s.changed, c)
		}
		c.digests = digestsPerChange
	}
	for _, out := range b.parcels {
		o := s.outboxes[world.ShardOf(out.Target)]
		o.committed = out.Number
		if !o.repeating {
			b.tells = append(b.tells, s.envelope(out))
		}
	}
	for _, mark := range b.marks {
		s.commitMark(mark, b)
	}
	release := Release{Messages: b.messages, Tells: b.tells}
	s.spare, s.telling = b, true
	return release
}

// Told says that everything that Committed gave has been told. Release.Tells is
// not valid any more.
func (s *Shard) Told() { s.told, s.telling = s.tail.Sequence, false }

// Reclaimed says that the shard was claimed anew and all that was committed
// appended again; a batch in flight is still to be appended, under the new tail.
func (s *Shard) Reclaimed(tail world.Tail) {
	s.tail.Epoch, s.tail.Claim = tail.Epoch, tail.Claim
	for _, c := range s.cells {
		c.sealed, c.committed = s.tail.Sequence, s.tail.Sequence
	}
	s.base = s.tail.Sequence
	if s.flight == nil {
		return
	}
	for i, c := range s.flight.cells {
		c.sealed = s.flight.sequence
		s.flight.messages[i].From = s.tail.Sequence
		s.flight.messages[i].Fence = s.fence()
	}
}
