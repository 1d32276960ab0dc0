package shard

import (
	"fmt"
	"slices"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/world"
)

// snapshotFormat is the version of Snapshot that this code writes.
const snapshotFormat = 1

// Snapshot encodes the state as of the last sealed batch. It may only be called
// right after Seal or Committed, before anything else runs: ok is false if the
// open batch has something in it.
func (s *Shard) Snapshot() (at uint64, data []byte, ok bool) {
	if s.open.dirty || len(s.open.undo) > 0 || !s.open.lazy.IsZero() {
		return 0, nil, false
	}
	data, err := s.snapshot().MarshalVT()
	if err != nil {
		panic("shard: the snapshot did not encode: " + err.Error())
	}
	return s.open.sequence - 1, data, true
}

func (s *Shard) snapshot() *clusterv1.Snapshot {
	m := &clusterv1.Snapshot{Format: snapshotFormat, Place: s.place}
	for _, e := range s.entities {
		m.Entities = append(m.Entities, e.record())
	}
	for _, x := range s.sessions {
		m.Sessions = append(m.Sessions, x.record())
		if x.pending != nil {
			m.Pending = append(m.Pending, &clusterv1.PendingForward{Session: uint64(x.id), Number: x.pending.number, Target: world.ShardMessage(x.pending.target)})
		}
	}
	for id, f := range s.forwarding {
		m.Forwarding = append(m.Forwarding, &clusterv1.Forwarding{Session: uint64(id), To: world.ShardMessage(f.to)})
	}
	for target, o := range s.outboxes {
		id := world.ShardMessage(target)
		m.Sent = append(m.Sent, &clusterv1.SentMark{Target: id, Number: o.sent, Epoch: o.epoch})
		m.Delivered = append(m.Delivered, &clusterv1.Delivered{Target: id, Number: o.delivered})
		m.Outgoing = append(m.Outgoing, o.entries...)
	}
	for source, w := range s.watermarks {
		m.Watermarks = append(m.Watermarks, &clusterv1.Watermark{Source: world.ShardMessage(source), Number: w.number, Epoch: w.epoch})
	}
	for _, r := range s.registrations {
		m.Registrations = append(m.Registrations, r.message)
	}
	for id, c := range s.cells {
		if c.events > 0 {
			m.Events = append(m.Events, &clusterv1.CellEvents{Cell: uint64(id), Events: c.events})
		}
	}
	sortSnapshot(m)
	return m
}

// sortSnapshot makes equal states equal snapshots (but for the order of
// attributes), for those who compare them.
func sortSnapshot(m *clusterv1.Snapshot) {
	slices.SortFunc(m.Entities, func(a, b *clusterv1.EntityRecord) int { return compare(a.Update.Entity, b.Update.Entity) })
	slices.SortFunc(m.Sessions, func(a, b *clusterv1.SessionOpened) int { return compare(a.Session, b.Session) })
	slices.SortFunc(m.Pending, func(a, b *clusterv1.PendingForward) int { return compare(a.Session, b.Session) })
	slices.SortFunc(m.Forwarding, func(a, b *clusterv1.Forwarding) int { return compare(a.Session, b.Session) })
	slices.SortFunc(m.Sent, func(a, b *clusterv1.SentMark) int { return compareShards(a.Target, b.Target) })
	slices.SortFunc(m.Delivered, func(a, b *clusterv1.Delivered) int { return compareShards(a.Target, b.Target) })
	slices.SortFunc(m.Outgoing, func(a, b *clusterv1.Outgoing) int {
		if c := compareShards(a.Target, b.Target); c != 0 {
			return c
		}
		return compare(a.Number, b.Number)
	})
	slices.SortFunc(m.Watermarks, func(a, b *clusterv1.Watermark) int { return compareShards(a.Source, b.Source) })
	slices.SortFunc(m.Events, func(a, b *clusterv1.CellEvents) int { return compare(a.Cell, b.Cell) })
	slices.SortFunc(m.Registrations, func(a, b *clusterv1.Registration) int {
		switch {
		case a.Participant < b.Participant:
			return -1
		case a.Participant > b.Participant:
			return 1
		}
		return 0
	})
}

