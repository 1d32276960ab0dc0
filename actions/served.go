package actions

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/pubsub"
	"github.com/starling-vr/starling/world"
)

// served is a shard that this process serves, is loading, or is letting go.
//
// Actions run on the scheduler's workers, one at a time. Who leaves its key tells
// the log that there is something to append (seal); when the log gets to it, it asks
// for all that ran until then (sealNow); who ends the append there tells what the
// batch says and goes on with the next (appended). Its goroutine (serve) loads it, deals with
// appends that failed, and lets it go. mu guards the machine between them; it is
// never held over a call of the log. speaking orders what is published; it is
// taken before mu.
type served struct {
	host  *Host
	id    world.ShardID
	key   *invoke.Key
	since time.Time

	mu      sync.Mutex
	machine *shard.Shard // nil while loading and when gone
	stale   bool         // the lease was lost since the claim that is being loaded
	tells   []shard.Tell // scratch
	active  time.Time    // when something other than time last came in

	gate    sync.Mutex
	loading bool
	leaving bool
	waiting []*work
	onGone  []func()

	speaking  sync.Mutex
	flight    shard.Sealed // the batch that is being appended
	began     time.Time    // when that was begun
	appending world.Append // its append; of who has the flight, the log's while submitted
	submitted bool         // the log is to ask for a batch; under mu
	sealed    atomic.Bool  // it has one
	unsettled chan error   // at most one: why the flight could not be told at once
	leaveSoon atomic.Bool  // the goroutine is to be woken when the flight ends

	wake    chan struct{} // release was asked for
	retry   chan struct{} // loading may succeed now
	gone    chan struct{} // closed when it is not served any more
	ticking atomic.Bool
	tick    work
	misses  atomic.Uint64
	lost    atomic.Bool // another's by now: see Host.Verify

	kept          []shard.Sealed               // the last committed batches
	before        world.Tail                   // whose history the first claim went on with
	claims        []world.Tail                 // as they were made, since it was loaded
	sinceSnapshot struct{ batches, bytes int } // under mu
	due           *dueSnapshot                 // under mu
	writing       atomic.Bool                  // a snapshot
	moved         time.Time                    // when its assignment was last looked at
}

func newServed(h *Host, id world.ShardID) *served {
	s := &served{
		host: h, id: id, since: h.options.Clock(), loading: true,
		unsettled: make(chan error, 1), wake: make(chan struct{}, 1), gone: make(chan struct{}),
		retry: make(chan struct{}, 1), active: h.options.Clock(),
	}
	s.appending.Shard, s.appending.Seal, s.appending.Done = id, s.sealNow, s.appended
	s.key = h.keys.Open(s)
	return s
}

// take brings work in. While the shard loads it waits, up to a bound.
func (s *served) take(w *work) {
	s.gate.Lock()
	switch {
	case s.leaving:
		s.gate.Unlock()
		s.host.notMine(s.id, w, true)
	case s.loading && w.kind == kindRenew && len(w.renew.GetSessions()) == 0:
		s.gate.Unlock() // the holder's word that it let the shard go
		w.done()
		s.tryAgain()
	case s.loading && len(s.waiting) < s.host.options.Waiting:
		s.waiting = append(s.waiting, w)
		s.gate.Unlock()
	case s.loading:
		s.gate.Unlock()
		s.host.notMine(s.id, w, true)
	default:
		s.gate.Unlock()
		s.submit(w)
	}
}

// run does one piece of work, on a worker.
func (s *served) run(w *work) {
	now := s.host.options.Clock()
	s.mu.Lock()
	m := s.machine
	if m == nil {
		s.mu.Unlock()
		if w.kind == kindTick {
			s.ticking.Store(false)
			return
		}
		s.host.notMine(s.id, w, true)
		return
	}
	if w.kind != kindTick {
		s.active = now
	}
	var digest pubsub.Digest
	var digestDue bool
	switch w.kind {
	case kindAct:
		if !w.act.Deadline.IsZero() && now.After(w.act.Deadline) {
			s.misses.Add(1)
		}
		m.Act(now, &w.act)
	case kindRefusal:
		code, message := refusalCode(w.refusal)
		m.Refuse(&w.act, code, max(w.refusal.RetryAfter, time.Millisecond), message)
	case kindControl:
		m.Control(now, w.gateway, w.control)
	case kindRenew:
		m.Renew(now, w.renew)
	case kindRead:
		m.ReadCell(w.gateway, w.read)
	case kindParcel:
		m.Parcel(now, w.parcel)
	case kindAck:
		m.ParcelAck(now, w.ack)
	case kindTick:
		digest, digestDue = m.Tick(now)
	}
	failures := m.Failures()
	s.tellImmediate()
	s.mu.Unlock()
	for _, failure := range failures {
		s.host.metrics.failures.Inc()
		s.host.options.Logger.Error("a function failed", "shard", s.id.String(), "failure", failure)
	}
	if digestDue {
		s.sayDigest(digest)
	}
	if w.kind == kindTick {
		s.ticking.Store(false)
		return
	}
	w.done()
}

