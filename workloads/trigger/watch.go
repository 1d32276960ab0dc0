package trigger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/invoke"
)

// ErrHung is the cause of a StageError when a function ran for longer than
// Settings.Bound. Go cannot stop it: its event is given up and its worker replaced.
var ErrHung = errors.New("it runs for longer than its bound")

// LeftError says how many runs of which functions still hang after Close. They keep
// their goroutines and events until they return.
type LeftError struct{ Hanging map[string]int }

func (e *LeftError) Error() string {
	var each []string
	for _, name := range slices.Sorted(maps.Keys(e.Hanging)) {
		each = append(each, fmt.Sprintf("%d of %s", e.Hanging[name], name))
	}
	return "trigger: closed, but runs hang: " + strings.Join(each, ", ")
}

const (
	// mostHanging is how many runs of a function may hang before it is given no more:
	// each holds a goroutine and memory.
	mostHanging = 4
	// looks is how often a run is seen before it is given up. Looks, not the time: a
	// machine that stood still makes nothing hang.
	looks = 4
)

// guarded is a function of the user's, which may hang.
type guarded struct {
	name     string
	function *invoke.Function
	gaveUp   func() // counts
	hanging  atomic.Int64
}

// watched is a run of such a function.
type watched struct {
	of       *guarded
	poller   int
	sequence uint64
	index    int // among the runs, -1 once given up
	seen     int
	restore  func()
}

// watch gives up runs that hang. Its timer is armed only while something runs.
type watch struct {
	scheduler *invoke.Scheduler
	every     time.Duration
	tell      func(error)
	quiet     chan struct{} // closed once nothing runs after stop

	mu      sync.Mutex // guards what follows
	runs    []*watched
	free    []*watched
	timer   *time.Timer
	armed   bool
	stopped bool
}

func newWatch(s *invoke.Scheduler, bound time.Duration, tell func(error)) *watch {
	return &watch{scheduler: s, every: bound / looks, tell: tell, quiet: make(chan struct{})}
}

// begin watches a run; nil if it must not run, because too many hang already or the
// trigger is closed.
func (w *watch) begin(of *guarded, poller int, sequence uint64) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || of.hanging.Load() >= mostHanging {
		return nil
	}
	r := new(watched)
	if last := len(w.free) - 1; last >= 0 {
		r, w.free = w.free[last], w.free[:last]
	}
	*r = watched{of: of, poller: poller, sequence: sequence, index: len(w.runs)}
	w.runs = append(w.runs, r)
	w.arm()
	return r
}

// end says that the run returned; false if it was given up before.
func (w *watch) end(r *watched) bool {
	w.mu.Lock()
	lost, of, restore := r.index < 0, r.of, r.restore
	if !lost {
		w.remove(r)
	}
	w.free = append(w.free, r)
	w.mu.Unlock()
	if lost {
		of.hanging.Add(-1)
		restore()
	}
	return !lost
}

// remove and arm are called with the lock held.
func (w *watch) remove(r *watched) {
	last := w.runs[len(w.runs)-1]
	w.runs[r.index], last.index = last, r.index
	w.runs[len(w.runs)-1] = nil
	w.runs = w.runs[:len(w.runs)-1]
	r.index = -1
	if w.stopped && len(w.runs) == 0 {
		close(w.quiet)
	}
}

func (w *watch) arm() {
	switch {
	case w.armed:
		return
	case w.timer == nil:
		w.timer = time.AfterFunc(w.every, w.look)
	default:
		w.timer.Reset(w.every)
	}
	w.armed = true
}

// look gives up the runs that it sees too often.
func (w *watch) look() {
	var lost []watched
	w.mu.Lock()
	for i := len(w.runs) - 1; i >= 0; i-- {
		r := w.runs[i]
		if r.seen++; r.seen > looks {
			r.of.hanging.Add(1)
			r.restore = w.scheduler.Replace(r.of.function)
			r.of.gaveUp()
			lost = append(lost, *r)
			w.remove(r)
		}
	}
	w.armed = false
	if len(w.runs) > 0 {
		w.arm()
	}
	w.mu.Unlock()
	for i := range lost {
		r := &lost[i]
		w.tell(&StageError{r.of.name, r.poller, r.sequence, ErrHung})
	}
}

// stop lets nothing more run, and returns when what ran has returned or was given up.
func (w *watch) stop() {
	w.mu.Lock()
	if !w.stopped {
		w.stopped = true
		if len(w.runs) == 0 {
			close(w.quiet)
		}
	}
	w.mu.Unlock()
	<-w.quiet
}
