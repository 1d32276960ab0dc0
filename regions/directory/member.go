package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ErrIDTaken: a live process has the same node id.
var ErrIDTaken = errors.New("node id is taken by another live process")

// Self is what a process says of itself when it joins.
type Self struct {
	ID          string
	Incarnation uint64 // random, not 0
	Roles       []Role
	Address     string
	Version     string
}

// Hooks are called from one goroutine, which does not renew: they may take a
// while, but delay each other. Any may be nil.
type Hooks struct {
	// Changed: a newer View is there.
	Changed func(*View)
	// LeaseLost: the last renewal of the term is too old. LeaseValid said false
	// from that instant on, whenever this comes.
	LeaseLost func(term uint64)
	// LeaseRegained: renewals go through again, in a new term. Others may have
	// claimed shards since the loss. LeaseValid stays false until verified is
	// called: once every shard still held has had its tail checked. (Without
	// this hook it becomes true at once.)
	LeaseRegained func(term uint64, verified func())
	// Failed: the process cannot stay a member (ErrIDTaken). It has no lease
	// any more.
	Failed func(error)
}

// Member is a process's membership in the directory: it renews its own counter
// and judges the others'.
type Member struct {
	cfg     Config
	store   Store
	hooks   Hooks
	log     *slog.Logger
	metrics *metrics
	base    time.Time // times of lease and judge count from here, by the monotonic clock

	lease   lease
	view    atomic.Pointer[View]
	wake    chan struct{} // the hooks' goroutine has something to do
	now     chan struct{} // beat now
	doubted chan struct{} // the view may be out of date: beat soon
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu     sync.Mutex // guards own, lease (but for until), lapses and failed
	own    Record
	lapses lapses
	failed error
}

// Join enters the directory, and returns once the lease is held. If a process
// of the same id is there, it waits until that one is dead (or left), or fails
// with ErrIDTaken if it proves to be alive.
func Join(ctx context.Context, store Store, self Self, cfg Config, hooks Hooks, log *slog.Logger, m *Metrics) (*Member, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if err := CheckID(self.ID); err != nil {
		return nil, err
	}
	if self.Incarnation == 0 {
		return nil, errors.New("directory: incarnation must not be 0")
	}
	d := &Member{
		cfg: cfg, store: store, hooks: hooks, log: log, metrics: m.orNone(), base: time.Now(),
		lease: lease{valid: cfg.valid(), mustVerify: hooks.LeaseRegained != nil},
		wake:  make(chan struct{}, 1), now: make(chan struct{}, 1), doubted: make(chan struct{}, 1),
		own: Record{
			ID: self.ID, Incarnation: self.Incarnation, Roles: self.Roles, Address: self.Address, Version: self.Version,
		},
	}
	d.view.Store(newView(0, nil, false))
	b := &beater{Member: d, judge: newJudge(self.ID, cfg.Death, cfg.gap())}
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	d.done.Go(func() { b.run(run) })
	d.done.Go(func() { d.notify(run) })
	return d, nil
}

func (d *Member) clock() time.Duration { return time.Since(d.base) }

// LeaseValid says whether this process may speak for its shards. It reads the
// clock, and nothing that another goroutine would have to update first.
func (d *Member) LeaseValid() bool { return d.lease.holds(d.clock()) }

// Term numbers the times that the lease was held without a break, from 1.
func (d *Member) Term() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lease.term
}

// View gives who is there.
func (d *Member) View() *View { return d.view.Load() }

// Err says why the process is no member any more, nil while it is one.
func (d *Member) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// SetLoad says how busy the process is; it goes out with the next renewal.
func (d *Member) SetLoad(load Load) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own.Load = load
}

// SetDraining says that the process hands its shards over (or does so no more);
// it goes out at once.
func (d *Member) SetDraining(draining bool) {
	d.mu.Lock()
	d.own.Draining = draining
	d.mu.Unlock()
	d.beatNow()
}

// Look reads the directory again at once, but for a few milliseconds since the
// last time: what another process said, or did, does not agree with the View. It
// does not wait.
func (d *Member) Look() {
	select {
	case d.doubted <- struct{}{}:
	default:
	}
}

func (d *Member) beatNow() {
	select {
	case d.now <- struct{}{}:
	default:
	}
}

// Leave ends the membership. The lease ends before anybody hears of it; then
// the record says that the process left, so that nobody waits for its death.
// Call it when all shards are released.
func (d *Member) Leave(ctx context.Context) error {
	d.stop()
	d.done.Wait()
	d.mu.Lock()
	d.lease.until.Store(0)
	failed := d.failed
	d.own.Left = true
	d.own.Counter++
	record := d.own
	d.mu.Unlock()
	if failed != nil {
		return failed
	}
	if _, err := d.store.Beat(ctx, &record); err != nil {
		return fmt.Errorf("leaving the directory: %w", err)
	}
	return nil // the others remove the record once they have seen it
}

// Abandon ends the membership as a crash does: nobody is told.
func (d *Member) Abandon() {
	d.stop()
	d.done.Wait()
	d.lease.until.Store(0)
}

// fail ends the lease for good.
func (d *Member) fail(err error) {
	d.mu.Lock()
	d.failed = err
	d.lease.until.Store(0)
	d.mu.Unlock()
	d.log.Error("no member of the directory any more", "error", err)
	d.signal()
}

func (d *Member) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// lapses counts how often the lease was lost lately.
type lapses struct {
	last     time.Duration
	recent   int
	unsettle time.Duration // the process counts as unsettled until then
}

const (
	lapseMemory = time.Minute
	maxSettle   = 30 * time.Second
)

// add takes a lapse at now. The first one in a while has no consequence.
func (l *lapses) add(now, settle time.Duration) {
	if l.recent > 0 && now-l.last > lapseMemory {
		l.recent = 0
	}
	l.last = now
	l.recent++
	if l.recent > 1 {
		l.unsettle = now + min(settle<<min(l.recent-2, 10), maxSettle)
	}
}
