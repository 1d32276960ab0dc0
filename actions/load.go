package actions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/starling-vr/starling/actions/shard"
	"github.com/starling-vr/starling/world"
)

// Back-off between attempts at the log.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = 250 * time.Millisecond
	heldRetry  = 100 * time.Millisecond // while another live owner holds the shard
)

// serve is the life of a shard in this process.
func (s *served) serve() {
	defer s.host.forget(s)
	if s.load() {
		s.commitAll()
	}
}

// load claims the shard and reads its log, again and again until it can or the
// shard is not this process's any more.
func (s *served) load() bool {
	began := s.host.options.Clock()
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		machine, err := s.claim()
		if errors.Is(err, errNeverMade) {
			s.answerEmpty()
			return false
		}
		if err == nil && s.begin(machine) {
			s.host.metrics.load.Observe(s.host.options.Clock().Sub(began).Seconds())
			s.start(machine)
			return true
		}
		if err == nil {
			continue
		}
		s.host.metrics.logFails.Inc()
		level := slog.LevelWarn
		if errors.Is(err, errHeld) {
			level = slog.LevelInfo // so it is while shards are handed over
		}
		s.host.options.Logger.Log(s.host.ctx, level, "cannot load a shard yet", "shard", s.id.String(), "error", err)
		if errors.Is(err, errHeld) {
			retry = min(retry, heldRetry)
		}
		if !s.pauseLoading(retry) || s.isLeaving() || s.host.options.Assignment.Owner(s.id) != s.host.options.Node {
			return false
		}
	}
}

// pause waits; false means that the Host is being closed.
func (s *served) pause(d time.Duration) bool { return s.host.pause(d) }

// pauseLoading is pause, cut short when the shard is to be let go and when
// loading may succeed now.
func (s *served) pauseLoading(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.wake:
		return true
	case <-s.retry:
		return true
	case <-s.host.ctx.Done():
		return false
	}
}

func (s *served) isLeaving() bool {
	s.gate.Lock()
	defer s.gate.Unlock()
	return s.leaving
}

// calling bounds one call of the log.
func (s *served) calling() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(s.host.ctx), s.host.options.LogTimeout)
}

// claim makes this process the shard's owner and loads the shard.
func (s *served) claim() (*shard.Shard, error) {
	atLeast, err := s.askHolder()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.stale = false
	s.mu.Unlock()
	ctx, cancel := s.calling()
	defer cancel()
	log := s.host.options.Log
	tail, err := log.Claim(ctx, s.id, s.host.options.Node, s.host.newID(), atLeast)
	if err != nil {
		return nil, err
	}
	at, snapshot, err := log.Snapshot(ctx, s.id)
	if err != nil {
		return nil, err
	}
	entries, err := s.read(at+1, tail.Sequence)
	if err != nil {
		return nil, err
	}
	s.claims = append(s.claims[:0], tail)
	s.kept = s.kept[:0]
	for _, entry := range entries[max(0, len(entries)-s.host.options.KeptBatches):] {
		s.kept = append(s.kept, shard.Sealed{Sequence: entry.Sequence, Data: entry.Data})
	}
	return shard.Load(s.config(), tail, at, snapshot, entries, s.host.options.Clock())
}

func (s *served) config() shard.Config {
	o := &s.host.options
	return shard.Config{
		Shard: s.id, Map: o.Map, Node: o.Node, Limits: o.Limits,
		Functions: o.Registry.lookup, NewID: s.host.newID,
	}
}

const readAtOnce = 1024 // entries

func (s *served) read(from, to uint64) ([]world.Entry, error) {
	var all []world.Entry
	for from <= to {
		ctx, cancel := s.calling()
		entries, err := s.host.options.Log.Read(ctx, s.id, from, readAtOnce)
		cancel()
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			return nil, fmt.Errorf("the log of shard %v has no batch %d, its tail is %d", s.id, from, to)
		}
		all = append(all, entries...)
		from = entries[len(entries)-1].Sequence + 1
	}
	return all, nil
}

