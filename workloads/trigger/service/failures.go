package service

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/starling-vr/starling/workloads/trigger"
)

// failures writes failures to the log: of each function the first, and then one a
// while with how many there were meanwhile. All are counted in the metrics.
type failures struct {
	log *slog.Logger
	now func() time.Time

	mu sync.Mutex
	of map[string]*failing // by function
}

type failing struct {
	last  time.Time // that it was told of
	more  uint64    // since
	error error     // the latest of these
}

const tellEvery = 10 * time.Second

func newFailures(log *slog.Logger, now func() time.Time) *failures {
	return &failures{log: log, now: now, of: make(map[string]*failing)}
}

func (f *failures) tell(err error) {
	name := trigger.InferenceName
	var stage *trigger.StageError
	if errors.As(err, &stage) {
		name = stage.Function
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.of[name]
	if one == nil {
		one = new(failing)
		f.of[name] = one
	}
	one.error = err
	if now := f.now(); one.last.IsZero() || now.Sub(one.last) >= tellEvery {
		f.write(name, one)
		one.last = now
		return
	}
	one.more++
}

// flush writes what was not told of yet.
func (f *failures) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, one := range f.of {
		if one.more > 0 {
			f.write(name, one)
		}
	}
}

func (f *failures) write(name string, one *failing) {
	f.log.Warn("a function of the trigger failed", "function", name, "error", one.error, "others_since_the_last", one.more)
	one.more = 0
}