// seal is called when a worker leaves the key: the log is told that there is
// something to append, unless it knows.
func (s *served) seal() {
	now := s.host.options.Clock()
	s.mu.Lock()
	due := s.submitLocked(now)
	s.mu.Unlock()
	if due {
		s.host.appender.Submit(&s.appending)
	}
}

// submitLocked says whether the append is to be submitted now. The caller holds mu.
func (s *served) submitLocked(now time.Time) bool {
	if s.submitted || s.machine == nil || !s.machine.SealDue(now) {
		return false
	}
	s.submitted = true
	s.sealed.Store(false)
	return true
}

// sealNow is world.Append.Seal. Where a function runs right now, that is waited for
// only if nobody else waits with it.
func (s *served) sealNow(_ *world.Append, wait bool) world.Sealing {
	if s.sealed.Load() {
		return world.Sealed
	}
	if wait {
		s.mu.Lock()
	} else if !s.mu.TryLock() {
		return world.NotYet
	}
	defer s.mu.Unlock()
	if !s.sealLocked(s.host.options.Clock()) { // the process ends
		s.submitted = false
		return world.Withdrawn
	}
	s.sealed.Store(true)
	return world.Sealed
}

// sealLocked makes what ran the flight. The caller holds mu.
func (s *served) sealLocked(now time.Time) bool {
	if s.machine == nil {
		return false
	}
	sealed, ok := s.machine.Seal(now)
	if !ok {
		return false
	}
	s.takeSnapshot(sealed)
	s.flight = sealed
	s.appending.Expect, s.appending.Batch = s.machine.Tail(), sealed.Data
	s.began = now
	return true
}

// tickSoon lets time pass in the shard if something is due there.
func (s *served) tickSoon(now time.Time) {
	if s.ticking.Load() || !s.mu.TryLock() {
		return
	}
	due := s.machine != nil && s.machine.TickDue(now)
	idle := s.machine != nil && now.Sub(s.active) > s.host.options.UnloadAfter && s.machine.Idle()
	s.mu.Unlock()
	switch {
	case idle:
		s.release(nil)
	case due:
		s.tickNow()
	}
	s.reconsider(now)
}

// tickNow lets time pass in the shard, unless a tick is under way already.
func (s *served) tickNow() {
	if !s.ticking.CompareAndSwap(false, true) {
		return
	}
	s.tick.kind, s.tick.shard = kindTick, s
	s.tick.invocation = invoke.Invocation{Key: s.key, Payload: &s.tick}
	if s.host.own.shards.Submit(&s.tick.invocation) != nil {
		s.ticking.Store(false)
	}
}

// reconsider lets the shard go if another owner should serve it by now.
func (s *served) reconsider(now time.Time) {
	if now.Sub(s.moved) < time.Second {
		return
	}
	s.moved = now
	assignment := s.host.options.Assignment
	if owner := assignment.Owner(s.id); owner != "" && owner != s.host.options.Node && assignment.Alive(owner) {
		s.release(nil)
	}
}

func (s *served) status() ShardStatus {
	st := ShardStatus{Shard: s.id, State: "serving", Since: s.since, Misses: s.misses.Load()}
	s.gate.Lock()
	if s.loading {
		st.State = "loading"
	} else if s.leaving {
		st.State = "releasing"
	}
	s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine != nil {
		tail, counts := s.machine.Tail(), s.machine.Statistics()
		st.Epoch, st.Sequence = tail.Epoch, tail.Sequence
		st.Participants, st.Entities, st.Outbox, st.Actions = counts.Sessions, counts.Entities, counts.Outbox, counts.Actions
	}
	return st
}

// ageMicros is an age for the wire.
func ageMicros(now, arrived time.Time) uint32 {
	if arrived.IsZero() {
		return 0
	}
	return uint32(min(max(now.Sub(arrived).Microseconds(), 0), math.MaxUint32))
}