// errNeverMade: nobody ever made the place, and nobody is about to. Asking for
// places that do not exist must leave nothing in the store.
var errNeverMade = errors.New("the place was never made")

// hasParcel says whether another shard waits for this one; so places are made.
func (s *served) hasParcel() bool {
	s.gate.Lock()
	defer s.gate.Unlock()
	return slices.ContainsFunc(s.waiting, func(w *work) bool { return w.kind == kindParcel })
}

// answerEmpty answers those who wait as a shard with nothing in it does.
func (s *served) answerEmpty() {
	s.gate.Lock()
	s.leaving = true
	waiting := s.waiting
	s.waiting = nil
	s.gate.Unlock()
	now := s.host.options.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine = shard.New(s.config(), world.Tail{})
	for _, w := range waiting {
		switch w.kind {
		case kindControl:
			s.machine.Control(now, w.gateway, w.control)
			w.done()
		case kindRead:
			s.machine.ReadCell(w.gateway, w.read)
			w.done()
		default:
			s.host.notMine(s.id, w, true)
		}
	}
	s.tellImmediate()
}

var errHeld = errors.New("another live owner holds the shard")

// askHolder asks who holds the shard to let it go, if that is alive. The claim is
// to be above the epoch that it gives.
func (s *served) askHolder() (atLeast uint32, err error) {
	ctx, cancel := s.calling()
	defer cancel()
	holder, err := s.host.options.Log.Tail(ctx, s.id)
	if err != nil {
		return 0, err
	}
	s.before = holder.Tail
	if s.id.IsPlace() && holder.Epoch == 0 && !s.hasParcel() {
		return 0, errNeverMade
	}
	if holder.Epoch == 0 {
		return world.FirstEpoch(s.host.options.Clock()), nil
	}
	assignment := s.host.options.Assignment
	if holder.Owner == "" || holder.Owner == s.host.options.Node || !assignment.Alive(holder.Owner) {
		return 0, nil
	}
	released := make(chan bool, 1)
	assignment.RequestRelease(holder.Owner, s.id, func(ok bool) { released <- ok })
	select {
	case ok := <-released:
		if !ok && assignment.Alive(holder.Owner) {
			return 0, fmt.Errorf("%w: %s", errHeld, holder.Owner)
		}
		return 0, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %s does not answer", errHeld, holder.Owner)
	}
}

// begin makes what was loaded the shard, unless the lease was lost since it was
// claimed: then another may have it.
func (s *served) begin(machine *shard.Shard) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale {
		return false
	}
	s.machine = machine
	return true
}

// start begins to serve what was loaded.
func (s *served) start(machine *shard.Shard) {
	s.mu.Lock()
	digest := machine.WholeDigest(s.host.options.Clock())
	s.mu.Unlock()
	s.host.options.Bus.PublishDigest(digest)
	for {
		s.gate.Lock()
		waiting := s.waiting
		s.waiting = nil
		if len(waiting) == 0 {
			s.loading = false
			s.gate.Unlock()
			return
		}
		s.gate.Unlock()
		for _, w := range waiting {
			s.submit(w)
		}
	}
}

// forget ends the serving of a shard.
func (h *Host) forget(s *served) {
	s.gate.Lock()
	s.leaving = true
	waiting := s.waiting
	s.waiting = nil
	s.gate.Unlock()
	s.mu.Lock()
	s.machine = nil
	s.mu.Unlock()
	h.shards.CompareAndDelete(s.id, s)
	s.key.Close()
	close(s.gone)
	for _, w := range waiting {
		h.notMine(s.id, w, true)
	}
	s.gate.Lock()
	onGone := s.onGone
	s.onGone = nil
	s.gate.Unlock()
	for _, done := range onGone {
		done()
	}
}
