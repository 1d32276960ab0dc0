package shard

import (
	"slices"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	"github.com/starling-vr/starling/world"
)

// transit is an entity on its way to another shard, until that has it.
type transit struct {
	state state      // as it left: position, version
	from  world.Cell // that it left, 0 if it was in none
	batch uint64     // in which it left
	shown bool       // a reader was told that it is here, frozen
}

// forwarding is the address that a departed session left behind.
type forwarding struct {
	to    world.ShardID
	since time.Time
	batch uint64 // in which it left
	moves uint32 // of the session then; 0 after a load
}

// handOver sends entities whose new position lies in other shards there, each
// with what it holds and with the session whose avatar it is.
func (s *Shard) handOver(leaving []*entity) {
	for _, e := range leaving {
		if e.holder != 0 && slices.ContainsFunc(leaving, func(h *entity) bool { return h.id == e.holder }) {
			continue // goes with its holder
		}
		to := s.config.Map.Shard(s.id.Place, e.cell)
		parcel := &clusterv1.HandOver{Entities: []*clusterv1.EntityRecord{s.depart(e)}}
		for _, held := range e.holds {
			parcel.Entities = append(parcel.Entities, s.depart(held))
		}
		x := s.sessionOf(e)
		if x != nil {
			x.moves++
			parcel.Session = x.record()
		}
		s.send(to, &clusterv1.Parcel{Is: &clusterv1.Parcel_HandOver{HandOver: parcel}})
		if x != nil {
			s.departSession(x, to)
		}
	}
}

// depart takes an entity out of the shard. Its record has the next hand-over count.
func (s *Shard) depart(e *entity) *clusterv1.EntityRecord {
	t := &transit{state: e.state, batch: s.open.sequence}
	for i := len(s.open.undo) - 1; i >= 0; i-- {
		if u := &s.open.undo[i]; u.entity == e {
			if u.was.exists {
				t.from = u.was.cell
			}
			break
		}
	}
	s.transits[e.id] = t
	record := e.record()
	record.Left = uint64(t.from)
	record.Update.Version.Handovers++
	e.away = true
	e.unlist()
	delete(s.entities, e.id)
	return record
}

func (s *Shard) departSession(x *session, to world.ShardID) {
	f := forwarding{to: to, batch: s.open.sequence, moves: x.moves}
	s.forwarding[x.id] = f
	s.open.record.SessionsClosed = append(s.open.record.SessionsClosed, &clusterv1.SessionClosed{
		Session: uint64(x.id), Why: clusterv1.SessionClosed_MOVED, ForwardTo: world.ShardMessage(to),
	})
	delete(s.sessions, x.id)
	for i := range x.waiting {
		s.movedTo(&x.waiting[i].Act, f)
	}
	x.waiting = nil
}

func (x *session) record() *clusterv1.SessionOpened {
	opened := &clusterv1.SessionOpened{
		Session: uint64(x.id), Participant: x.participant, Gateway: x.gateway, Scopes: x.scopes,
		Last: x.last, Generation: x.generation, Moves: x.moves, Attachment: x.attachment,
	}
	if x.avatar != nil {
		opened.Avatar = uint64(x.avatar.id)
	}
	for _, out := range x.remembered.since(0) {
		opened.Remembered = append(opened.Remembered, &clusterv1.SessionOutcome{Session: uint64(x.id), Outcome: out})
	}
	return opened
}

// accepted forgets an entry that its target has.
func (s *Shard) accepted(out *clusterv1.Outgoing) {
	for _, record := range handedOver(out.Parcel) {
		id := world.EntityID(record.GetUpdate().GetEntity())
		t := s.transits[id]
		if t == nil || t.state.version.Handovers+1 != record.GetUpdate().GetVersion().GetHandovers() {
			continue
		}
		s.endTransit(id, t)
	}
}

// endTransit forgets that an entity was on its way. Whoever read the cell that
// it left meanwhile has it there, frozen, and is told that it is not.
func (s *Shard) endTransit(id world.EntityID, t *transit) {
	delete(s.transits, id)
	if t.shown && t.from != 0 {
		gone := t.state
		gone.version = s.version(gone.version.Handovers)
		s.sayUpdate(t.from, &entity{id: id}, &gone, starlingv1.Change_LEFT, false, gone.cell, cause{})
	}
}

