// Package shard is one shard of the world as a pure state machine: no clock, no
// sockets, no store. Messages and the time go in; out come batches to append to
// the shard's log (Seal), and what may be told once they are committed
// (Committed) or at once (Immediate).
//
// The caller's duties, in this order: append what Seal gave; when that is
// committed, call Committed and publish its messages to the bus, then tell the
// rest in order; then call Told, and tell what Immediate gives. After each other
// input, tell what Immediate gives. Seal gives nothing while a batch is in
// flight. A shard is not safe for use by several goroutines at a time.
package shard

import (
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// Config is what a shard needs to know.
type Config struct {
	Shard     world.ShardID
	Map       world.ShardMap
	Node      string // id of this process, for replies to parcels
	Limits    Limits
	Functions func(name string) *Function // nil: no such function
	NewID     func() uint64               // random, never 0
}

// Shard is the state of one shard.
type Shard struct {
	id     world.ShardID
	config Config
	limits Limits

	tail world.Tail // the last claim, and the last committed batch
	base uint64     // where all cells stood when it was loaded
	told uint64     // the last batch that was told

	entities      map[world.EntityID]*entity
	cells         map[world.Cell]*cell
	sessions      map[world.SessionID]*session
	forwarding    map[world.SessionID]forwarding
	ended         map[world.SessionID]ended // a short while ago
	outboxes      map[world.ShardID]*outbox
	watermarks    map[world.ShardID]*watermark
	registrations map[string]*registration
	attachments   uint64 // the last number that the register gave to a claim
	transits      map[world.EntityID]*transit
	place         *clusterv1.PlaceChange // of a place's shard; nil: never created
	strangers     map[world.SessionID]*stranger
	strangeActs   int
	unknown       map[world.SessionID]time.Time // renewed but not here, since when

	open      *batch // what runs now adds to it
	flight    *batch // sealed, its append under way
	spare     *batch
	telling   bool   // between Committed and Told
	action    uint64 // counts runs of functions and other changes, for undo
	immediate []delayed
	call      Call
	scratch   scratch

	nextPresence, nextDigest, nextResend time.Time
	nextExpiry                           time.Time // of actions that wait; zero: none do
	owing                                bool      // there may be something in an outbox
	changed                              []*cell   // to be named in digests
	actions                              uint64
	failures                             []string
}

// New makes an empty shard whose log ends at tail (the claim made for it).
func New(config Config, tail world.Tail) *Shard {
	s := &Shard{
		id: config.Shard, config: config, limits: config.Limits.WithDefaults(),
		tail: tail, base: tail.Sequence, told: tail.Sequence,
		entities:      make(map[world.EntityID]*entity),
		cells:         make(map[world.Cell]*cell),
		sessions:      make(map[world.SessionID]*session),
		forwarding:    make(map[world.SessionID]forwarding),
		ended:         make(map[world.SessionID]ended),
		outboxes:      make(map[world.ShardID]*outbox),
		watermarks:    make(map[world.ShardID]*watermark),
		registrations: make(map[string]*registration),
		transits:      make(map[world.EntityID]*transit),
		strangers:     make(map[world.SessionID]*stranger),
		unknown:       make(map[world.SessionID]time.Time),
	}
	s.open, s.spare = &batch{sequence: tail.Sequence + 1}, &batch{}
	s.call.shard = s
	return s
}

// ID is the shard's.
func (s *Shard) ID() world.ShardID { return s.id }

// Tail is the last claim and the last committed batch.
func (s *Shard) Tail() world.Tail { return s.tail }

// Statistics of a shard.
type Statistics struct {
	Sessions, Entities, Cells int
	Outbox                    int    // parcels not yet acknowledged
	Actions                   uint64 // final outcomes since it was loaded
}

// Statistics tells how much is in the shard.
func (s *Shard) Statistics() Statistics {
	st := Statistics{Sessions: len(s.sessions), Entities: len(s.entities), Cells: len(s.cells), Actions: s.actions}
	for _, o := range s.outboxes {
		st.Outbox += len(o.entries)
	}
	return st
}

// Idle says whether nothing in the shard is under way or needs time to pass:
// no session, no parcel, no batch.
func (s *Shard) Idle() bool {
	if len(s.sessions) > 0 || len(s.strangers) > 0 || s.flight != nil || s.open.dirty || len(s.immediate) > 0 || len(s.forwarding) > 0 {
		return false
	}
	for _, o := range s.outboxes {
		if len(o.entries) > 0 {
			return false
		}
	}
	return true
}

// Tell is one thing to be told. Exactly one of the pointers is set.
type Tell struct {
	Gateway string // to whom; "" for parcels and acknowledgements
	Target  world.ShardID
	Arrived time.Time // of the action that Outcome answers

	Outcome  *clusterv1.RoutedOutcome
	Reply    *clusterv1.ControlReply
	NotMine  *clusterv1.NotMine
	Notice   *clusterv1.SessionNotice
	Baseline *pubsub.Message
	Parcel   *clusterv1.ParcelEnvelope // to Target
	Ack      *clusterv1.ParcelAck      // to Target
}

type delayed struct {
	after uint64 // the batch that must have been told before
	tell  Tell
}

// soon tells t as soon as batch after has been told.
func (s *Shard) soon(after uint64, t Tell) {
	s.immediate = append(s.immediate, delayed{after, t})
}

// Immediate appends to dst what may be told now.
func (s *Shard) Immediate(dst []Tell) []Tell {
	if len(s.immediate) == 0 {
		return dst
	}
	kept := s.immediate[:0]
	for _, d := range s.immediate {
		if d.after <= s.told {
			dst = append(dst, d.tell)
		} else {
			kept = append(kept, d)
		}
	}
	clear(s.immediate[len(kept):])
	s.immediate = kept
	return dst
}

// newest is the last batch with anything in it that is not yet told; what is
// read from the image now may depend on it.
func (s *Shard) newest() uint64 {
	switch {
	case s.open.dirty:
		return s.open.sequence
	case s.flight != nil:
		return s.flight.sequence
	}
	return s.tail.Sequence
}
