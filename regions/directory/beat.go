package directory

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// beater is the goroutine that renews and reads.
type beater struct {
	*Member
	judge   *judge
	deaths  map[string]time.Duration // when those now dead were found so
	version uint64
}

// enter reads the table until no other process has our id, and then writes our
// own record.
func (b *beater) enter(ctx context.Context) error {
	b.deaths = map[string]time.Duration{}
	var seen *Record
	for {
		sent := b.clock()
		listing, err := b.beat(ctx, nil)
		if err == nil {
			b.judge.read(sent, b.clock(), listing.Records)
			s := b.judge.nodes[b.own.ID]
			switch {
			case seen != nil && s != nil && (s.record.Counter != seen.Counter || s.record.Incarnation != seen.Incarnation):
				return ErrIDTaken
			case s == nil || s.dead || s.absent && b.store.Complete() || sent-s.since >= b.cfg.Death:
				if err = b.renew(ctx); err == nil {
					return b.Err()
				}
			default:
				seen = s.record
			}
		}
		if err != nil {
			b.log.Warn("cannot enter the directory yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(b.cfg.Interval):
		}
	}
}

// lookPause is the least time between two readings that Look brings about.
const lookPause = 20 * time.Millisecond

// run renews by an absolute schedule. One that took longer than the interval is
// followed by the next one at once; of those that it overran only one is made
// up for. Between them come readings when there is something to tell or Look was
// called, and at the instant at which a process whose counter stands still is
// dead.
func (b *beater) run(ctx context.Context) {
	next := b.clock() + b.cfg.Interval
	tried := b.clock()
	timer := time.NewTimer(b.cfg.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.now:
		case <-b.doubted:
			if at := tried + lookPause; b.clock() < at {
				timer.Reset(min(at, next) - b.clock())
				continue
			}
		case <-timer.C:
			if now := b.clock(); now >= next {
				b.metrics.late.Observe((now - next).Seconds())
				next += (now-next)/b.cfg.Interval*b.cfg.Interval + b.cfg.Interval
			}
		}
		tried = b.clock()
		if b.Err() == nil {
			b.cycle(ctx)
		}
		timer.Reset(b.judge.nextDeath(tried, next) - b.clock())
	}
}

// cycle is one renewal and reading.
func (b *beater) cycle(ctx context.Context) {
	if !b.lapsed() {
		_ = b.renew(ctx)
		return
	}
	// After a lapse look first: a new process may have our id by now.
	sent := b.clock()
	listing, err := b.beat(ctx, nil)
	if err != nil {
		return
	}
	for _, r := range listing.Records {
		if r.ID == b.own.ID && r.Incarnation != b.own.Incarnation && !r.Left {
			b.fail(ErrIDTaken)
			return
		}
	}
	b.take(sent, listing)
	_ = b.renew(ctx)
}

func (b *beater) lapsed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock() >= b.lease.renewed+b.lease.valid
}

// renew writes our record and reads the others'.
func (b *beater) renew(ctx context.Context) error {
	b.mu.Lock()
	b.own.Counter++
	b.own.Unsettled = b.clock() < b.lapses.unsettle
	b.own.Term = max(b.own.Term, b.lease.term)
	record := b.own
	b.mu.Unlock()

	sent := b.clock()
	listing, err := b.beat(ctx, &record)
	if err != nil {
		return err
	}
	for _, r := range listing.Records {
		if r.ID == record.ID && r.Incarnation > record.Incarnation && !r.Left {
			b.fail(ErrIDTaken) // two started at once: the higher one stays
			return nil
		}
	}
	b.mu.Lock()
	now := b.clock()
	newTerm := b.lease.renew(sent, now)
	term := b.lease.term
	if newTerm && term > 1 {
		b.lapses.add(now, b.cfg.Settle)
	}
	b.mu.Unlock()
	b.take(sent, listing)
	if newTerm {
		if term > 1 {
			b.log.Warn("the lease was lost and is renewed", "term", term)
			b.metrics.lapses.Inc()
			b.beatNow() // tell the others the new term
		}
		b.signal()
	}
	return nil
}

func (b *beater) beat(ctx context.Context, own *Record) (Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	start := b.clock()
	listing, err := b.store.Beat(ctx, own)
	took := b.clock() - start
	b.metrics.duration.Observe(took.Seconds())
	if err != nil {
		b.metrics.failures.Inc()
		if ctx.Err() == nil || took >= b.cfg.Timeout {
			b.log.Warn("the directory does not answer", "error", err, "took", took)
		}
	}
	return listing, err
}

// take makes a view of a reading.
func (b *beater) take(sent time.Duration, listing Listing) {
	b.judge.read(sent, b.clock(), listing.Records)
	nodes := make([]Node, 0, len(b.judge.nodes))
	for id, s := range b.judge.nodes {
		if id == b.own.ID && s.record.Incarnation != b.own.Incarnation {
			continue
		}
		n := Node{Record: *s.record, Alive: !s.dead}
		n.Draining = n.Record.Draining || listing.Drains[id] == n.Incarnation
		n.deadSince = b.mourn(id, s)
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	absentAreDead := b.judge.absentAreDead(b.store.Complete())
	old := b.view.Load()
	changed := old.differs(nodes, absentAreDead)
	if changed {
		b.version++
	}
	b.view.Store(newView(b.version, nodes, absentAreDead))
	b.metrics.show(nodes)
	if changed {
		b.signal()
	}
}

// mourn notes deaths, and gives when one was found. One whose record is gone is
// forgotten; one whose record is still there must not be, or the next reading
// would take it for a newcomer.
func (b *beater) mourn(id string, s *sighting) time.Duration {
	if !s.dead {
		delete(b.deaths, id)
		return 0
	}
	at, known := b.deaths[id]
	if !known {
		at = b.clock()
		b.deaths[id] = at
		if !s.record.Left {
			b.log.Warn("a process is dead: its counter stood still", "node", id, "incarnation", s.record.Incarnation)
			b.metrics.deaths.Inc()
		}
	}
	if s.absent && b.clock()-at > b.cfg.Death {
		b.judge.forget(id)
		delete(b.deaths, id)
	}
	return at
}