func handedOver(p *clusterv1.Parcel) []*clusterv1.EntityRecord {
	if h := p.GetHandOver(); h != nil {
		return h.Entities
	}
	return p.GetOutcome().GetGrabbed().GetEntities()
}

// arrive takes in what another shard handed over.
func (s *Shard) arrive(now time.Time, h *clusterv1.HandOver) {
	s.begin(now, nil, time.Time{})
	for _, record := range h.GetEntities() {
		id, st := readRecord(record)
		if s.entities[st.holder] == nil { // a holder comes before what it holds
			st.holder = 0
		}
		s.admit(id, st)
	}
	if opened := h.GetSession(); opened != nil {
		s.admitSession(now, opened)
	}
	s.bounce()
}

// readRecord reads an entity out of a parcel. Parcels are not changed: within a
// process the sender has the same one in its outbox.
func readRecord(record *clusterv1.EntityRecord) (world.EntityID, state) {
	return world.EntityID(record.GetUpdate().GetEntity()), stateOf(record)
}

// admit gives an entity its home here.
func (s *Shard) admit(id world.EntityID, st state) {
	if s.entities[id] != nil {
		return // cannot be: an entity has one home
	}
	e := &entity{id: id, state: st}
	e.version = s.version(st.version.Handovers)
	s.note(e)
	s.entities[id] = e
	if t := s.transits[id]; t != nil {
		s.endTransit(id, t) // it came back before the acknowledgement of its leaving
	}
	s.list(e)
	s.giveToHolder(e)
	if e.in != nil {
		s.sayUpdate(e.cell, e, &e.state, starlingv1.Change_ENTERED, true, 0, cause{})
		s.sayOwnership(e)
	}
}

// note says that an entity was not here before, for readers of the committed image.
func (s *Shard) note(e *entity) {
	e.touched = s.action
	s.open.undo = append(s.open.undo, undo{entity: e})
}

// bounce hands on what arrived in this run but does not belong here.
func (s *Shard) bounce() {
	var leaving []*entity
	for i := s.call.undoFrom; i < len(s.open.undo); i++ {
		if e := s.open.undo[i].entity; e.exists && e.in == nil && s.entities[e.id] == e {
			leaving = append(leaving, e)
		}
	}
	if leaving != nil {
		s.handOver(leaving)
	}
}

func (s *Shard) admitSession(now time.Time, opened *clusterv1.SessionOpened) {
	x := sessionFrom(opened)
	x.avatar = s.entities[world.EntityID(opened.Avatar)]
	if x.avatar == nil || s.sessions[x.id] != nil {
		return // cannot be: an avatar and its session travel together
	}
	x.renewed, x.lastBatch = now, s.open.sequence
	s.sessions[x.id] = x
	delete(s.forwarding, x.id)
	delete(s.unknown, x.id)
	s.open.record.SessionsOpened = append(s.open.record.SessionsOpened, &clusterv1.SessionOpened{
		Session: opened.Session, Participant: opened.Participant, Avatar: opened.Avatar, Gateway: opened.Gateway, Scopes: opened.Scopes,
		Last: opened.Last, Remembered: opened.Remembered, Arrived: true, Generation: opened.Generation, Moves: opened.Moves,
		Attachment: opened.Attachment,
	})
	s.register(x, false)
	notice := &clusterv1.SessionNotice{Session: uint64(x.id), Shard: world.ShardMessage(s.id), Epoch: s.tail.Epoch, Arrived: true, Cell: uint64(x.avatar.cell), Moves: x.moves}
	s.open.tells = append(s.open.tells, Tell{Gateway: x.gateway, Notice: notice})
	s.arrivedSession(now, x)
}

func sessionFrom(opened *clusterv1.SessionOpened) *session {
	x := &session{
		id: world.SessionID(opened.GetSession()), participant: opened.GetParticipant(), scopes: opened.GetScopes(),
		gateway: opened.GetGateway(), generation: opened.GetGeneration(), moves: opened.GetMoves(), last: opened.GetLast(),
		attachment: opened.GetAttachment(),
	}
	for _, r := range opened.GetRemembered() {
		if r.GetOutcome() != nil {
			x.remembered.put(r.Outcome)
		}
	}
	return x
}
