package stream

import (
	"fmt"
	"sync/atomic"
	"time"
)

// drainer hands on what waits in the side rings, and tells of failures, by one
// goroutine at a time. What it calls may not return: functions that run on its
// goroutine (see invoke.SubmitLending), and Spec.Failed. Then another goroutine takes
// its place.
type drainer struct {
	function *Function
	// state is odd while the goroutine is in a call, and another number for each. Who
	// raises it from there goes on: the goroutine itself, or the look that replaces it.
	state atomic.Uint64
	stuck atomic.Int64 // goroutines that were replaced and have not returned

	// Of the looks, one after the other.
	timer *time.Timer
	last  uint64
	seen  int
}

const (
	defaultPatience = time.Second
	// patientLooks is how often a call is seen before it is taken for one that hangs.
	// Looks, not the time: a machine that stood still makes nothing hang.
	patientLooks = 4
	// mostStuck is how many goroutines are replaced. Beyond, what is for the outlets
	// is lost, and counted.
	mostStuck = 16
)

func (d *drainer) start() {
	// Within the timer's own call it is set again, so it is there before it goes off.
	d.timer = time.AfterFunc(time.Hour, d.look)
	d.timer.Reset(d.function.spec.Patience / patientLooks)
	go d.run()
}

// leave and back enclose what may hang; not back, the goroutine was replaced.
func (d *drainer) leave() (call uint64) { return d.state.Add(1) }

func (d *drainer) back(call uint64) bool {
	if d.state.CompareAndSwap(call, call+1) {
		return true
	}
	d.stuck.Add(-1)
	return false
}

func (d *drainer) look() {
	f, now := d.function, d.state.Load()
	if now != d.last || now%2 == 0 {
		d.last, d.seen = now, 0
	} else if d.seen++; d.seen >= patientLooks {
		switch most := d.stuck.Load() >= mostStuck; {
		case !most && d.state.CompareAndSwap(now, now+1):
			d.stuck.Add(1)
			go d.run()
		case most && f.isClosing() && d.state.CompareAndSwap(now, now+1):
			d.stuck.Add(1)
			f.note(fmt.Sprintf("closed while %d calls behind the outlets hang", d.stuck.Load()))
			close(f.drained)
		}
	}
	select {
	case <-f.drained:
	default:
		d.timer.Reset(f.spec.Patience / patientLooks)
	}
}

func (f *Function) isClosing() bool {
	select {
	case <-f.closing:
		return true
	default:
		return false
	}
}

// run is the goroutine. It ends when the function is closed, or when it was replaced.
func (d *drainer) run() {
	if d.drain() {
		d.timer.Stop()
		close(d.function.drained)
	}
}

func (d *drainer) drain() bool {
	f := d.function
	ticker := time.NewTicker(f.spec.Pass)
	defer ticker.Stop()
	for open := true; open; {
		select {
		case <-ticker.C:
		case err := <-f.errors:
			if !d.tell(err) {
				return false
			}
			continue
		case <-f.closing:
			open = false
		}
		for _, p := range f.pollers {
			for _, s := range []*side{p.samples, p.selected} {
				if s != nil && !s.pass(d) {
					return false
				}
			}
		}
	}
	for len(f.errors) > 0 {
		if !d.tell(<-f.errors) {
			return false
		}
	}
	return true
}

func (d *drainer) tell(err error) bool {
	if failed := d.function.spec.Failed; failed != nil {
		call := d.leave()
		failed(err)
		return d.back(call)
	}
	return true
}