func compareShards(a, b *clusterv1.ShardId) int {
	if c := compare(a.GetPlace(), b.GetPlace()); c != 0 {
		return c
	}
	return compare(a.GetCell(), b.GetCell())
}

// Load makes a shard from its snapshot (nil: none) at sequence at and the log's
// entries after it. tail is the claim made for it; it must be where the entries end.
func Load(config Config, tail world.Tail, at uint64, snapshot []byte, entries []world.Entry, now time.Time) (*Shard, error) {
	s := New(config, tail)
	if snapshot != nil {
		m := new(clusterv1.Snapshot)
		if err := m.UnmarshalVT(snapshot); err != nil {
			return nil, fmt.Errorf("snapshot of shard %v: %w", config.Shard, err)
		}
		if m.Format != snapshotFormat {
			return nil, fmt.Errorf("snapshot of shard %v has format %d; this version reads %d", config.Shard, m.Format, snapshotFormat)
		}
		s.restore(m)
	}
	for _, entry := range entries {
		at++
		if entry.Sequence != at {
			return nil, fmt.Errorf("log of shard %v: batch %d where %d should be", config.Shard, entry.Sequence, at)
		}
		b := new(clusterv1.Batch)
		if err := b.UnmarshalVT(entry.Data); err != nil {
			return nil, fmt.Errorf("batch %d of shard %v: %w", at, config.Shard, err)
		}
		s.replay(b)
	}
	if at != tail.Sequence {
		return nil, fmt.Errorf("log of shard %v ends at %d, its tail is %d", config.Shard, at, tail.Sequence)
	}
	s.loaded(now)
	return s, nil
}

func (s *Shard) restore(m *clusterv1.Snapshot) {
	s.place = m.Place
	for _, r := range m.Entities {
		if r.GetUpdate() == nil {
			continue
		}
		id := world.EntityID(r.Update.Entity)
		s.entities[id] = &entity{id: id, state: stateOf(r)}
	}
	for _, opened := range m.Sessions {
		s.replayOpened(opened)
	}
	for _, p := range m.Pending {
		if x := s.sessions[world.SessionID(p.Session)]; x != nil {
			x.pending = &pending{number: p.Number, target: world.ShardOf(p.Target)}
		}
	}
	for _, f := range m.Forwarding {
		s.forwarding[world.SessionID(f.Session)] = forwarding{to: world.ShardOf(f.To)}
	}
	for _, sent := range m.Sent {
		o := s.outbox(world.ShardOf(sent.Target))
		o.sent, o.epoch = sent.Number, sent.Epoch
	}
	for _, d := range m.Delivered {
		s.outbox(world.ShardOf(d.Target)).delivered = d.Number
	}
	for _, out := range m.Outgoing {
		s.replayOutgoing(out)
	}
	for _, w := range m.Watermarks {
		s.replayWatermark(w)
	}
	for _, r := range m.Registrations {
		s.keepRegistration(time.Time{}, r)
	}
	for _, of := range m.Events {
		s.cell(world.Cell(of.GetCell())).events = of.GetEvents()
	}
}

// loaded finishes what the log does not tell.
func (s *Shard) loaded(now time.Time) {
	for _, e := range s.entities {
		s.list(e)
		s.giveToHolder(e)
	}
	for _, c := range s.cells {
		c.told = c.events
	}
	for _, x := range s.sessions {
		x.renewed = now
	}
	for id, f := range s.forwarding {
		f.since = now
		s.forwarding[id] = f
	}
	for _, o := range s.outboxes {
		o.committed = o.sent
		o.pause = firstRepeat // due at once
		s.owing = s.owing || len(o.entries) > 0
	}
	for _, w := range s.watermarks {
		w.committed, w.settled = w.number, w.epoch
	}
	for _, e := range s.entities {
		if x := s.sessions[e.session]; x != nil && e.kind != AvatarKind {
			x.spawned++
		}
	}
	s.nextPresence = now.Add(presenceEvery)
}
