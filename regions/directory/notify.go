package directory

import (
	"context"
	"time"
)

// notify is the goroutine that calls the hooks.
func (d *Member) notify(ctx context.Context) {
	var n notified
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
		}
		d.callHooks(ctx, &n)
		timer.Reset(d.nextLook(&n))
	}
}

// notified is what the hooks were told last.
type notified struct {
	view   uint64
	shown  bool
	term   uint64 // of the lease that LeaseLost or LeaseRegained spoke of
	lost   bool
	failed bool
}

func (d *Member) callHooks(ctx context.Context, n *notified) {
	d.mu.Lock()
	term, renewed, failed := d.lease.term, d.lease.renewed, d.failed
	d.mu.Unlock()
	if failed != nil {
		if !n.failed && d.hooks.Failed != nil {
			d.hooks.Failed(failed)
		}
		n.failed = true
		return
	}
	if n.term == 0 {
		n.term = term
	}
	if !n.lost && (term != n.term || d.clock() >= renewed+d.cfg.valid()) {
		n.lost = true
		if d.hooks.LeaseLost != nil {
			d.hooks.LeaseLost(n.term)
		}
	}
	if term != n.term {
		n.term, n.lost = term, false
		if d.hooks.LeaseRegained != nil {
			d.hooks.LeaseRegained(term, func() { d.confirm(term) })
		}
	}
	if v := d.view.Load(); !n.shown || v.Version != n.view {
		n.view, n.shown = v.Version, true
		if d.hooks.Changed != nil {
			d.hooks.Changed(v)
		}
	}
	d.forgetDead(ctx)
}

func (d *Member) confirm(term uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.lease.confirm(term)
	}
}

// nextLook is when the lease would be lost if no renewal came.
func (d *Member) nextLook(n *notified) time.Duration {
	if n.lost || n.failed {
		return d.cfg.Death
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return max(d.lease.renewed+d.cfg.valid()-d.clock(), time.Millisecond)
}

// forgetDead removes the records of those long dead. Every member does it; the
// store deletes only what is still as it was judged.
func (d *Member) forgetDead(ctx context.Context) {
	v := d.view.Load()
	for i := range v.Nodes {
		n := &v.Nodes[i]
		bound := d.cfg.Forget
		if n.Left {
			bound = 2 * d.cfg.Death
		}
		if n.Alive || d.clock()-n.deadSince < bound {
			continue
		}
		timed, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		err := d.store.Remove(timed, n.ID, n.Incarnation, n.Counter)
		cancel()
		if err != nil {
			d.log.Warn("cannot remove a dead process's record", "node", n.ID, "error", err)
			return
		}
	}
}
